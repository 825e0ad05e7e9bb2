"""A condition that is in no playbook: parsed, and its names checked before it is counted."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from keepers.conditions.definitions import Segment
from keepers.conditions.parsing.conditions import parse_condition
from keepers.conditions.parsing.definitions import parse_segment
from keepers.conditions.schema import Schema
from keepers.model.errors import DefinitionError, problem
from keepers.playbook.check import check
from keepers.playbook.load import Playbook

PREVIEW = "counted"
_KEY = f"segment/{PREVIEW}"


class PreviewedCondition(Struct, frozen=True):
    """A condition as a segment. `body` is the condition as written; `is_bare` when it came without `who`."""

    segment: Segment
    body: Any
    is_bare: bool


def read_preview(data: Any, zone: ZoneInfo | None) -> PreviewedCondition:
    """A bare condition, or a segment (fields `who`, and `of` for accounts). Raises DefinitionError."""
    if data is None:
        raise DefinitionError(problem("there is no condition. Write one, such as {{did: purchase, within: 30d}}"))
    if isinstance(data, dict) and "who" in data:
        return PreviewedCondition(parse_segment(data | {"id": PREVIEW}, zone), data["who"], is_bare=False)
    return PreviewedCondition(Segment(PREVIEW, parse_condition(data, zone)), data, is_bare=True)


def refuse_unknown(live: Playbook, preview: PreviewedCondition, schema: Schema) -> None:
    """Raises DefinitionError, with the nearest names, when a condition names what is not known."""
    segments = live.segments | {PREVIEW: preview.segment}
    bodies = live.bodies | {_KEY: {"id": PREVIEW, "who": preview.body}}
    combined = Playbook(live.events, segments, live.lifecycles, scores=live.scores, bodies=bodies)
    for finding in check(combined, schema):
        # A condition that matches nobody is valid: its count is 0.
        is_empty = finding.field == f"{_KEY}.who" and finding.level == "warning"
        if finding.field.startswith(_KEY) and not is_empty:
            field = finding.field.removeprefix(_KEY).removeprefix(".")
            raise DefinitionError(finding.sentence, field=field.removeprefix("who.") if preview.is_bare else field)
