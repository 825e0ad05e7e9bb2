"""What is shown of a customer: each thing that happened or was decided, and what a journey waits for."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field


class WhyLine(Struct, frozen=True):
    """One thing that happened or was decided."""

    at: datetime
    kind: Literal["run", "entry", "message", "consent", "suppression"]
    code: Annotated[str, Meta(description="`entered`, `waits`, `ended`, `refused`, `skipped`, `sent` …")]
    says: Annotated[str, Meta(description="The same as a sentence in the requested language.")]
    reason: Annotated[
        str, Meta(description="The rule that decided: `no_consent`, `cap.email.1d`, `already_entered` …")
    ] = ""
    journey: str = ""
    step: str = ""
    run: int | None = None
    message: int | None = None
    data: dict[str, Any] = field(default_factory=dict)


class Waiting(Struct, frozen=True):
    """A journey the customer is in."""

    run: int
    journey: str
    version: int
    step: str
    since: datetime
    until: Annotated[datetime | None, Meta(description="The latest moment at which it continues, where that is known.")]
    waits_for: Annotated[str, Meta(description="The condition waited for, as a sentence.")]
    leaves: Annotated[tuple[str, ...], Meta(description="Goal and exits: what ends it at once.")]
    is_paused: bool
    says: str
