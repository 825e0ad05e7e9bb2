"""Count, describe, preview."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

from keepers.app.workspace.common_fields import Instant, moment
from keepers.app.workspace.progress import Progress
from keepers.app.workspace.workspace import Workspace
from keepers.conditions.definitions import Segment
from keepers.model.errors import DefinitionError, NotFoundError, UserError, nearest
from keepers.playbook import preview
from keepers.playbook.load import read_file
from keepers.playbook.preview import PreviewedCondition, read_preview


class Counted(Struct, frozen=True):
    count: Annotated[int, Meta(ge=0, description="How many profiles (or accounts) it holds for.", examples=[2469])]
    as_of: Instant


class Described(Struct, frozen=True):
    says: Annotated[str, Meta(description="The condition as one sentence.")]
    of: Annotated[str, Meta(description="`person` or `account`.")]


def _read(data: Any, zone: ZoneInfo) -> PreviewedCondition:
    # A playbook may leave a condition empty while it is written; a question without one is a mistake.
    if not isinstance(data, dict | str):
        raise UserError("A condition is needed, as an object or “anyone”.", code="body")
    return read_preview(data, zone)


def count(workspace: Workspace, progress: Progress, target: str, now: str | None = None) -> Any:
    """How many a condition (a YAML file) or a segment holds for."""
    at = moment(workspace, now)
    live = workspace.in_force().playbook
    path = Path(target)
    if path.suffix.lower() in (".yaml", ".yml", ".json") or os.path.isfile(path):
        segment = _segment_of(workspace, path, at)
    elif target in live.segments:
        segment = live.segments[target]
    else:
        raise NotFoundError(
            f"“{target}” is neither a file nor a segment in force.{nearest(target, live.segments)}", name=target
        )
    return {"count": workspace.answerer.count(workspace.standing(at), segment.who, at, segment.of)}


def _segment_of(workspace: Workspace, path: Path, at: datetime) -> Segment:
    """The condition in a file, refused when it names what is not known, with the line."""
    if not os.path.isfile(path):
        raise NotFoundError(f"There is no file {path}.")
    document = read_file(path, str(path))
    try:
        found = preview.read_preview(document.data, workspace.zone)
        preview.refuse_unknown(workspace.in_force().playbook, found, workspace.warehouse.schema(at))
    except DefinitionError as error:
        line = document.line(error.field) or 1
        raise DefinitionError(error.reason, field=error.field, file=str(path), line=line) from None
    return found.segment
