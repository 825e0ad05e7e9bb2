"""Suppression over HTTP: addresses never to be written to again, as hashes."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Controller, get, post
from litestar.params import QueryParameter
from msgspec import Meta, Struct

from keepers.api import examples_sending as examples
from keepers.api.bodies import NO_NUL, body, read
from keepers.api.parameters import (
    TEXT,
    AtDesk,
    CursorParameter,
    Instant,
    LimitParameter,
    Next,
    json_body_guard,
    seal,
    unseal,
)
from keepers.api.problems import answers
from keepers.model.consent import SuppressionReason

Address = Annotated[str, Meta(min_length=1, max_length=320)]


class Suppressed(Struct, frozen=True):
    """A suppressed address: a keyed hash, for the address itself is not kept."""

    channel: str
    hash: str
    reason: SuppressionReason
    at: Instant
    source: str
    detail: str


class SuppressionPage(Struct, frozen=True):
    items: list[Suppressed]
    next: Next


class Added(Struct, frozen=True):
    channel: str
    suppressed: Annotated[int, Meta(description="How many addresses.")]


class Lifted(Struct, frozen=True):
    channel: str
    lifted: bool


class SuppressBody(Struct, frozen=True, forbid_unknown_fields=True):
    channel: Annotated[str, Meta(max_length=40, description="`email`, `sms` …")]
    addresses: Annotated[list[Address], Meta(min_length=1, max_length=1000, description="Addresses on that channel.")]
    detail: Annotated[str, Meta(max_length=500, description="Why, for the record.")] = ""


class AddressBody(Struct, frozen=True, forbid_unknown_fields=True):
    channel: Annotated[str, Meta(max_length=40, description="`email`, `sms` …")]
    address: Annotated[Address, Meta(description="The address, or its hash as listed.")]


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
