"""A customer's in-app inbox, for the business's own site or app: fetch it, mark as read."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, QueryParameter

from keepers.app.public.inbox import LARGEST_ID, ListInbox, MarkRead, ReadBy, list_inbox, mark_read
from keepers.app.public.visitor_auth import check_visitor
from keepers.app.workspace.workspace import Workspace
from keepers.http.public.links.page_errors import in_thread
from keepers.http.public.site.json_api import body_of, json_answer, page_key


def inbox_handlers(workspace: Workspace) -> list[HTTPRouteHandler]:
    """`GET /v1/inbox` and `POST /v1/inbox/{id}/read`, by the customer's signature or a server key."""

    @get("/inbox", include_in_schema=False)
    async def inbox(
        request: Request[Any, Any, Any],
        user_id: Annotated[str, QueryParameter(name="userId", max_length=512)],
        signature: Annotated[str | None, QueryParameter(name="signature", max_length=128)] = None,
        expires: Annotated[int | None, QueryParameter(name="expires")] = None,
        unread: Annotated[bool, QueryParameter(name="unread")] = False,
        limit: Annotated[int, QueryParameter(name="limit", ge=1, le=100)] = 20,
        before: Annotated[int | None, QueryParameter(name="before", ge=1, le=LARGEST_ID)] = None,
    ) -> Response[bytes]:
        def answer() -> Response[bytes]:
            actor = check_visitor(workspace, page_key(workspace, request), user_id, signature, expires)
            listing = ListInbox(user_id=user_id, only_unread=unread, limit=limit, before=before)
            return json_answer(request, list_inbox(workspace, actor, listing))

        return await in_thread(answer)

    @post("/inbox/{message:str}/read", status_code=200, include_in_schema=False)
    async def read(request: Request[Any, Any, Any], message: FromPath[str]) -> Response[bytes]:
        who = await body_of(request, ReadBy)

        def answer() -> Response[bytes]:
            actor = check_visitor(workspace, page_key(workspace, request), who.userId, who.signature, who.expires)
            return json_answer(request, mark_read(workspace, actor, MarkRead(user_id=who.userId, message=message)))

        return await in_thread(answer)

    return [inbox, read]
