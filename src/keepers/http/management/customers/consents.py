"""Consent over HTTP: what a customer agreed to, and recording what they say."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Controller, get, post

from keepers.app.customers.consents import ConsentBody, Consents, Recorded
from keepers.http.common.bodies import body, read
from keepers.http.common.parameters import AtDesk, LocaleParameter, NameParameter, json_body_guard
from keepers.http.common.problems import answers
from keepers.http.management import examples_sending as examples


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
