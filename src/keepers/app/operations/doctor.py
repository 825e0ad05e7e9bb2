"""What is wrong with an installation."""

from __future__ import annotations

import platform
import shutil
from datetime import datetime
from importlib.metadata import version
from typing import Any

from keepers import __version__
from keepers.app.messaging.sending_status import sending_status
from keepers.app.workspace.clock import clock, clock_notice
from keepers.app.workspace.progress import Progress
from keepers.app.workspace.workspace import Workspace
from keepers.evaluation.evaluate import last_tick
from keepers.model.moments import format_instant
from keepers.store.events import inbox, log
from keepers.warehouse.load import WATERMARK

LIBRARIES = ("duckdb", "ibis-framework", "sqlalchemy", "litestar", "msgspec", "uvicorn", "psycopg")


def doctor(workspace: Workspace, progress: Progress) -> Any:
    """Versions, stores, watermarks, lag, disk; what is wrong, if anything is."""
    now = clock()
    warehouse = workspace.warehouse
    cursor = warehouse.cursor()
    with workspace.store.read_inbox() as connection:
        waiting, oldest = inbox.depth(connection), inbox.oldest(connection)
    with workspace.store.read() as connection:
        logged = log.last_seq(connection)
    ticked = last_tick(warehouse)
    usage = shutil.disk_usage(workspace.folder)
    figures = {
        "keepers": __version__,
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "store": workspace.store.place,
        "warehouse": str(warehouse.path),
        "warehouse_bytes": warehouse.path.stat().st_size if warehouse.path and warehouse.path.exists() else 0,
        "free_bytes": usage.free,
        "inbox": waiting,
        "inbox_lag_s": (now - oldest).total_seconds() if oldest else 0,
        "log_seq": logged,
        "loaded_seq": warehouse.watermark(WATERMARK),
        "dirty": _number(cursor, "SELECT count(*) FROM dirty"),
        "due": _number(cursor, f"SELECT count(*) FROM states WHERE changes_at <= TIMESTAMP '{now}'"),
        "last_tick": format_instant(ticked) if ticked else None,
        "profiles": _number(cursor, "SELECT count(*) FROM profiles"),
        "events": _number(cursor, "SELECT count(*) FROM tracks"),
        "server": (workspace.server() or {}).get("address"),
    }
    sending, wrong = sending_status(workspace, now)
    return figures | {"sending": sending, "findings": _findings(figures, now, ticked) + wrong}


def _findings(figures: dict[str, Any], now: datetime, ticked: datetime | None) -> list[str]:
    notice = clock_notice()
    found = [notice] if notice else []
    if figures["free_bytes"] < 1 << 30:
        found.append("Less than 1 GB of disk is free. Make room: events are refused when the disk is full.")
    if figures["inbox"] and figures["inbox_lag_s"] > 60:
        found.append("Events have waited over a minute. Start `keepers serve`, or run `keepers tick`.")
    if ticked is not None and ticked > now:
        found.append("The last tick lies in the future: ticks with the real time are refused until then.")
    if ticked is None and figures["events"]:
        found.append("There are events but nothing was answered yet. Run `keepers tick`.")
    return found


def _number(cursor: Any, query: str) -> int:
    return int(cursor.execute(query).fetchone()[0])
