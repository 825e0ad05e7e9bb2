"""Messages over HTTP: which there are and why, one with its exact copy, previews, retries."""

from __future__ import annotations

from typing import Annotated, Any, get_args

import msgspec
from litestar import Controller, get, post
from litestar.openapi.spec import Example
from litestar.params import PathParameter, QueryParameter

from keepers.app.customers.why import Told
from keepers.app.messaging.messages import (
    Copy,
    Link,
    Message,
    MessagePage,
    MessageStory,
    Preview,
    PreviewBody,
    Retried,
    RetryBody,
)
from keepers.app.workspace.common_fields import MOST_NUMBER, NO_NUL
from keepers.app.workspace.paging import seal, unseal
from keepers.http.common.bodies import body, read
from keepers.http.common.parameters import (
    TEXT,
    AtDesk,
    CursorParameter,
    LimitParameter,
    LocaleParameter,
    json_body_guard,
)
from keepers.http.common.problems import answers
from keepers.http.management import examples_sending as examples
from keepers.model.errors import NotFoundError
from keepers.model.message import MessageStatus

NumberParameter = Annotated[
    int, PathParameter(description="The message's number.", ge=1, le=MOST_NUMBER, examples=[Example(value=1)])
]


class Messages(Controller):
    path = "/messages"
    tags = ["messages"]

    @get(
        summary="List messages",
        description="Newest first. `failed` are the dead letters.",
        responses=answers(MessagePage, examples.MESSAGE_PAGE, 400, 404),
        sync_to_thread=True,
    )
    def list_messages(
        self,
        desk: AtDesk,
        profile: Annotated[
            str | None,
            QueryParameter(name="profile", description="Of this customer.", schema_extra=TEXT | {"pattern": NO_NUL}),
        ] = None,
        journey: Annotated[
            str | None,
            QueryParameter(name="journey", description="Of this journey.", schema_extra=TEXT | {"pattern": NO_NUL}),
        ] = None,
        status: Annotated[
            MessageStatus | None,
            QueryParameter(
                name="status",
                description="In this status.",
                schema_extra=TEXT | {"enum": list(get_args(MessageStatus))},
            ),
        ] = None,
        locale: LocaleParameter = "en",
        limit: LimitParameter = 50,
        cursor: CursorParameter = None,
    ) -> MessagePage:
        filters = ("messages", profile, journey, status)
        before = unseal(desk.secret, filters, cursor)[0] if cursor is not None else None
        asked = {
            "profile": profile, "journey": journey, "status": status, "before": before, "limit": limit + 1,
            "locale": locale,
        }  # fmt: skip
        found = msgspec.convert(desk.look("messages", asked), list[Message])
        items = found[:limit]
        return MessagePage(items, seal(desk.secret, filters, [items[-1].id]) if len(found) > limit else None)

    @get(
        "/{number:int}",
        summary="One message, and what became of it",
        responses=answers(MessageStory, examples.MESSAGE_STORY, 400, 404),
        sync_to_thread=True,
    )
    def one_message(self, desk: AtDesk, number: NumberParameter, locale: LocaleParameter = "en") -> MessageStory:
        found = desk.look("message", {"number": number, "locale": locale})
        return MessageStory(
            msgspec.convert(found, Message),
            msgspec.convert(found["timeline"], list[Told]),
            msgspec.convert(found["links"], list[Link]),
            found["data"],
            found["copy"] is not None,
        )

    @get(
        "/{number:int}/copy",
        summary="The exact copy a customer got",
        description="Kept for 13 months unless told otherwise; 404 afterwards, and for what never went out.",
        responses=answers(Copy, examples.COPY, 400, 404),
        sync_to_thread=True,
    )
    def copy(self, desk: AtDesk, number: NumberParameter) -> Copy:
        found = desk.look("message", {"number": number})["copy"]
        if found is None:
            raise NotFoundError(f"No copy of the message {number} is kept.")
        return msgspec.convert(found, Copy)

    @post(
        "/preview",
        summary="A message as a customer would get it now",
        description="Links lead nowhere, no code is taken, and nothing is sent.",
        responses=answers(Preview, examples.PREVIEW, 400, 404, 413, 415, 422),
        status_code=200,
        guards=[json_body_guard],
        sync_to_thread=True,
    )
    def preview(
        self,
        desk: AtDesk,
        data: Annotated[
            Any, body(PreviewBody, "Which message, for whom.", {"message": "welcome_hello", "profile": "ann"})
        ],
    ) -> Preview:
        wanted = read(data, PreviewBody)
        asked = {"name": wanted.message, "profile": wanted.profile or None, "locale": wanted.locale}
        return msgspec.convert(desk.look("preview-message", asked), Preview)

    @post(
        "/retry",
        summary="Queue dead letters again",
        description="Those that are failed or uncertain; an uncertain one may arrive twice.",
        responses=answers(Retried, examples.RETRIED, 400, 404, 413, 415),
        status_code=200,
        guards=[json_body_guard],
        sync_to_thread=True,
    )
    def retry(self, desk: AtDesk, data: Annotated[Any, body(RetryBody, "Numbers.", {"messages": [1]})]) -> Retried:
        asked = {"numbers": list(read(data, RetryBody).messages)}
        return msgspec.convert(desk.run("retry-messages", asked), Retried)
