"""A process that imports a file and says how far it is: `importing_process.py DATA FILE CHUNK_LINES`."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from keepers.pipeline.importing import Mapping, run_import
from keepers.pipeline.imports import read
from keepers.store.database import Store
from keepers.warehouse.database import Warehouse


def main(data: Path, file: Path, chunk_lines: int) -> None:
    read.CHUNK_LINES = chunk_lines
    store, warehouse = Store.open(data), Warehouse.open(data / "warehouse.duckdb")
    mapping = Mapping(event="Order Completed", profile="who", time="at", properties={"n": "n"}, traits={"plan": "plan"})

    def progress(done: int, total: int) -> None:
        print(done, total, flush=True)

    report = run_import(store, warehouse, file, mapping, datetime(2026, 1, 1), progress)
    print("done", report.loaded + report.duplicates_skipped, report.rejected, flush=True)
    warehouse.close()
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
