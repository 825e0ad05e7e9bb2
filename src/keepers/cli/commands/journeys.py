"""`keepers journeys`, `journey`, `enroll`, `leave` and `why`."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from keepers.app.workspace.folder import PLAYBOOK
from keepers.app.workspace.workspace import Workspace
from keepers.cli.common import Folder, Json, app, chosen_folder, give, run
from keepers.cli.present import journeys as present_sending
from keepers.cli.present import operations
from keepers.model.errors import UserError
from keepers.playbook.shipped.journeys import install_journeys

Locale = Annotated[str, typer.Option(help="Language of names and explanations: en, ru, pl, zh, it.")]
JourneyId = Annotated[str, typer.Argument(metavar="ID", help="The journey's id.")]
journey = typer.Typer(help="One journey: figures, pausing, adding one.", no_args_is_help=True)
app.add_typer(journey, name="journey")


@app.command()
def journeys(locale: Locale = "en", workspace: Folder = None, as_json: Json = False) -> None:
    """Every journey: whether it is live, who entered, who is in it, what was sent."""
    give(run(workspace, "journeys", locale=locale), as_json, present_sending.journeys)


@journey.command("show")
def show_journey(
    id: JourneyId,
    version: Annotated[int | None, typer.Option(help="Runs of this version alone.")] = None,
    locale: Locale = "en",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Step by step: who entered, waits, passed, dropped out and why, and who was not let in and why."""
    give(run(workspace, "journey", name=id, version=version, locale=locale), as_json, present_sending.journey)


@journey.command("pause")
def pause_journey(
    id: JourneyId,
    reason: Annotated[str, typer.Option(help="Why, for whoever finds it paused.")] = "",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Stop a journey where it is: its customers stay at their steps and its messages wait."""
    give(run(workspace, "pause-journey", name=id, reason=reason), as_json, operations.done)


@journey.command("resume")
def resume_journey(id: JourneyId, workspace: Folder = None, as_json: Json = False) -> None:
    """Let a paused journey go on; the pause counts for no delay."""
    give(run(workspace, "resume-journey", name=id), as_json, operations.done)


@journey.command("add")
def add_journey(
    ids: Annotated[list[str], typer.Argument(metavar="ID…", help="Starter journeys, as `keepers templates` lists.")],
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Copy starter journeys, and the words, topics and layouts they need, into the playbook."""
    folder = chosen_folder(workspace)
    Workspace.open(folder).close()
    written = install_journeys(folder / PLAYBOOK, [one for given in ids for one in given.split(",") if one])
    files = [str(path.relative_to(folder)) for path in written]
    give({"files": files}, as_json, present_sending.files_added)


@app.command()
def enroll(
    id: JourneyId,
    profiles: Annotated[
        list[str] | None, typer.Argument(metavar="PROFILE…", help="Customers, by any identity or #number.")
    ] = None,
    segment: Annotated[str | None, typer.Option(help="Everybody in this segment now.")] = None,
    data: Annotated[str | None, typer.Option(help="What the journey finds in its trigger, as a JSON object.")] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Enter the segment; without it its customers are counted.")
    ] = False,
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Enter customers into a journey by hand, at the next tick; its condition and re-entry rule hold for them too."""
    answer = run(workspace, "enroll", name=id, profiles=profiles, segment=segment, data=_object(data), yes=yes)
    give(answer, as_json, present_sending.enrolled)


@app.command()
def leave(
    run_number: Annotated[int, typer.Argument(metavar="RUN", help="The run's number, as `keepers why` shows it.")],
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "removed by hand",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Take a customer out of a journey; what it has not sent yet is not sent."""
    give(run(workspace, "leave", run=run_number, reason=reason), as_json, present_sending.run)


@app.command()
def why(
    id: Annotated[str, typer.Argument(metavar="PROFILE", help="A user id, anonymous id or group id, or #number.")],
    journey: Annotated[str | None, typer.Option(help="About this journey alone.")] = None,
    message: Annotated[str | None, typer.Option(help="About this message of the playbook alone.")] = None,
    locale: Locale = "en",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """What happened to a customer in journeys and messages, what was decided, by which rule, and why not."""
    answer = run(workspace, "why", name=id, journey=journey, message=message, locale=locale)
    give(answer, as_json, present_sending.why)


def _object(text: str | None) -> dict[str, object] | None:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=dict[str, object])
    except msgspec.DecodeError:
        raise UserError('--data takes a JSON object, such as {"plan": "pro"}.', code="json") from None
