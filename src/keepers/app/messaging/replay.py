"""A journey run over recorded history: who would have entered, and what they would have got; nothing is sent."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct

from keepers.app.messaging.journeys import JourneyId
from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.common_fields import moment
from keepers.app.use_cases.progress import Progress
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.model.errors import DefinitionError, UserError, problem
from keepers.model.moments import parse_duration
from keepers.orchestration.dry_run.replay import Replay
from keepers.orchestration.dry_run.replayed import Day, Replayed
from keepers.playbook.check import check
from keepers.playbook.load import Playbook, PlaybookErrors, load

_SHARE = re.compile(r"(\d{1,3}(?:\.\d+)?)\s*%")

ReplayDay: TypeAlias = Day


class ReplayJourney(Struct, frozen=True, kw_only=True):
    """Over how long, for how many."""

    id: JourneyId
    since: Annotated[str, Meta(max_length=64, description="How far back, such as `90d`.")] = "90d"
    sample: Annotated[str, Meta(max_length=64, description="A stable share of the customers, such as `10%`.")] = "100%"
    is_live: Annotated[bool, Meta(description="The active version instead of the playbook's files.")] = False
    now: Annotated[str, Meta(max_length=64, description="Until this moment. The last tick when left out.")] | None = (
        None
    )


class ReplayReport(Replayed, frozen=True, kw_only=True):
    """What a journey would have done. Numbers are of customers in the sample, not scaled up."""

    sample: Annotated[float, Meta(gt=0, le=1, description="The share of the customers it was run for.")]


@use_case("POST /journeys/{id}/replay", permission="read", lock="sequenced", problems=(404, 409, 422), is_long=True)
def replay_journey(workspace: Workspace, actor: Actor, request: ReplayJourney, progress: Progress) -> ReplayReport:
    """Run a journey over recorded history

    As the playbook's files have it, or as it is in force. Nothing is performed and nothing is kept.
    """
    until = moment(workspace, request.now)
    share = _share(request.sample)
    workspace.ticker.load()
    live = workspace.active_playbook()
    playbook = live.playbook if request.is_live else _draft(workspace)
    chosen = Replay(workspace.store, workspace.evaluator, live, playbook, workspace.zone, request.id)
    since = until - parse_duration(request.since)
    progress(0, 1)
    done = chosen.run(since, until, workspace.addresses, workspace.secret, share)
    progress(1, 1)
    return ReplayReport(**msgspec.structs.asdict(done), sample=share)


def _share(text: str) -> float:
    found = _SHARE.fullmatch(text.strip())
    share = float(found[1]) / 100 if found else 0.0
    if not 0 < share <= 1:
        raise UserError(
            problem("Sample {text}: expected a share of the customers such as 10%.", text=text),
            code="sample",
            field="sample",
        )
    return share


def _draft(workspace: Workspace) -> Playbook:
    """The playbook's files, refused when anything is wrong with them."""
    playbook = load(workspace.playbook_folder, workspace.zone)
    wrong = [f for f in check(playbook) if f.level == "error"]
    if wrong:
        raise PlaybookErrors([DefinitionError(f.sentence, field=f.field, file=f.file, line=f.line) for f in wrong])
    return playbook
