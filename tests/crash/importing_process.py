"""An import as the work of a process, which says how far it is."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from keepers.ingest.imports import chunks
from keepers.ingest.imports.run import Mapping, run_import
from keepers.store.database import Store
from keepers.warehouse.database import Warehouse


def importing(data: Path, file: Path, chunk_lines: int) -> None:
    chunks.CHUNK_LINES = chunk_lines
    store, warehouse = Store.open(data), Warehouse.open(data / "warehouse.duckdb")
    mapping = Mapping(event="Order Completed", profile="who", time="at", properties={"n": "n"}, traits={"plan": "plan"})

    def progress(done: int, total: int) -> None:
        print(done, total, flush=True)

    report = run_import(store, warehouse, file, mapping, datetime(2026, 1, 1), progress)
    print("done", report.loaded + report.duplicates_skipped, report.rejected, flush=True)
    warehouse.close()
    store.close()
