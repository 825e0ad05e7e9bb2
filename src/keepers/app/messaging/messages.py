"""Commands about messages: which there are and why, one with its exact copy, previews, test sends, dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from keepers.app.customers.why import Told
from keepers.app.messaging.sending_switches import brakes, release_brake, set_sending
from keepers.app.workspace.clock import clock
from keepers.app.workspace.common_fields import MOST_NUMBER, Instant, Next, shown
from keepers.app.workspace.profile_names import names_of
from keepers.app.workspace.progress import Progress
from keepers.app.workspace.workspace import Workspace
from keepers.channels.base import Channel
from keepers.delivery.feedback import judge_again
from keepers.i18n.reasons import reason
from keepers.model.errors import NotFoundError, UserError, nearest
from keepers.model.message import MessageStatus, Outcome, Outgoing
from keepers.render.definition import MessageTemplate
from keepers.reports import why as measure_why
from keepers.store.messages import engagement_requests, message_copies, messages
from keepers.store.messages.messages import MessageRow, key_of
from keepers.store.schema.messages import messages as table
from keepers.warehouse.profile_lookup import Person, people

STATUSES = msgspec.json.schema(MessageStatus)["enum"]


def list_messages(
    workspace: Workspace,
    progress: Progress,
    profile: str | None = None,
    journey: str | None = None,
    status: str | None = None,
    before: int | None = None,
    limit: int = 50,
    locale: str = "en",
) -> Any:
    """Messages, newest first; `before` is the number to go on from."""
    if status is not None and status not in STATUSES:
        raise UserError(f"“{status}” is no status of a message.{nearest(status, STATUSES)}", code="invalid")
    query = messages.columns
    if profile is not None:
        query = query.where(table.c.profile_id == workspace.find_profile(profile))
    if journey is not None:
        query = query.where(table.c.journey == journey)
    if status is not None:
        query = query.where(table.c.status == status)
    if before is not None:
        query = query.where(table.c.id < before)
    with workspace.store.read() as connection:
        rows = [messages.message_of(r) for r in connection.execute(query.order_by(table.c.id.desc()).limit(limit))]
    named = names_of(workspace, [row.profile_id for row in rows])
    return [_message(row, named[row.profile_id], locale) for row in rows]


def message(workspace: Workspace, progress: Progress, number: int, locale: str = "en") -> Any:
    """One message: what was decided and why, all that became of it, its exact copy, and the links in it."""
    with workspace.store.read() as connection:
        row = messages.get(connection, number)
        told = measure_why.of_messages(connection, [row], locale)
        copy = message_copies.get(connection, number, clock())
        clicked = engagement_requests.of_messages(connection, [number]).get(number, [])
    by_url: dict[str, list[int]] = {}
    for hit in clicked:
        if hit.is_click:
            by_url.setdefault(hit.url, [0, 0])[bool(hit.is_machine)] += 1
    return _message(row, names_of(workspace, [row.profile_id])[row.profile_id], locale) | {
        "timeline": shown(sorted(told, key=lambda one: one.at)),
        "copy": _copy(copy) if copy is not None else None,
        "links": [{"url": url, "people": n[0], "machines": n[1]} for url, n in by_url.items()],
        "data": shown({k: v for k, v in row.data.items() if k not in ("customer", "contact")}),
    }


def preview_message(
    workspace: Workspace, progress: Progress, name: str, profile: str | None = None, locale: str = ""
) -> Any:
    """A message of the playbook in force as a customer would get it now."""
    template = _template(workspace, name)
    person = _person(workspace, profile)
    content = workspace.sending.letters.preview(name, person, clock(), {}, locale)
    return {"message": name, "channel": template.channel, "topic": template.topic, "profile": profile} | {
        "content": msgspec.to_builtins(content)
    }


def try_message(
    workspace: Workspace, progress: Progress, name: str, to: str, profile: str | None = None, locale: str = ""
) -> Any:
    """Sends a message to an address of one's own, through its channel, beside consent, caps and quiet hours."""
    template = _template(workspace, name)
    person = _person(workspace, profile)
    now = clock()
    letter = workspace.sending.letters.test(name, person, to, key_of("test", name, to, now.isoformat()), now, locale)
    channel = workspace.sending.channels().get(template.channel)
    if channel is None:
        raise UserError(
            f"The channel {template.channel} is not set up: write [channels.{template.channel}] into keepers.toml.",
            code="settings",
        )
    outcome = asyncio.run(_send(channel, letter))
    if outcome.status != "sent":
        told = " ".join(part for part in (outcome.code, outcome.detail) if part)
        raise UserError(f"The message was not sent ({outcome.status}): {told or 'no reason given'}.", code="not_sent")
    return {"message": name, "to": to, "status": outcome.status, "detail": outcome.detail}


def retry_messages(workspace: Workspace, progress: Progress, numbers: list[int]) -> Any:
    """Queues dead letters and uncertain messages again; who asks knows that an uncertain one may arrive twice."""
    with workspace.store.begin() as connection:
        found = messages.get_many(connection, numbers)
        missing = [number for number in numbers if number not in found]
        if missing:
            raise NotFoundError(f"There is no message {missing[0]}.", message_id=missing[0])
        done = messages.retry(connection, numbers, clock())
    return {"asked": len(numbers), "queued": done}


def dead_letters(workspace: Workspace, progress: Progress, after: int = 0, limit: int = 100) -> Any:
    """Messages that could not be sent, oldest first, with what the other side said."""
    with workspace.store.read() as connection:
        rows = messages.with_status(connection, "failed", after=after, limit=limit)
        told = measure_why.of_messages(connection, rows)
    last = {one.message: one.says for one in told}
    named = names_of(workspace, [row.profile_id for row in rows])
    return [_message(row, named[row.profile_id], "en") | {"says": last[row.id]} for row in rows]


def rerun_machine_rules(workspace: Workspace, progress: Progress) -> Any:
    """Asks the rules again which clicks and opens were machines'."""
    with workspace.sequencing("keepers machine-rules") as ticker:
        changed = judge_again(workspace.store, workspace.sending.is_machine, clock())
        ticker.load()
    return {"judged_otherwise": changed}


async def _send(channel: Channel, letter: Outgoing) -> Outcome:
    await channel.open()
    try:
        return await channel.send(letter)
    finally:
        await channel.close()


def _template(workspace: Workspace, name: str) -> MessageTemplate:
    workspace.sending.refresh()
    known = workspace.in_force().playbook.messages
    if name not in known:
        raise NotFoundError(f"There is no message “{name}” in force.{nearest(name, known)}")
    return known[name]


def _person(workspace: Workspace, profile: str | None) -> Person | None:
    if profile is None:
        return None
    profile_id = workspace.find_profile(profile)
    return people(workspace.warehouse, [profile_id]).get(profile_id)


def _message(row: MessageRow, profile: str, locale: str) -> dict[str, Any]:
    names = (
        "id", "key", "message", "channel", "topic", "status", "reason", "journey", "version", "step", "visit",
        "broadcast", "is_transactional", "recipient", "locale", "attempts", "template_version", "message_id",
        "provider_id", "run_id",
    )  # fmt: skip
    instants = ("decided_at", "send_after", "expires_at", "handed_over_at", "sent_at")
    told = {name: getattr(row, name) for name in names} | {name: shown(getattr(row, name)) for name in instants}
    why = reason(row.reason, locale) if row.reason else ""
    return told | {"profile": profile, "profile_id": row.profile_id, "why": why}


def _copy(copy: message_copies.CopyRow) -> dict[str, Any]:
    content = msgspec.to_builtins(copy.content)
    return {**content, "kept_until": shown(copy.kept_until)}


COMMANDS: dict[str, Callable[..., Any]] = {
    "messages": list_messages,
    "message": message,
    "preview-message": preview_message,
    "test-message": try_message,
    "retry-messages": retry_messages,
    "dead-letters": dead_letters,
    "set-sending": set_sending,
    "brakes": brakes,
    "release-brake": release_brake,
    "rerun-machine-rules": rerun_machine_rules,
}


Number = Annotated[int, Meta(ge=1, le=MOST_NUMBER)]


class Message(Struct, frozen=True):
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
    decided_at: Instant
    send_after: Instant
    expires_at: Instant | None
    handed_over_at: Instant | None
    sent_at: Instant | None


class MessagePage(Struct, frozen=True):
    items: list[Message]
    next: Next


class Copy(Struct, frozen=True):
    """What a message holds, as it goes out."""

    subject: str
    html: str
    text: str
    title: str
    url: str
    locale: str
    data: dict[str, Any]
    kept_until: Instant | None = None


class Link(Struct, frozen=True):
    url: str
    people: Annotated[int, Meta(description="Clicks of people.")]
    machines: Annotated[int, Meta(description="Clicks of scanners and the like.")]


class MessageStory(Struct, frozen=True):
    """A message with all that became of it, oldest first."""

    message: Message
    timeline: list[Told]
    links: list[Link]
    data: Annotated[dict[str, Any], Meta(description="What its text was made with, besides the customer's traits.")]
    has_copy: bool


class Preview(Struct, frozen=True):
    """A message as a customer would get it now."""

    message: str
    channel: str
    topic: str
    profile: str | None
    content: Copy


class Retried(Struct, frozen=True):
    asked: int
    queued: Annotated[int, Meta(description="How many were failed or uncertain, and wait again.")]


class PreviewBody(Struct, frozen=True, forbid_unknown_fields=True):
    message: Annotated[str, Meta(min_length=1, max_length=200, description="The message's id in the playbook.")]
    profile: Annotated[str, Meta(max_length=512, description="A customer; without one their data are missing.")] = ""
    locale: Annotated[str, Meta(max_length=35, description="The text of this locale; else the customer's.")] = ""


class RetryBody(Struct, frozen=True, forbid_unknown_fields=True):
    messages: Annotated[list[Number], Meta(min_length=1, max_length=1000, description="Numbers.")]
