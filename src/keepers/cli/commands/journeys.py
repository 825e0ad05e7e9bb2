"""`keepers journeys`, `journey`, `enroll`, `leave` and `why`."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from keepers.cli.common import Folder, Json, Locale, app, call, show
from keepers.model.errors import UserError

JourneyId = Annotated[str, typer.Argument(metavar="ID", help="The journey's id.")]
journey = typer.Typer(help="One journey: figures, pausing, adding one.", no_args_is_help=True)
app.add_typer(journey, name="journey")


@app.command()
def journeys(locale: Locale = "en", workspace: Folder = None, as_json: Json = False) -> None:
    """Every journey: whether it is live, who entered, who is in it, what was sent."""
    from keepers.app.messaging.journeys import ListJourneys, list_journeys
    from keepers.cli.present.journeys import journeys

    show(call(workspace, list_journeys, ListJourneys(locale=locale)), as_json, journeys)


@journey.command("show")
def show_journey(
    id: JourneyId,
    version: Annotated[int | None, typer.Option(help="Only runs of this version.")] = None,
    locale: Locale = "en",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Step by step: who entered, waits, passed, dropped out and why, and who was not entered and why."""
    from keepers.app.messaging.journeys import ReadJourney, read_journey
    from keepers.cli.present.journeys import journey

    show(call(workspace, read_journey, ReadJourney(id=id, version=version, locale=locale)), as_json, journey)


@journey.command("pause")
def pause_journey(
    id: JourneyId,
    reason: Annotated[str, typer.Option(help="The reason, shown while it is paused.")] = "",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Stop a journey where it is: its customers stay at their steps and its messages wait."""
    from keepers.app.messaging.journeys import PauseJourney, pause_journey
    from keepers.cli.present.tables import fields

    show(call(workspace, pause_journey, PauseJourney(id=id, reason=reason)), as_json, fields)


@journey.command("resume")
def resume_journey(id: JourneyId, workspace: Folder = None, as_json: Json = False) -> None:
    """Resume a paused journey; the pause does not count towards delays."""
    from keepers.app.messaging.journeys import ResumeJourney, resume_journey
    from keepers.cli.present.tables import fields

    show(call(workspace, resume_journey, ResumeJourney(id=id)), as_json, fields)


@journey.command("add")
def add_journey(
    ids: Annotated[list[str], typer.Argument(metavar="ID…", help="Starter journeys, as `keepers templates` lists.")],
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Copy starter journeys, and the derived events, topics and layouts they need, into the playbook."""
    from keepers.app.messaging.journeys import AddStarterJourneys, add_starter_journeys
    from keepers.cli.present.journeys import files_added

    wanted = [one for listed in ids for one in listed.split(",") if one]
    show(call(workspace, add_starter_journeys, AddStarterJourneys(ids=wanted)), as_json, files_added)


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
    from keepers.app.messaging.journeys import EnrollCustomers, enroll_customers
    from keepers.cli.present.journeys import enrolled

    request = EnrollCustomers(
        id=id,
        profiles=profiles or [],
        segment=segment or "",
        data=_object(data),
        dry_run=bool(segment) and not yes,
    )
    show(call(workspace, enroll_customers, request), as_json, enrolled)


@app.command()
def leave(
    run_number: Annotated[int, typer.Argument(metavar="RUN", help="The run's number, as `keepers why` shows it.")],
    reason: Annotated[str, typer.Option(help="The reason, kept with the change.")] = "removed by hand",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """Take a customer out of a journey; what it has not sent yet is not sent."""
    from keepers.app.messaging.journeys import LeaveJourney, leave_journey
    from keepers.cli.present.journeys import run

    show(call(workspace, leave_journey, LeaveJourney(run=run_number, reason=reason)), as_json, run)


@app.command()
def why(
    id: Annotated[str, typer.Argument(metavar="PROFILE", help="A user id, anonymous id or group id, or #number.")],
    journey: Annotated[str | None, typer.Option(help="Only about this journey.")] = None,
    message: Annotated[str | None, typer.Option(help="Only about this message template.")] = None,
    locale: Locale = "en",
    workspace: Folder = None,
    as_json: Json = False,
) -> None:
    """What happened to a customer in journeys and messages, what was decided, by which rule, and why not."""
    from keepers.app.customers.why import ExplainProfile, explain_profile
    from keepers.cli.present.customers import why

    request = ExplainProfile(id=id, journey=journey, message=message, locale=locale)
    show(call(workspace, explain_profile, request), as_json, why)


def _object(text: str | None) -> dict[str, object]:
    if text is None:
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, object])
    except msgspec.DecodeError:
        raise UserError('--data takes a JSON object, such as {"plan": "pro"}.', code="json") from None
