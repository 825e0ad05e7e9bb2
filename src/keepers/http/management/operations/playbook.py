"""Definitions over HTTP: what is in force, in which version; what an edit would change; making it so."""

from __future__ import annotations

from typing import Annotated, Any, get_args

import msgspec
from litestar import Controller, get, post
from litestar.openapi.spec import Example, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import Body, PathParameter, QueryParameter

from keepers.app.operations.playbook import (
    Applied,
    AppliedChange,
    DefinitionKind,
    DefinitionList,
    DefinitionSummary,
    DefinitionVersions,
    Flow,
    Plan,
    PlannedChange,
    Version,
    _files,
    _kind,
)
from keepers.app.workspace.common_fields import moment_named, shown_instant
from keepers.http.common.parameters import TEXT, AtDesk, NowParameter, json_body_guard
from keepers.http.common.problems import answers
from keepers.http.management import examples_customers as examples
from keepers.model.errors import NotFoundError
from keepers.playbook import files as playbook_files
from keepers.playbook.plan import make_plan
from keepers.store import definitions as store_definitions

_FILES_SCHEMA: dict[str, Any] = {
    "type": OpenAPIType.OBJECT,
    "additional_properties": False,
    "properties": {
        "files": Schema(
            type=OpenAPIType.OBJECT,
            additional_properties=Schema(one_of=[Schema(type=OpenAPIType.STRING), Schema(type=OpenAPIType.NULL)]),
            max_properties=playbook_files.MOST_FILES,
            description="Name (`vip.yaml`, no folders) → YAML text; null takes the file away.",
        )
    },
}


_EXAMPLE = "segments:\n  - id: regulars\n    name: Regulars\n    who: {did: Order Completed, count: {gte: 5}}\n"
FilesBody = Annotated[
    Any,
    Body(
        description="The playbook folder is the truth: what is applied is what is in it, these files included.",
        examples=[
            Example(summary="One file", value={"files": {"regulars.yaml": _EXAMPLE}}),
            Example(summary="The folder as it is", value={"files": {}}),
        ],
        schema_extra=_FILES_SCHEMA,
    ),
]


class PlaybookEndpoints(Controller):
    path = "/definitions"
    tags = ["definitions"]

    @get(
        summary="What is in force",
        responses=answers(DefinitionList, examples.DEFINITION_LIST, 400),
        sync_to_thread=True,
    )
    def list_definitions(
        self,
        desk: AtDesk,
        kind: Annotated[
            DefinitionKind | None,
            QueryParameter(
                name="kind",
                description="Of this kind alone.",
                schema_extra=TEXT | {"enum": list(get_args(DefinitionKind))},
            ),
        ] = None,
    ) -> DefinitionList:
        with desk.store.read() as connection:
            found = store_definitions.active(connection, kind)
        return DefinitionList(
            [
                DefinitionSummary(
                    _kind(d), d.id, d.version, shown_instant(d.applied_at) or "", msgspec.json.decode(d.body)
                )
                for d in found
                if d.kind != "fit"
            ]
        )

    @get(
        "/{kind:str}/{id:str}",
        summary="Every version of one definition",
        responses=answers(DefinitionVersions, examples.DEFINITION_VERSIONS, 400, 404),
        sync_to_thread=True,
    )
    def versions(
        self,
        desk: AtDesk,
        kind: Annotated[DefinitionKind, PathParameter(description="The kind.", examples=[Example(value="lifecycle")])],
        id: Annotated[str, PathParameter(description="The definition's id.", examples=[Example(value="value")])],
    ) -> DefinitionVersions:
        with desk.store.read() as connection:
            found = store_definitions.versions(connection, kind, id)
        if not found:
            raise NotFoundError(f"There never was a {kind} “{id}”.")
        listed = [
            Version(d.version, shown_instant(d.applied_at) or "", d.active, msgspec.json.decode(d.body)) for d in found
        ]
        return DefinitionVersions(kind, id, listed)

    @post(
        "/plan",
        summary="What applying would change, with the numbers",
        description="Reads the playbook folder, with the files sent in place of those there. Changes nothing.",
        responses=answers(Plan, examples.PLAN, 400, 413, 415, 422),
        status_code=200,
        guards=[json_body_guard],
        sync_to_thread=True,
    )
    def plan(self, desk: AtDesk, data: FilesBody, now: NowParameter = None) -> Plan:
        at = moment_named(desk, now)
        wanted = playbook_files.checked(desk.playbook_folder, desk.zone, _files(data))
        found = make_plan(desk.in_force(), wanted, desk.answerer, at)
        return Plan(
            shown_instant(found.now) or "",
            [PlannedChange(c.key, c.action, c.file, c.line, c.answers_change) for c in found.changes],
            [Flow(f.definition, f.stage, f.before, f.after, f.enter, f.leave) for f in found.flows],
            found.fit is not None,
        )

    @post(
        "/apply",
        summary="Make the playbook the one in force",
        description=(
            "Writes the files sent into the playbook folder, all of them or none, and applies the folder. What is "
            "applied takes part in the next tick, without a restart."
        ),
        responses=answers(Applied, examples.APPLIED, 400, 409, 413, 415, 422),
        status_code=200,
        guards=[json_body_guard],
        sync_to_thread=True,
    )
    def apply(self, desk: AtDesk, data: FilesBody) -> Applied:
        files = _files(data)
        playbook_files.checked(desk.playbook_folder, desk.zone, files)
        with playbook_files.written(desk.playbook_folder, files):
            done = desk.run("apply", {})
        changes = [AppliedChange(c["key"], c["action"]) for c in done["applied"]]
        return Applied(changes, sorted(files))
