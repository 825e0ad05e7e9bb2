"""Pools and codes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta, Struct

from keepers.app.csv_files import chunks_of, first_column
from keepers.app.workspace.clock import clock
from keepers.app.workspace.progress import Progress
from keepers.app.workspace.workspace import Workspace
from keepers.model.errors import NotFoundError, nearest
from keepers.model.moments import parse_instant
from keepers.model.texts import text_in
from keepers.store.messages import coupons

Code = Annotated[str, Meta(min_length=1, max_length=200)]


class Pool(Struct, frozen=True):
    """A pool of codes. `left` counts those that are free and not expired."""

    pool: str
    name: str
    left: int
    taken: int
    low: Annotated[int, Meta(description="What is warned about.")]
    is_low: bool


class PoolList(Struct, frozen=True):
    items: list[Pool]


class CodesAdded(Struct, frozen=True):
    pool: str
    read: int
    added: int
    known_already: int


class CodesBody(Struct, frozen=True, forbid_unknown_fields=True):
    codes: Annotated[
        list[Code], Meta(min_length=1, max_length=10_000, description="Codes, each given to one customer.")
    ]
    expires: Annotated[str, Meta(max_length=64, description="From when on they are given no more, ISO 8601.")] = ""


def import_coupons(
    workspace: Workspace,
    progress: Progress,
    pool: str,
    path: str | None = None,
    codes: list[str] | None = None,
    expires: str | None = None,
) -> Any:
    """Adds codes to a pool, from a file with one in a line (or in its first column) or as given."""
    pools = workspace.in_force().playbook.coupons
    if pool not in pools:
        raise NotFoundError(f"There is no pool of coupons “{pool}” in force.{nearest(pool, pools)}")
    expires_at = parse_instant(expires, workspace.zone) if expires is not None else None
    given = list(codes or ())
    if path is not None:
        given += first_column(Path(path))
    read, added = 0, 0
    for some in chunks_of(given):
        wanted = list(dict.fromkeys(code.strip() for code in some if code.strip()))
        with workspace.store.begin() as connection:
            added += coupons.put(connection, pool, wanted, clock(), expires_at)
        read += len(wanted)
        progress(read, len(given))
    return {"pool": pool, "read": read, "added": added, "known_already": read - added}


def coupon_status(workspace: Workspace, progress: Progress, locale: str = "en") -> Any:
    """What is left in each pool, and where it runs low."""
    pools = workspace.in_force().playbook.coupons
    with workspace.store.read() as connection:
        stock = coupons.stock(connection, clock())
    found = []
    for name in (*pools, *sorted(stock.keys() - pools.keys())):
        pool, held = pools.get(name), stock.get(name)
        left = held.left if held is not None else 0
        low = pool.low if pool is not None else 0
        found.append(
            {
                "pool": name,
                "name": (text_in(pool.name, locale) if pool is not None else "") or name,
                "left": left,
                "taken": held.taken if held is not None else 0,
                "low": low,
                "is_low": pool is not None and left <= low,
            }
        )
    return found
