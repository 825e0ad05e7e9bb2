"""Exact event and property names → physical ones that any SQL engine takes."""

from __future__ import annotations

import re
from collections.abc import Container

from anyascii import anyascii

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_FOREIGN = re.compile(r"[^a-z0-9]+")
_LONGEST = 48
# Reserved in DuckDB, Spark or standard SQL; a physical name is quoted anyway, so this list is for people's queries.
_RESERVED_WORDS = (
    "all analyse analyze and anti any array as asc asymmetric at authorization between both by case cast "
    "check collate column commit constraint create cross current current_date current_time "
    "current_timestamp current_user database date day default deferrable delete desc describe distinct do "
    "drop else end escape except exists false fetch filter for foreign from full function grant group "
    "having hour ilike in index initially inner insert intersect interval into is join key lambda lateral "
    "leading left like limit localtime localtimestamp map minus minute month natural not null of offset "
    "on only or order outer over overlaps pivot placing position primary qualify range references "
    "returning right rollback row rows second select semi session_user set show some struct summarize "
    "symmetric table tablesample then time timestamp to trailing true truncate union unique unpivot "
    "update user using values variadic view when where window with within year "
)
RESERVED = frozenset(_RESERVED_WORDS.split())
FIXED_COLUMNS = frozenset({"seq", "profile_id", "time", "known_at", "day", "position"})


def snake(name: str) -> str:
    """`Order Completed`, `orderId`, `订单完成` in lower-case ASCII with underscores, at most 48 characters."""
    spaced = _CAMEL.sub("_", anyascii(name[:300]))
    plain = _FOREIGN.sub("_", spaced.lower()).strip("_")[:_LONGEST].rstrip("_")
    if not plain:
        return "unnamed"
    return f"n{plain}" if plain[0].isdigit() else plain


def physical(name: str, taken: Container[str]) -> str:
    """A free physical name: reserved words get `_`, a name that is taken gets `_2`, `_3` …"""
    base = snake(name)
    if base in RESERVED:
        base += "_"
    return free(base, taken)


def free(base: str, taken: Container[str]) -> str:
    """`base`, or `base` with the first number from 2 that makes it free."""
    chosen, number = base, 2
    while chosen in taken:
        chosen = f"{base}_{number}"
        number += 1
    return chosen


def quoted(name: str) -> str:
    """A physical name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL string literal. DuckDB has no backslash escapes; NUL is spelled as a function call."""
    parts = ["'" + part.replace("'", "''") + "'" for part in text.split("\0")]
    return parts[0] if len(parts) == 1 else "(" + " || chr(0) || ".join(parts) + ")"
