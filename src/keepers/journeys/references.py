"""The values of a run that conditions and bodies refer to: `trigger.order_id`, `run.entered_at`, `run.<step>.body`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from keepers.journeys.run import Run
from keepers.model.errors import UserError
from keepers.model.moments import format_instant, parse_instant

Lookup = Callable[[str], Any]


def keys_of(run: Run) -> Lookup:
    """Looks up refs of a run: a value, a datetime (naive UTC) for the run's own times and `trigger.time`, or None."""

    def lookup(path: str) -> Any:
        head, _, rest = path.partition(".")
        if head == "trigger":
            found = _inside(run.trigger, rest)
            return _instant(found) if rest == "time" else found
        if head != "run":
            return None
        if rest == "entered_at":
            return run.entered_at
        if rest == "step_entered_at":
            return run.since
        return None if rest.startswith("_") else _inside(run.vars, rest)

    return lookup


def keys_for(run: Run, paths: Iterable[str]) -> dict[str, Any]:
    """The values of some refs; what is no scalar or time is None, equal to nothing."""
    lookup = keys_of(run)
    found = {path: lookup(path) for path in paths}
    return {p: v if isinstance(v, str | int | float | bool | datetime) else None for p, v in found.items()}


def resolve(written: Any, lookup: Lookup) -> Any:
    """Plain data with every `{ref: …}` in it replaced by its value; times as ISO 8601 text."""
    if isinstance(written, dict):
        if len(written) == 1 and isinstance(written.get("ref"), str):
            value = lookup(written["ref"])
            return format_instant(value) if isinstance(value, datetime) else value
        return {key: resolve(value, lookup) for key, value in written.items()}
    if isinstance(written, list | tuple):
        return [resolve(value, lookup) for value in written]
    return written


def refs_in(written: Any) -> list[str]:
    """The paths of every `{ref: …}` in plain data."""
    if isinstance(written, dict):
        if len(written) == 1 and isinstance(written.get("ref"), str):
            return [written["ref"]]
        return [path for value in written.values() for path in refs_in(value)]
    if isinstance(written, list | tuple):
        return [path for value in written for path in refs_in(value)]
    return []


def _inside(data: Any, path: str) -> Any:
    """A value by its whole name, else by name after name; of a list by number."""
    if isinstance(data, dict) and path in data:
        return data[path]
    head, dot, rest = path.partition(".")
    if isinstance(data, list):
        found = data[int(head)] if head.isdecimal() and int(head) < len(data) else None
    else:
        found = data.get(head) if isinstance(data, dict) and dot else None
    return _inside(found, rest) if dot and found is not None else found


def _instant(value: Any) -> datetime | None:
    try:
        return None if value is None else parse_instant(value)
    except UserError:
        return None
