"""What each command does, apart from how it is asked for and shown: (workspace, arguments) → plain data.

The same functions answer on the command line and, beside a running server, inside that server.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, cast, get_args
from zoneinfo import ZoneInfo

import msgspec

from keepers.audience.definitions import Segment
from keepers.cli import (
    broadcast_commands,
    consent_commands,
    dkim_commands,
    erase_commands,
    journey_commands,
    message_commands,
    operations,
    replay_commands,
)
from keepers.cli.answers import moment, shown
from keepers.journeys.moving import How
from keepers.measure import moves as measure_moves
from keepers.measure import stages as measure_stages
from keepers.measure.portrait import portrait
from keepers.model.errors import DefinitionError, NotFoundError, UserError, nearest
from keepers.model.moments import Moment, format_instant, parse_duration, parse_instant, parse_moment
from keepers.pipeline import importing
from keepers.pipeline.backfill import backfill as run_backfill
from keepers.pipeline.imports.mapping import Mapping
from keepers.pipeline.tick import Ticked, until_idle
from keepers.playbook import preview
from keepers.playbook.check import Finding, check
from keepers.playbook.load import Playbook, PlaybookErrors, load, read_file
from keepers.playbook.plan import make_plan
from keepers.running.sending_status import company_remarks
from keepers.store import identities
from keepers.wire import Workspace, clock

Progress = Callable[[int, int], None]
Command = Callable[..., Any]


def tick(workspace: Workspace, progress: Progress, now: str | None = None, idle: bool = False) -> Any:
    """Works off what is there, up to `now` (the present unless told)."""
    at = clock() if now is None else parse_instant(now, workspace.zone)
    with workspace.sequencing("keepers tick") as ticker:
        done: Ticked = until_idle(ticker, at, progress) if idle else ticker.tick(at, progress)
    return msgspec.to_builtins(done) | {"now": format_instant(done.now)}


def backfill(workspace: Workspace, progress: Progress) -> Any:
    """Works history out for everything in force, up to the last tick."""
    with workspace.sequencing("keepers backfill") as ticker:
        ticker.tick(workspace.now(), progress)
        done = run_backfill(workspace.answerer, workspace.standing(), workspace.now(), progress)
    return msgspec.to_builtins(done)


def count(workspace: Workspace, progress: Progress, target: str, now: str | None = None) -> Any:
    """How many a condition (a YAML file) or a segment holds for."""
    at = moment(workspace, now)
    live = workspace.in_force().playbook
    path = Path(target)
    if path.suffix.lower() in (".yaml", ".yml", ".json") or os.path.isfile(path):
        segment = _segment_of(workspace, path, at)
    elif target in live.segments:
        segment = live.segments[target]
    else:
        raise NotFoundError(
            f"“{target}” is neither a file nor a segment in force.{nearest(target, live.segments)}", name=target
        )
    return {"count": workspace.answerer.count(workspace.standing(at), segment.who, at, segment.of)}


def _segment_of(workspace: Workspace, path: Path, at: datetime) -> Segment:
    """The condition in a file, refused when it names what is not known, with the line."""
    if not os.path.isfile(path):
        raise NotFoundError(f"There is no file {path}.")
    document = read_file(path, str(path))
    try:
        found = preview.read_preview(document.data, workspace.zone)
        preview.refuse_unknown(workspace.in_force().playbook, found, workspace.warehouse.schema(at))
    except DefinitionError as error:
        line = document.line(error.field) or 1
        raise DefinitionError(error.reason, field=error.field, file=str(path), line=line) from None
    return found.segment


def stages(workspace: Workspace, progress: Progress, lifecycle: str | None = None, now: str | None = None) -> Any:
    """Profiles per stage, in order."""
    at = moment(workspace, now)
    standing = workspace.standing(at)
    chosen = measure_stages.find_lifecycle(standing, lifecycle)
    found = measure_stages.stages(workspace.answerer, standing, chosen, at)
    return {
        "lifecycle": chosen.id,
        "name": chosen.name,
        "as_of": format_instant(at),
        "stages": [{"stage": s.stage, "profiles": s.profiles, "name": s.name} for s in found],
    }


def moves(
    workspace: Workspace, progress: Progress, since: str, lifecycle: str | None = None, now: str | None = None
) -> Any:
    """Who moved since a moment, from where to where."""
    until = moment(workspace, now)
    start = _back_to(since, workspace.zone)
    standing = workspace.standing(until)
    chosen = measure_stages.find_lifecycle(standing, lifecycle)
    begin = start.at if start.at is not None else until + start.offset
    if begin > until:
        raise UserError(f"--since {since} lies after {format_instant(until)}, up to which moves are counted.")
    found = measure_moves.moves(workspace.answerer, standing, chosen, begin, until)
    with workspace.store.read() as connection:
        names = identities.of_profiles(connection, [mover.profile_id for mover in found.latest])
    latest = tuple(
        msgspec.structs.replace(m, profile=names[m.profile_id][-1].value) if m.profile_id in names else m
        for m in found.latest
    )
    return shown(msgspec.structs.replace(found, latest=latest))


def _back_to(since: str, zone: ZoneInfo) -> Moment:
    """A moment, or how far back: `30d` is `30d ago`, as a span ahead is never meant here."""
    try:
        return Moment(offset=-parse_duration(since))
    except UserError:
        return parse_moment(since, zone)


def profile(workspace: Workspace, progress: Progress, name: str, now: str | None = None, locale: str = "en") -> Any:
    """All about one profile, and why it stands where it does."""
    at = moment(workspace, now)
    profile_id = workspace.find_profile(name)
    found = portrait(workspace.answerer, workspace.standing(at), profile_id, at, locale)
    if found is None:
        raise NotFoundError(f"“{name}” was not known yet at {format_instant(at)}.")
    with workspace.store.read() as connection:
        names = identities.of_profiles(connection, [profile_id]).get(profile_id, [])
    listed = tuple({"kind": i.kind, "value": i.value} for i in names)
    return shown(msgspec.structs.replace(found, identities=listed))


def check_playbook(workspace: Workspace, progress: Progress) -> Any:
    """Every finding about the playbook's files."""
    try:
        playbook = load(workspace.playbook_folder, workspace.zone)
    except PlaybookErrors as wrong:
        return {
            "errors": len(wrong.errors),
            "warnings": 0,
            "findings": [
                {"level": "error", "file": e.file, "line": e.line, "field": e.field, "message": e.reason}
                for e in wrong.errors
            ],
        }
    found = check(playbook, workspace.warehouse.schema(clock()))
    remarks = company_remarks(workspace.settings, playbook)
    found += [Finding("warning", "keepers.toml", None, field, sentence) for field, sentence in remarks]
    errors = sum(f.level == "error" for f in found)
    return {
        "errors": errors,
        "warnings": len(found) - errors,
        "findings": [msgspec.to_builtins(f) for f in found],
        "definitions": len(playbook.bodies),
    }


def wanted_playbook(workspace: Workspace) -> Playbook:
    """The playbook's files, refused when anything is wrong with them."""
    playbook = load(workspace.playbook_folder, workspace.zone)
    wrong = [f for f in check(playbook) if f.level == "error"]
    if wrong:
        raise PlaybookErrors([DefinitionError(f.message, field=f.field, file=f.file, line=f.line) for f in wrong])
    return playbook


def plan(workspace: Workspace, progress: Progress, now: str | None = None) -> Any:
    """What applying the playbook would change, with the numbers."""
    at = moment(workspace, now)
    workspace.ticker.load()
    live = workspace.in_force()
    found = make_plan(live, wanted_playbook(workspace), workspace.answerer, at)
    changed = [c.key.removeprefix("journey/") for c in found.changes if c.key.startswith("journey/")]
    return shown(found) | {"runs": operations.active_runs(workspace, changed)}


def apply(workspace: Workspace, progress: Progress, running: str = "finish") -> Any:
    """Makes the playbook the one in force; takes part in the next tick. `running`: finish, move or exit."""
    if running not in get_args(How):
        raise UserError(f"“{running}” is no choice for runs on older versions: finish, move or exit.", code="running")
    return operations.apply(workspace, wanted_playbook(workspace), cast(How, running))


def import_file(
    workspace: Workspace,
    progress: Progress,
    path: str,
    mapping: dict[str, Any],
    dry_run: bool = False,
    now: str | None = None,
) -> Any:
    """Imports a file of events and traits; with `dry_run` says what it would do."""
    given = msgspec.convert(mapping, Mapping)
    file = Path(path)
    at = clock() if now is None else parse_instant(now, workspace.zone)
    if dry_run:
        return shown(importing.dry_run(file, given, workspace.settings.workspace.zone, at))
    with workspace.sequencing("keepers import") as ticker:
        ticker.load()
        return shown(importing.run_import(workspace.store, workspace.warehouse, file, given, at, progress))


COMMANDS: dict[str, Command] = {
    "tick": tick,
    "backfill": backfill,
    "count": count,
    "stages": stages,
    "moves": moves,
    "profile": profile,
    "check": check_playbook,
    "plan": plan,
    "apply": apply,
    "import": import_file,
    "doctor": operations.doctor,
    "rhythm": operations.rhythm,
    "keys": operations.list_keys,
    "create-key": operations.create_key,
    "revoke-key": operations.revoke_key,
    "unmerge": operations.unmerge,
    "rebuild": operations.rebuild,
    "templates": operations.templates,
    **broadcast_commands.COMMANDS,
    **journey_commands.COMMANDS,
    **message_commands.COMMANDS,
    **consent_commands.COMMANDS,
    **replay_commands.COMMANDS,
    "erase": erase_commands.erase,
    "dkim": dkim_commands.dkim,
}
"""Every command that needs a workspace, by name."""
