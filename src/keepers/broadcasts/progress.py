"""The responses about broadcasts: who would get one, and how far a sending of it has come."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from keepers.model.message import SendStatus, Tally


class AudiencePreview(Struct, frozen=True):
    """Who would get a broadcast that was started now, and who would not."""

    broadcast: str
    as_of: datetime
    audience: int
    would_get: int
    skipped: Annotated[dict[str, int], Meta(description="Reason → customers.")]
    held: Annotated[int, Meta(description="Of `would_get`, put off by quiet hours.")] = 0
    tested: Annotated[dict[str, int], Meta(description="Variant → customers of the test's sample.")] = {}
    first: datetime | None = None
    last: Annotated[datetime | None, Meta(description="When the last of them is sent: the throttle's end.")] = None
    warnings: Annotated[list[str], Meta(description="To be read before it is started.")] = []


class SendingStatus(Struct, frozen=True):
    """One sending of a broadcast, and how far it has come."""

    id: int
    broadcast: str
    version: int
    status: SendStatus
    started_at: datetime
    finished_at: datetime | None
    begins: Annotated[datetime, Meta(description="When its audience is fixed.")]
    audience: int
    taken: Annotated[int, Meta(description="Of the audience, decided on so far.")]
    queued: int
    sent: Annotated[int, Meta(description="Went out, also those that bounced.")]
    uncertain: Annotated[int, Meta(description="It is not known whether they went out.")]
    waiting: Annotated[int, Meta(description="To be sent, or being sent.")]
    skipped: Annotated[dict[str, int], Meta(description="Reason → customers.")]
    messages: Annotated[list[Tally], Meta(description="How many messages there are of each variant and status.")] = []
    winner: str = ""
    winner_by: str = ""
    variants: Annotated[dict[str, dict[str, int]], Meta(description="Variant → what was counted of its test.")] = {}
    test_until: datetime | None = None
    of: Annotated[int | None, Meta(description="The sending it repeats for those who did not open.")] = None
    trouble: Annotated[
        str,
        Meta(
            description="What blocks it: the kill switch, a circuit breaker, or the error of its last step. Empty when "
            "nothing does."
        ),
    ] = ""
