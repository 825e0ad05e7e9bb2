"""A condition that is in no playbook yet: read, and held against what is known before it is counted."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from keepers.audience.definitions import Segment
from keepers.audience.parse import parse_condition
from keepers.audience.reading import parse_segment
from keepers.audience.schema import Schema
from keepers.model.errors import DefinitionError
from keepers.playbook.check import Finding, check
from keepers.playbook.load import Playbook

PREVIEW = "counted"


def read_audience(data: Any, zone: ZoneInfo | None, id: str = PREVIEW) -> Segment:
    """A bare condition, or a segment (fields `who`, and `of` for accounts). Raises DefinitionError."""
    if isinstance(data, dict) and "who" in data:
        return parse_segment({"id": id} | data, zone)
    return Segment(PREVIEW, parse_condition(data, zone))


def refuse_unknown(live: Playbook, segment: Segment, schema: Schema, file: str = "") -> None:
    """Raises DefinitionError, with the nearest names, when a segment names what is not known."""
    others = {k: s for k, s in live.segments.items() if k != segment.id}
    asked = Playbook(
        live.events, others | {segment.id: segment}, live.lifecycles, live.rhythm, {f"segment/{segment.id}": (file, 1)}
    )
    found = [f for f in check(asked, schema) if f.file == file and _is_about(f, segment)]
    if found:
        raise DefinitionError(found[0].message, file=file, field=found[0].field)


def _is_about(finding: Finding, segment: Segment) -> bool:
    return finding.line == 1 or finding.field.startswith(("who", f"segments.{segment.id}"))
