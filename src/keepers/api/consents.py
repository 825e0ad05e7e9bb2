"""Consent over HTTP: what a customer agreed to, and recording what they say."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Controller, get, post
from msgspec import Meta, Struct

from keepers.api import examples_sending as examples
from keepers.api.bodies import body, read
from keepers.api.parameters import AtDesk, Instant, LocaleParameter, json_body_guard
from keepers.api.problems import answers
from keepers.api.profiles import NameParameter
from keepers.model.consent import Basis, ConsentState, TopicKind


class TopicConsent(Struct, frozen=True):
    """How a topic stands for a customer on one channel; `state` is null when nothing was ever said."""

    channel: str
    topic: str
    name: str
    kind: TopicKind
    basis: Basis
    state: ConsentState | None
    since: Instant | None
    may_be_written_to: bool


class Statement(Struct, frozen=True):
    """Something a customer said; statements are added and never changed."""

    channel: str
    topic: Annotated[str, Meta(description="`*` for all of the channel.")]
    state: ConsentState
    at: Instant
    source: str
    wording: Annotated[str, Meta(description="The words agreed to.")]
    basis: Basis


class Consents(Struct, frozen=True):
    """What a customer agreed to: what counts now, and every statement."""

    profile: str
    profile_id: int
    topics: list[TopicConsent]
    statements: list[Statement]


class Recorded(Struct, frozen=True):
    """The statement as it is kept; `changed` tells whether anything is different now."""

    profile: str
    changed: bool
    channel: str
    topic: str
    state: ConsentState
    at: Instant
    source: str
    wording: str
    basis: Basis


class ConsentBody(Struct, frozen=True, forbid_unknown_fields=True):
    channel: Annotated[str, Meta(max_length=40, description="`email`, `sms` …")]
    topic: Annotated[str, Meta(max_length=200, description="A topic of the playbook, or `*` for all of the channel.")]
    state: ConsentState
    source: Annotated[str, Meta(max_length=500, description="Where it was said.")] = "api"
    wording: Annotated[str, Meta(max_length=5000, description="The words agreed to.")] = ""
    at: Annotated[str, Meta(max_length=64, description="When it was said, ISO 8601; else now.")] = ""


class ConsentController(Controller):
    path = "/profiles"
    tags = ["consent"]

    @get(
        "/{id:str}/consents",
        summary="What a customer agreed to",
        responses=answers(Consents, examples.CONSENTS, 400, 404),
        sync_to_thread=True,
    )
    def consents(self, desk: AtDesk, id: NameParameter, locale: LocaleParameter = "en") -> Consents:
        return msgspec.convert(desk.look("consent", {"name": id, "locale": locale}), Consents)

    @post(
        "/{id:str}/consents/record",
        summary="Record what a customer says",
        description="The newest statement on a topic, or on all topics, counts.",
        responses=answers(Recorded, examples.RECORDED, 400, 404, 413, 415, 422),
        status_code=200,
        guards=[json_body_guard],
        sync_to_thread=True,
    )
    def record(
        self,
        desk: AtDesk,
        id: NameParameter,
        data: Annotated[
            Any,
            body(
                ConsentBody,
                "The statement.",
                {"channel": "email", "topic": "newsletter", "state": "subscribed", "source": "checkout"},
            ),
        ],
    ) -> Recorded:
        said = read(data, ConsentBody)
        asked = {
            "name": id, "channel": said.channel, "topic": said.topic, "state": said.state, "source": said.source,
            "wording": said.wording, "at": said.at or None,
        }  # fmt: skip
        return msgspec.convert(desk.run("set-consent", asked), Recorded)
