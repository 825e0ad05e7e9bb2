"""Fields that requests and responses share: moments, limits, cursors, locales, names of profiles."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from keepers.app.workspace.workspace import Workspace
from keepers.i18n.catalogues import languages
from keepers.model.moments import format_instant, parse_instant


def moment(workspace: Workspace, text: str | None) -> datetime:
    """`--now`: ISO 8601 in the workspace's zone, or the workspace's present."""
    return workspace.now() if text is None else parse_instant(text, workspace.zone)


def shown(value: Any) -> Any:
    """A struct as plain data with instants in ISO 8601 UTC."""
    return msgspec.to_builtins(_with_instants(value))


def _with_instants(value: Any) -> Any:
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.fields(value)
        return {f.encode_name: _with_instants(getattr(value, f.name)) for f in fields}
    if isinstance(value, dict):
        return {k: _with_instants(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_with_instants(v) for v in value]
    return value


Instant = Annotated[
    str, Meta(extra_json_schema={"extra": {"format": "date-time"}, "examples": ["2026-03-01T09:30:00Z"]})
]
"""ISO 8601 in UTC"""


Now = (
    Annotated[
        str,
        Meta(
            description="Answer as of this moment, over what was known by then. The last tick when left out.",
            max_length=64,
            examples=["2026-03-01T09:30:00Z"],
            extra_json_schema={"extra": {"format": "date-time"}},
        ),
    ]
    | None
)
Limit = Annotated[int, Meta(description="Most items of one answer.", ge=1, le=200, examples=[50])]
Cursor = (
    Annotated[
        str,
        Meta(
            description="`next` of the answer before, to continue from there; with the same other parameters.",
            max_length=1000,
        ),
    ]
    | None
)
RequestedLocale = Annotated[
    str,
    Meta(
        description="Language of names and explanations.",
        examples=["en"],
        extra_json_schema={"extra": {"enum": list(languages())}},
    ),
]
"""One of `languages`: a workspace may bring more than those of the schema, so it is looked up when it is asked for."""
ProfileName = Annotated[
    str,
    Meta(
        description="A user id, anonymous id or group id, or `#` and Keepers' number (`%2312`).",
        max_length=512,
        examples=["#1"],
    ),
]


Next = Annotated[str | None, Meta(description="Send it as `cursor` for what follows; null at the end.")]


def shown_instant(instant: datetime | None) -> str | None:
    """An instant as JSON has it."""
    return None if instant is None else format_instant(instant)


MOST_NUMBER = 2**53 - 1
"""the largest number that JSON programs agree on"""
