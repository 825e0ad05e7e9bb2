"""Journeys over HTTP: how they do step by step, who is in them, pausing, entering customers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, get, post
from litestar.openapi.spec import Example
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import PathParameter, QueryParameter

from keepers.app.messaging.journeys import (
    EnrollBody,
    Enrolled,
    JourneyDetail,
    JourneyList,
    JourneySummary,
    PauseBody,
    Paused,
    Run,
    RunPage,
    Schemas,
)
from keepers.app.workspace.common_fields import MOST_NUMBER
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
from keepers.journeys.schema import contact_schema, journey_schema

JourneyId = Annotated[str, PathParameter(description="The journey's id.", examples=[Example(value="welcome")])]
RunId = Annotated[
    int, PathParameter(description="The run's number.", ge=1, le=MOST_NUMBER, examples=[Example(value=1)])
]


class Journeys(Controller):
    path = "/journeys"
    tags = ["journeys"]

    @get(
        summary="List journeys with their figures",
        responses=answers(JourneyList, examples.JOURNEY_LIST, 400),
        sync_to_thread=True,
    )
    def list_journeys(self, desk: AtDesk, locale: LocaleParameter = "en") -> JourneyList:
        return JourneyList(msgspec.convert(desk.look("journeys", {"locale": locale}), list[JourneySummary]))

    @get(
        "/schema",
        summary="What journeys are written in",
        description="JSON Schema of a journey with all its steps, ways in and waits, and of the contact rules.",
        responses=answers(Schemas, examples.SCHEMAS, 400),
        sync_to_thread=True,
    )
    def schema(self) -> Schemas:
        return Schemas(journey_schema(), contact_schema())

    @get(
        "/{id:str}",
        summary="One journey, step by step",
        description="Who entered, waits, passed and dropped out at each step and why; who was not let in and why.",
        responses=answers(JourneyDetail, examples.JOURNEY, 400, 404),
        sync_to_thread=True,
    )
    def one_journey(
        self,
        desk: AtDesk,
        id: JourneyId,
        version: Annotated[
            int | None,
            QueryParameter(
                name="version", description="Runs of this version alone.", ge=1, le=1_000_000,
                schema_extra={"one_of": None, "type": OpenAPIType.INTEGER},
            ),
        ] = None,
        locale: LocaleParameter = "en",
    ) -> JourneyDetail:  # fmt: skip
        found = desk.look("journey", {"name": id, "version": version, "locale": locale})
        return msgspec.convert(found, JourneyDetail)

    @get(
        "/{id:str}/runs",
        summary="Who is or was in a journey",
        description="Newest first.",
        responses=answers(RunPage, examples.RUN_PAGE, 400, 404),
        sync_to_thread=True,
    )
    def runs(
        self,
        desk: AtDesk,
        id: JourneyId,
        status: Annotated[
            Literal["active", "ended"] | None,
            QueryParameter(name="status", description="Only these.", schema_extra=TEXT | {"enum": ["active", "ended"]}),
        ] = None,
        limit: LimitParameter = 50,
        cursor: CursorParameter = None,
    ) -> RunPage:
        listing = ("runs", id, status)
        before = unseal(desk.secret, listing, cursor)[0] if cursor is not None else None
        asked = {"name": id, "status": status, "before": before, "limit": limit + 1}
        found = msgspec.convert(desk.look("journey-runs", asked), list[Run])
        items = found[:limit]
        return RunPage(items, seal(desk.secret, listing, [items[-1].id]) if len(found) > limit else None)

    @post(
        "/{id:str}/pause",
        summary="Pause a journey",
        description="Its customers stay at their steps, its messages wait, and whoever enters stands before the first.",
        responses=answers(Paused, examples.PAUSED, 400, 404, 409, 413, 415),
        status_code=200,
        guards=[json_body_guard],
        sync_to_thread=True,
    )
    def pause(
        self, desk: AtDesk, id: JourneyId, data: Annotated[Any, body(PauseBody, "Why.", {"reason": "a wrong price"})]
    ) -> Paused:
        asked = {"name": id, "reason": read(data, PauseBody).reason}
        return msgspec.convert(desk.run("pause-journey", asked), Paused)

    @post(
        "/{id:str}/resume",
        summary="Let a paused journey go on",
        responses=answers(Paused, examples.PAUSED | {"is_paused": False, "runs": 12}, 400, 404, 409),
        status_code=200,
        sync_to_thread=True,
    )
    def resume(self, desk: AtDesk, id: JourneyId) -> Paused:
        return msgspec.convert(desk.run("resume-journey", {"name": id}), Paused)

    @post(
        "/{id:str}/enroll",
        summary="Enter customers into a journey",
        description="At the next tick; the journey's condition and re-entry rule hold for them too.",
        responses=answers(Enrolled, examples.ENROLLED, 400, 404, 413, 415, 422),
        status_code=200,
        guards=[json_body_guard],
        sync_to_thread=True,
    )
    def enroll(
        self,
        desk: AtDesk,
        id: JourneyId,
        data: Annotated[
            Any,
            body(EnrollBody, "Customers, or a segment.", {"profiles": ["ann"], "data": {"plan": "pro"}}),
        ],
    ) -> Enrolled:
        wanted = read(data, EnrollBody)
        asked = {
            "name": id, "profiles": wanted.profiles, "segment": wanted.segment or None, "data": wanted.data,
            "yes": not wanted.dry_run, "cause": "api",
        }  # fmt: skip
        return msgspec.convert(desk.run("enroll", asked), Enrolled)

    @post(
        "/runs/{run:int}/leave",
        summary="Take a customer out of a journey",
        responses=answers(Run, examples.RUN_ENDED, 400, 404, 409),
        status_code=200,
        sync_to_thread=True,
    )
    def leave(self, desk: AtDesk, run: RunId) -> Run:
        return msgspec.convert(desk.run("leave", {"run": run}), Run)
