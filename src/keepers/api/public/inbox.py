"""A customer's in-app inbox, for the business's own site or app: fetch it, mark as read."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, QueryParameter
from msgspec import Meta, Struct

from keepers.api.parameters import shown
from keepers.api.public.answering import in_thread
from keepers.api.public.calls import body_of, said
from keepers.api.public.desk import PublicDesk
from keepers.api.public.pages import is_web
from keepers.api.public.subjects import known
from keepers.api.public.visitors import check_visitor
from keepers.model.errors import NotFoundError, UserError
from keepers.store import in_app
from keepers.store.in_app import InAppRow

ALL = "all"
"""in place of an id: marks everything as read"""
_LARGEST_ID = 2**63 - 1


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


def inbox_handlers(desk: PublicDesk) -> list[HTTPRouteHandler]:
    """`GET /v1/inbox` and `POST /v1/inbox/{id}/read`, by the customer's signature or a server key."""

    @get("/inbox", include_in_schema=False)
    async def inbox(
        request: Request[Any, Any, Any],
        user_id: Annotated[str, QueryParameter(name="userId", max_length=512)],
        signature: Annotated[str | None, QueryParameter(name="signature", max_length=128)] = None,
        expires: Annotated[int | None, QueryParameter(name="expires")] = None,
        unread: Annotated[bool, QueryParameter(name="unread")] = False,
        limit: Annotated[int, QueryParameter(name="limit", ge=1, le=100)] = 20,
        before: Annotated[int | None, QueryParameter(name="before", ge=1, le=_LARGEST_ID)] = None,
    ) -> Response[bytes]:
        def answer() -> Response[bytes]:
            check_visitor(desk, request, user_id, signature, expires)
            return said(_inbox(desk, user_id, unread, limit, before))

        return await in_thread(answer)

    @post("/inbox/{message:str}/read", status_code=200, include_in_schema=False)
    async def read(request: Request[Any, Any, Any], message: FromPath[str]) -> Response[bytes]:
        who = await body_of(request, ReadBy)

        def answer() -> Response[bytes]:
            check_visitor(desk, request, who.userId, who.signature, who.expires)
            return said(_read(desk, who.userId, message))

        return await in_thread(answer)

    return [inbox, read]


def _inbox(desk: PublicDesk, user_id: str, only_unread: bool, limit: int, before: int | None) -> Inbox:
    now = desk.clock()
    with desk.store.read() as connection:
        profile_id = known(connection, "user_id", user_id)
        if profile_id is None:
            # Signed by the business, so it is somebody; only nothing was said of them yet.
            return Inbox(0, [], None)
        rows = in_app.of_profile(connection, profile_id, now, only_unread=only_unread, before=before, limit=limit + 1)
        unread = in_app.unread(connection, profile_id, now)
    page = rows[:limit]
    return Inbox(unread, [_shown(row) for row in page], page[-1].id if len(rows) > limit else None)


def _shown(row: InAppRow) -> InAppMessage:
    is_path = row.url.startswith("/") and not row.url.startswith(("//", "/\\"))
    url = row.url if is_path or is_web(row.url) else ""
    return InAppMessage(row.id, row.title, row.text, url, shown(row.created_at), shown(row.read_at))


def _read(desk: PublicDesk, user_id: str, message: str) -> Read:
    if message != ALL and not (message.isascii() and message.isdigit() and int(message) <= _LARGEST_ID):
        raise UserError("Name a message by its id, or say “all”.", code="body")
    now = desk.clock()
    with desk.store.begin() as connection:
        profile_id = known(connection, "user_id", user_id)
        if profile_id is None:
            raise NotFoundError("This customer has no inbox yet.")
        in_app.mark_read(connection, profile_id, None if message == ALL else [int(message)], now)
        return Read(in_app.unread(connection, profile_id, now))
