"""Why a customer is where they are, over HTTP: what happened, what was decided, by which rule, and why not."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, get
from litestar.params import QueryParameter
from msgspec import Meta, Struct

from keepers.api import examples_sending as examples
from keepers.api.bodies import NO_NUL
from keepers.api.parameters import TEXT, AtDesk, Instant, LocaleParameter
from keepers.api.problems import answers
from keepers.api.profiles import NameParameter


class Told(Struct, frozen=True):
    """One thing that happened or was decided."""

    at: Instant
    kind: Literal["run", "entry", "message", "consent", "suppression"]
    code: Annotated[str, Meta(description="`entered`, `waits`, `ended`, `refused`, `skipped`, `sent` …")]
    says: Annotated[str, Meta(description="The same as a sentence in the language asked for.")]
    reason: Annotated[str, Meta(description="The rule that decided: `no_consent`, `cap.email.1d`, `already_entered` …")]
    journey: str
    step: str
    run: int | None
    message: int | None
    data: dict[str, Any]


class Waiting(Struct, frozen=True):
    """A journey the customer is in."""

    run: int
    journey: str
    version: int
    step: str
    since: Instant
    until: Annotated[Instant | None, Meta(description="The latest moment at which it goes on.")]
    waits_for: Annotated[str, Meta(description="The condition waited for, as a sentence.")]
    leaves: Annotated[list[str], Meta(description="Goal and exits: what ends it at once.")]
    is_paused: bool
    says: str


class NotYet(Struct, frozen=True):
    says: str
    enter: list[str]


class Why(Struct, frozen=True):
    """Everything about one customer's journeys, messages and consent, oldest first."""

    profile: str
    profile_id: int
    as_of: Instant
    waiting: list[Waiting]
    lines: list[Told]
    not_yet: Annotated[
        NotYet | None, Meta(description="Of the journey asked about, when nothing has brought the customer to it.")
    ] = None


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
