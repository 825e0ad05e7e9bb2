"""Pools of coupon codes: how many are left, adding codes from a list or a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from keepers.app.csv_files import chunks_of, first_column
from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.common_fields import RequestedLocale
from keepers.app.use_cases.progress import Progress, no_progress
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.model.errors import NotFoundError, nearest, problem
from keepers.model.fields import text_in
from keepers.model.moments import parse_instant
from keepers.store.messages import coupons

PoolId = Annotated[str, Meta(description="The pool's id.", examples=["gift"])]
Code = Annotated[str, Meta(min_length=1, max_length=200)]
Expiry = Annotated[str, Meta(max_length=64, description="When they expire, ISO 8601; an expired code is not assigned.")]


class ListPools(Struct, frozen=True, kw_only=True):
    locale: RequestedLocale = "en"


class AddCodes(Struct, frozen=True, kw_only=True):
    """Codes."""

    pool: PoolId
    codes: Annotated[
        list[Code], Meta(min_length=1, max_length=10_000, description="The codes; each is assigned to one customer.")
    ]
    expires: Expiry = ""


class ImportCodes(Struct, frozen=True, kw_only=True):
    """A file on the server's machine."""

    pool: PoolId
    path: Annotated[
        str, Meta(min_length=1, description="The file: a code in each line, or in the first column of a CSV file.")
    ]
    expires: Expiry = ""


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


@use_case("GET /coupons", permission="read", tag="messages")
def list_pools(workspace: Workspace, actor: Actor, request: ListPools) -> PoolList:
    """Coupon pools, and how many codes are left"""
    pools = workspace.active_playbook().playbook.coupons
    with workspace.store.read() as connection:
        stock = coupons.stock(connection, workspace.clock())
    found = []
    for name in (*pools, *sorted(stock.keys() - pools.keys())):
        pool, held = pools.get(name), stock.get(name)
        left = held.left if held is not None else 0
        low = pool.low if pool is not None else 0
        title = text_in(pool.name, request.locale) if pool is not None else ""
        taken = held.taken if held is not None else 0
        found.append(Pool(name, title or name, left, taken, low, pool is not None and left <= low))
    return PoolList(found)


@use_case(
    "POST /coupons/{pool}",
    permission="manage",
    lock="locked",
    tag="messages",
    problems=(404, 422),
    audit={"pool": "target", "codes": "hidden", "expires": "plain"},
)
def add_codes(workspace: Workspace, actor: Actor, request: AddCodes) -> CodesAdded:
    """Add codes to a pool

    Those it has already are left out.
    """
    _require(workspace, request.pool)
    return _add(workspace, request.pool, request.codes, request.expires, no_progress)


@use_case(
    "POST /coupons/{pool}/import",
    permission="manage",
    lock="locked",
    tag="messages",
    problems=(404, 422),
    is_long=True,
    is_local=True,
    audit={"pool": "target", "path": "plain", "expires": "plain"},
)
def import_codes(workspace: Workspace, actor: Actor, request: ImportCodes, progress: Progress) -> CodesAdded:
    """Add the codes of a file on the server's machine to a pool

    One in a line, or in the first column of a CSV file. Those it has already are left out.
    """
    _require(workspace, request.pool)
    return _add(workspace, request.pool, first_column(Path(request.path)), request.expires, progress)


def _require(workspace: Workspace, pool: str) -> None:
    pools = workspace.active_playbook().playbook.coupons
    if pool not in pools:
        raise NotFoundError(
            problem("There is no pool of coupons “{pool}” in force.", near=nearest(pool, pools), pool=pool)
        )


def _add(workspace: Workspace, pool: str, codes: Sequence[str], expires: str, progress: Progress) -> CodesAdded:
    expires_at = parse_instant(expires, workspace.zone) if expires else None
    read, added = 0, 0
    for some in chunks_of(codes):
        wanted = list(dict.fromkeys(code.strip() for code in some if code.strip()))
        with workspace.store.begin() as connection:
            added += coupons.put(connection, pool, wanted, workspace.clock(), expires_at)
        read += len(wanted)
        progress(read, len(codes))
    return CodesAdded(pool, read, added, read - added)
