"""All of Keepers, and what it loads or works out late: processes that are forked from one with this need not again."""

from __future__ import annotations

from importlib import import_module
from pkgutil import walk_packages

import ibis
import ibis.backends.duckdb
import pandas  # noqa: F401 - loaded by a command's first question

import keepers
from keepers.evaluation.query_cache import code_version
from keepers.warehouse.zone_offsets import offsets_table

for module in walk_packages(keepers.__path__, "keepers."):
    if not module.name.endswith("__main__") and ".migrations." not in module.name:
        import_module(module.name)
offsets_table()
code_version()
ibis.to_sql(ibis.table({"a": "int64"}, name="t").filter(ibis._.a > 1), dialect="duckdb")
