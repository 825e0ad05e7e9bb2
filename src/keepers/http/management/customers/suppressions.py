"""Suppression over HTTP: addresses never to be written to again, as hashes."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Controller, get, post
from litestar.params import QueryParameter

from keepers.app.customers.suppressions import Added, AddressBody, Lifted, SuppressBody, Suppressed, SuppressionPage
from keepers.app.workspace.common_fields import NO_NUL
from keepers.app.workspace.paging import seal, unseal
from keepers.http.common.bodies import body, read
from keepers.http.common.parameters import TEXT, AtDesk, CursorParameter, LimitParameter, json_body_guard
from keepers.http.common.problems import answers
from keepers.http.management import examples_sending as examples

_ASKED = {"channel": "email", "address": "ann@example.com"}


class Suppressions(Controller):
    path = "/suppressions"
    tags = ["consent"]

    @get(
        summary="List suppressed addresses",
        responses=answers(SuppressionPage, examples.SUPPRESSION_PAGE, 400, 404),
        sync_to_thread=True,
    )
    def list_suppressions(
        self,
        desk: AtDesk,
        channel: Annotated[
            str | None,
            QueryParameter(name="channel", description="On this channel.", schema_extra=TEXT | {"pattern": NO_NUL}),
        ] = None,
        limit: LimitParameter = 50,
        cursor: CursorParameter = None,
    ) -> SuppressionPage:
        listing = ("suppressions", channel)
        after = unseal(desk.secret, listing, cursor) if cursor is not None else None
        asked = {"channel": channel, "after": after, "limit": limit + 1}
        found = msgspec.convert(desk.look("suppressions", asked), list[Suppressed])
        items = found[:limit]
        position = [items[-1].channel, items[-1].hash] if items else []
        return SuppressionPage(items, seal(desk.secret, listing, position) if len(found) > limit else None)

    @post(
        "/add",
        summary="Suppress addresses",
        description="By hand, which stops transactional messages too. One that is suppressed for a stronger reason "
        "keeps it.",
        responses=answers(Added, {"channel": "email", "suppressed": 1}, 400, 404, 413, 415, 422),
        status_code=200,
        guards=[json_body_guard],
        sync_to_thread=True,
    )
    def add(
        self,
        desk: AtDesk,
        data: Annotated[Any, body(SuppressBody, "Addresses.", {"channel": "email", "addresses": ["ann@example.com"]})],
    ) -> Added:
        wanted = read(data, SuppressBody)
        asked = {"channel": wanted.channel, "addresses": list(wanted.addresses), "detail": wanted.detail}
        return msgspec.convert(desk.run("suppress", asked), Added)

    @post(
        "/find",
        summary="Whether an address is suppressed",
        description="The address travels in the body, so that it stands in no log.",
        responses=answers(SuppressionPage, examples.SUPPRESSION_PAGE, 400, 404, 413, 415, 422),
        status_code=200,
        guards=[json_body_guard],
        sync_to_thread=True,
    )
    def find(self, desk: AtDesk, data: Annotated[Any, body(AddressBody, "An address.", _ASKED)]) -> SuppressionPage:
        wanted = read(data, AddressBody)
        found = desk.look("suppressions", {"channel": wanted.channel, "address": wanted.address})
        return SuppressionPage(msgspec.convert(found, list[Suppressed]), None)

    @post(
        "/lift",
        summary="Let an address be written to again",
        responses=answers(Lifted, {"channel": "email", "lifted": True}, 400, 404, 413, 415, 422),
        status_code=200,
        guards=[json_body_guard],
        sync_to_thread=True,
    )
    def lift(self, desk: AtDesk, data: Annotated[Any, body(AddressBody, "An address.", _ASKED)]) -> Lifted:
        wanted = read(data, AddressBody)
        asked = {"channel": wanted.channel, "address": wanted.address}
        return msgspec.convert(desk.run("lift-suppression", asked), Lifted)
