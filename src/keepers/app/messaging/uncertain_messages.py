"""Messages of which it is not known whether they were sent, settled together: with the risk said first."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.common_fields import Instant, RequestedLocale
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.delivery import settling
from keepers.delivery.settling import Chosen
from keepers.i18n.problems import problem_text
from keepers.model.errors import Problem, UserError, problem
from keepers.model.message import Settlement
from keepers.model.moments import parse_instant


class SettleUncertain(Struct, frozen=True, kw_only=True):
    """What becomes of which uncertain messages: of those that all given fields hold for, at least one of them."""

    settlement: Annotated[
        Settlement,
        Meta(description="`retry` sends them again, `sent` takes them as sent, `not_sent` gives them up."),
    ]
    journey: Annotated[str, Meta(description="Only of this journey.", max_length=200)] | None = None
    broadcast: Annotated[str, Meta(description="Only of this broadcast.", max_length=200)] | None = None
    channel: Annotated[str, Meta(description="Only of this channel.", max_length=200)] | None = None
    since: (
        Annotated[
            Instant, Meta(description="Only those handed over, or restored from a backup, at or after this instant.")
        ]
        | None
    ) = None
    until: (
        Annotated[Instant, Meta(description="Only those handed over, or restored from a backup, before this instant.")]
        | None
    ) = None
    dry_run: Annotated[bool, Meta(description="Only count, and say the risk; change nothing.")] = False
    locale: RequestedLocale = "en"


class UncertainSettled(Struct, frozen=True):
    """How many uncertain messages are meant, how many were settled, and what is risked by it."""

    settlement: Settlement
    count: Annotated[int, Meta(ge=0, description="Uncertain messages that are meant.")]
    without_address: Annotated[
        int,
        Meta(
            ge=0,
            description="Of these, those whose address is kept no longer. `retry` has nothing to send them to: they "
            "stay uncertain until they are settled as `sent` or `not_sent`.",
        ),
    ]
    settled: Annotated[int, Meta(ge=0, description="Of these, settled now; 0 with `dry_run`.")]
    risk: Annotated[str, Meta(description="What it can do to customers, to be read before it is done.")]


@use_case(
    "POST /messages/uncertain/settle",
    permission="send",
    lock="locked",
    problems=(422,),
    audit={
        "settlement": "plain",
        "locale": "plain",
        "journey": "target",
        "broadcast": "target",
        "channel": "plain",
        "since": "plain",
        "until": "plain",
    },
)
def settle_uncertain(workspace: Workspace, actor: Actor, request: SettleUncertain) -> UncertainSettled:
    """Settle uncertain messages

    A worker died, or a connection broke, between handing them over and the outcome; or they waited when the backup was
    made that this workspace was restored from. Nobody can be asked: no channel
    finds a message by Keepers' number. Ask for the risk with `dry_run` first.
    """
    if not any((request.journey, request.broadcast, request.channel, request.since, request.until)):
        raise UserError(
            problem("Name a journey, a broadcast, a channel or a time: which uncertain messages are meant?"),
            code="invalid",
        )
    chosen = Chosen(
        request.journey, request.broadcast, request.channel, _instant(request.since), _instant(request.until)
    )
    with workspace.store.read() as connection:
        number, without_address = settling.count(connection, chosen)
    settled = 0 if request.dry_run else _settle(workspace, chosen, request.settlement)
    number = max(number, settled)
    parts = [_risk(request.settlement, number)]
    if request.settlement == "retry" and without_address:
        parts.append(_nothing_to_send_to(without_address))
    risk = " ".join(problem_text(one, request.locale) for one in parts)
    return UncertainSettled(request.settlement, number, without_address, settled, risk)


def _settle(workspace: Workspace, chosen: Chosen, settlement: Settlement) -> int:
    now, settled, last = workspace.clock(), 0, 0
    while True:
        with workspace.store.begin() as connection:
            part = settling.settle(connection, chosen, settlement, now, after=last)
        if not part.found:
            return settled
        settled, last = settled + part.settled, part.last


def _instant(text: str | None) -> datetime | None:
    return None if text is None else parse_instant(text)


def _nothing_to_send_to(number: int) -> Problem:
    return problem(
        "Of these, {number:,} cannot be sent again: their addresses are kept no longer. They stay uncertain; settle "
        "them as sent or not_sent.",
        number=number,
    )


def _risk(settlement: Settlement, number: int) -> Problem:
    match settlement:
        case "retry":
            return problem(
                "Uncertain messages: {number:,}. Each was handed over, or waited when the backup was made that this "
                "workspace was restored from, and some have gone out. If they are sent again, customers "
                "who have theirs get the same message twice.",
                number=number,
            )
        case "sent":
            return problem(
                "Uncertain messages: {number:,}. Some have not gone out. If they are taken as sent, these customers "
                "never get theirs, and reports count it.",
                number=number,
            )
        case "not_sent":
            return problem(
                "Uncertain messages: {number:,}. Some have gone out. If they are given up, none is sent again, and "
                "they no longer count for the caps: customers who have theirs may get the next message sooner.",
                number=number,
            )
