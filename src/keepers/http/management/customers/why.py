"""Why a customer is where they are, over HTTP: what happened, what was decided, by which rule, and why not."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import Controller, get
from litestar.params import QueryParameter

from keepers.app.customers.why import Why
from keepers.app.workspace.common_fields import NO_NUL
from keepers.http.common.parameters import TEXT, AtDesk, LocaleParameter, NameParameter
from keepers.http.common.problems import answers
from keepers.http.management import examples_sending as examples


class Reasons(Controller):
    path = "/profiles"
    tags = ["journeys"]

    @get(
        "/{id:str}/why",
        summary="Why a customer is where they are",
        responses=answers(Why, examples.WHY, 400, 404),
        sync_to_thread=True,
    )
    def why(
        self,
        desk: AtDesk,
        id: NameParameter,
        journey: Annotated[
            str | None,
            QueryParameter(
                name="journey", description="About this journey alone.", schema_extra=TEXT | {"pattern": NO_NUL}
            ),
        ] = None,
        message: Annotated[
            str | None,
            QueryParameter(
                name="message",
                description="About this message of the playbook alone.",
                schema_extra=TEXT | {"pattern": NO_NUL},
            ),
        ] = None,
        locale: LocaleParameter = "en",
    ) -> Why:
        asked = {"name": id, "journey": journey, "message": message, "locale": locale}
        return msgspec.convert(desk.look("why", asked), Why)
