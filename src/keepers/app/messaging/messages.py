"""Messages: which there are and why, one with its exact copy and what became of it, dead letters."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct, field

from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.common_fields import MOST_NUMBER, Cursor, Next, RequestedLocale
from keepers.app.use_cases.paging import seal, unseal
from keepers.app.use_cases.progress import Progress
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.profile_names import names_of
from keepers.app.workspace.workspace import Workspace
from keepers.delivery.feedback import reclassify
from keepers.i18n.reasons import reason_text
from keepers.model.errors import NotFoundError, problem
from keepers.model.message import Content, MessageStatus
from keepers.reports import why as measure_why
from keepers.reports.why_lines import WhyLine
from keepers.store.messages import engagement_requests, message_copies, messages
from keepers.store.messages.messages import MessageRow
from keepers.store.schema.messages import messages as table

Number = Annotated[int, Meta(description="The message's number.", ge=1, le=MOST_NUMBER, examples=[1])]
MostMessages = Annotated[int, Meta(description="Most items of one answer.", ge=1, le=1000, examples=[50])]


class ListMessages(Struct, frozen=True, kw_only=True):
    profile: Annotated[str, Meta(description="Only of this customer.", max_length=512)] | None = None
    journey: Annotated[str, Meta(description="Only of this journey.", max_length=200)] | None = None
    status: Annotated[MessageStatus, Meta(description="Only in this status.")] | None = None
    before: Annotated[int, Meta(description="Older than this message's number.", ge=1, le=MOST_NUMBER)] | None = None
    locale: RequestedLocale = "en"
    limit: MostMessages = 50
    cursor: Cursor = None


class ReadMessage(Struct, frozen=True, kw_only=True):
    number: Number
    locale: RequestedLocale = "en"


class ReadMessageCopy(Struct, frozen=True, kw_only=True):
    number: Number


class RetryMessages(Struct, frozen=True, kw_only=True):
    """Numbers."""

    messages: Annotated[
        list[Annotated[int, Meta(ge=1, le=MOST_NUMBER)]],
        Meta(min_length=1, max_length=1000, description="The messages' numbers."),
    ]


class ListDeadLetters(Struct, frozen=True, kw_only=True):
    after: Annotated[int, Meta(description="Past this message's number.", ge=0, le=MOST_NUMBER)] = 0
    locale: RequestedLocale = "en"
    limit: MostMessages = 100
    cursor: Cursor = None


class RerunMachineRules(Struct, frozen=True, kw_only=True):
    """No parameters."""


class MessageSummary(Struct, frozen=True):
    """A message that was decided on. `why` is `reason` as a sentence."""

    id: int
    key: Annotated[str, Meta(description="Unique for ever; also in links and headers.")]
    message: Annotated[str, Meta(description="Its id in the playbook.")]
    channel: str
    topic: str
    status: MessageStatus
    reason: str
    why: str
    profile: str
    profile_id: int
    recipient: str
    journey: str
    version: int
    step: str
    visit: int
    run_id: int | None
    broadcast: str | None
    is_transactional: bool
    template_version: int
    locale: str
    attempts: int
    message_id: str | None
    provider_id: str | None
    decided_at: datetime
    send_after: datetime
    expires_at: datetime | None
    handed_over_at: datetime | None
    sent_at: datetime | None


class MessagePage(Struct, frozen=True):
    items: list[MessageSummary]
    next: Next


class DeadLetter(MessageSummary, frozen=True, kw_only=True):
    """A message that could not be sent."""

    says: Annotated[str, Meta(description="The other side's answer.")]


class DeadLetterPage(Struct, frozen=True):
    items: list[DeadLetter]
    next: Next


class MessageCopy(Content, frozen=True):
    """What a message holds, as it goes out."""

    kept_until: datetime | None = None


class LinkClicks(Struct, frozen=True):
    url: str
    people: Annotated[int, Meta(description="Clicks of people.")]
    machines: Annotated[int, Meta(description="Clicks of scanners and the like.")]


class MessageStory(Struct, frozen=True):
    """A message with all that became of it, oldest first."""

    message: MessageSummary
    timeline: list[WhyLine]
    links: list[LinkClicks]
    data: Annotated[
        dict[str, Any], Meta(description="The data its text was rendered with, besides the customer's traits.")
    ]
    has_copy: bool
    copy: Annotated[MessageCopy | None, Meta(description="The exact copy the customer got, while it is kept.")] = None


class Retried(Struct, frozen=True):
    requested: int = field(name="asked")
    queued: Annotated[int, Meta(description="How many failed or uncertain messages are queued again.")]


class JudgedAgain(Struct, frozen=True):
    judged_otherwise: Annotated[int, Meta(ge=0, description="Clicks and opens whose classification changed.")]


M = TypeVar("M", bound=MessageSummary)


@use_case("GET /messages", permission="read", problems=(404,))
def list_messages(workspace: Workspace, actor: Actor, request: ListMessages) -> MessagePage:
    """List messages

    Newest first. `failed` are the dead letters.
    """
    listing = ("messages", request.profile, request.journey, request.status, request.before)
    secret = workspace.cursor_secret
    before = unseal(secret, listing, request.cursor)[0] if request.cursor is not None else request.before
    query = messages.columns
    if request.profile is not None:
        query = query.where(table.c.profile_id == workspace.find_profile(request.profile))
    if request.journey is not None:
        query = query.where(table.c.journey == request.journey)
    if request.status is not None:
        query = query.where(table.c.status == request.status)
    if before is not None:
        query = query.where(table.c.id < before)
    query = query.order_by(table.c.id.desc()).limit(request.limit + 1)
    with workspace.store.read() as connection:
        rows = [messages.message_of(row) for row in connection.execute(query)]
    kept = rows[: request.limit]
    named = names_of(workspace, [row.profile_id for row in kept])
    following = seal(secret, listing, [kept[-1].id]) if len(rows) > request.limit else None
    items = [_summary(MessageSummary, row, named[row.profile_id], request.locale) for row in kept]
    return MessagePage(items, following)


@use_case("GET /messages/{number}", permission="read", problems=(404,))
def read_message(workspace: Workspace, actor: Actor, request: ReadMessage) -> MessageStory:
    """One message, and its history

    What was decided and why, all that followed, its exact copy while that is kept, and the links in it.
    """
    with workspace.store.read() as connection:
        row = messages.get(connection, request.number)
        entries = measure_why.of_messages(connection, [row], request.locale)
        copy = message_copies.get(connection, request.number, workspace.clock())
        clicked = engagement_requests.of_messages(connection, [request.number]).get(request.number, [])
    by_url: dict[str, list[int]] = {}
    for one in clicked:
        if one.is_click:
            by_url.setdefault(one.url, [0, 0])[bool(one.is_machine)] += 1
    named = names_of(workspace, [row.profile_id])
    return MessageStory(
        _summary(MessageSummary, row, named[row.profile_id], request.locale),
        sorted(entries, key=lambda one: one.at),
        [LinkClicks(url, people, machines) for url, (people, machines) in by_url.items()],
        {name: value for name, value in row.data.items() if name not in ("customer", "contact")},
        copy is not None,
        _copy(copy) if copy is not None else None,
    )


@use_case("GET /messages/{number}/copy", permission="read", problems=(404,))
def read_message_copy(workspace: Workspace, actor: Actor, request: ReadMessageCopy) -> MessageCopy:
    """The exact copy a customer got

    Kept for 13 months by default; 404 afterwards, and for messages that were never sent.
    """
    with workspace.store.read() as connection:
        messages.get(connection, request.number)
        copy = message_copies.get(connection, request.number, workspace.clock())
    if copy is None:
        raise NotFoundError(problem("No copy of the message {number} is kept.", number=request.number))
    return _copy(copy)


@use_case("POST /messages/retry", permission="send", lock="locked", problems=(404,))
def retry_messages(workspace: Workspace, actor: Actor, request: RetryMessages) -> Retried:
    """Queue dead letters again

    Those that are failed or uncertain; an uncertain one may arrive twice.
    """
    with workspace.store.begin() as connection:
        found = messages.get_many(connection, request.messages)
        missing = [number for number in request.messages if number not in found]
        if missing:
            raise NotFoundError(problem("There is no message {number}.", number=missing[0]), message_id=missing[0])
        done = messages.retry(connection, request.messages, workspace.clock())
    return Retried(len(request.messages), done)


@use_case("GET /messages/dead-letters", permission="read")
def list_dead_letters(workspace: Workspace, actor: Actor, request: ListDeadLetters) -> DeadLetterPage:
    """Messages that could not be sent

    Oldest first, with the answer of the receiving side.
    """
    listing = ("dead letters", request.after)
    secret = workspace.cursor_secret
    after = unseal(secret, listing, request.cursor)[0] if request.cursor is not None else request.after
    with workspace.store.read() as connection:
        rows = messages.with_status(connection, "failed", after=after, limit=request.limit + 1)
        kept = rows[: request.limit]
        entries = measure_why.of_messages(connection, kept, request.locale)
    last = {one.message: one.says for one in entries}
    named = names_of(workspace, [row.profile_id for row in kept])
    following = seal(secret, listing, [kept[-1].id]) if len(rows) > request.limit else None
    items = [_summary(DeadLetter, row, named[row.profile_id], request.locale, says=last[row.id]) for row in kept]
    return DeadLetterPage(items, following)


@use_case("POST /messages/machine-rules/rerun", permission="manage", lock="sequenced", is_long=True, problems=(409,))
def rerun_machine_rules(
    workspace: Workspace, actor: Actor, request: RerunMachineRules, progress: Progress
) -> JudgedAgain:
    """Classify clicks and opens again

    Every one that is kept, such as after an upgrade.
    """
    changed = reclassify(workspace.store, workspace.sending.is_machine, workspace.clock(), progress=progress)
    workspace.ticker.load()
    return JudgedAgain(changed)


def _summary(kind: type[M], row: MessageRow, profile: str, locale: str, **more: Any) -> M:
    fields = MessageSummary.__struct_fields__
    shared = {name: getattr(row, name) for name in fields if name not in ("profile", "why")}
    return kind(profile=profile, why=reason_text(row.reason, locale) if row.reason else "", **shared, **more)


def _copy(copy: message_copies.CopyRow) -> MessageCopy:
    return MessageCopy(**msgspec.structs.asdict(copy.content), kept_until=copy.kept_until)
