"""A customer's in-app inbox."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from keepers.app.public.identify_visitor import known
from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.common_fields import shown_instant
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.model.errors import NotFoundError, UserError, problem
from keepers.model.fields import is_web
from keepers.store.messages import in_app
from keepers.store.messages.in_app import InAppRow

ALL = "all"
"""in place of an id: marks everything as read"""
LARGEST_ID = 2**63 - 1


class InAppMessage(Struct, frozen=True, rename="camel"):
    """One message. Title and text are plain text: show them as such."""

    id: int
    title: str
    text: str
    url: str
    """an http(s) address or a path on your site; empty for none"""
    created_at: str | None
    read_at: str | None


class Inbox(Struct, frozen=True):
    """A page of the inbox, newest first. `next` is the `before` to go on with; null at the end."""

    unread: int
    messages: list[InAppMessage]
    next: int | None


class ReadBy(Struct, frozen=True, forbid_unknown_fields=True):
    """Who read it."""

    userId: Annotated[str, Meta(max_length=512)]  # noqa: N815 - the name on the wire
    signature: Annotated[str, Meta(max_length=128)] | None = None
    expires: int | None = None


class Read(Struct, frozen=True):
    """How many are still unread."""

    unread: int


class ListInbox(Struct, frozen=True, kw_only=True):
    """Whose inbox; `before` is the `next` of the page before."""

    user_id: str
    only_unread: bool = False
    limit: Annotated[int, Meta(ge=1, le=100)] = 20
    before: Annotated[int, Meta(ge=1, le=LARGEST_ID)] | None = None


class MarkRead(Struct, frozen=True, kw_only=True):
    """`message` is an id, or `all`."""

    user_id: str
    message: str


@use_case("GET /v1/inbox", permission="collect")
def list_inbox(workspace: Workspace, actor: Actor, request: ListInbox) -> Inbox:
    """A page of a customer's inbox; an empty one for a customer nothing was received about yet."""
    now = workspace.clock()
    with workspace.store.read() as connection:
        profile_id = known(connection, "user_id", request.user_id)
        if profile_id is None:
            # The id is signed by the business, so the customer exists.
            return Inbox(0, [], None)
        rows = in_app.of_profile(
            connection, profile_id, now,
            only_unread=request.only_unread, before=request.before, limit=request.limit + 1,
        )  # fmt: skip
        unread = in_app.unread(connection, profile_id, now)
    page = rows[: request.limit]
    return Inbox(unread, [_shown(row) for row in page], page[-1].id if len(rows) > request.limit else None)


def _shown(row: InAppRow) -> InAppMessage:
    is_path = row.url.startswith("/") and not row.url.startswith(("//", "/\\"))
    url = row.url if is_path or is_web(row.url) else ""
    return InAppMessage(row.id, row.title, row.text, url, shown_instant(row.created_at), shown_instant(row.read_at))


@use_case("POST /v1/inbox/{message}/read", permission="collect", lock="locked")
def mark_read(workspace: Workspace, actor: Actor, request: MarkRead) -> Read:
    """Marks a message, or all of them, as read. Raises UserError for what is no id, NotFoundError without an inbox."""
    message = request.message
    if message != ALL and not (message.isascii() and message.isdigit() and int(message) <= LARGEST_ID):
        raise UserError(problem("Name a message by its id, or say “all”."), code="body")
    now = workspace.clock()
    with workspace.store.begin() as connection:
        profile_id = known(connection, "user_id", request.user_id)
        if profile_id is None:
            raise NotFoundError(problem("This customer has no inbox yet."))
        in_app.mark_read(connection, profile_id, None if message == ALL else [int(message)], now)
        return Read(in_app.unread(connection, profile_id, now))
