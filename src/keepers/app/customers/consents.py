"""Consent: what customers agreed to, recorded, imported and exported."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, cast, get_args

from msgspec import Meta, Struct
from sqlalchemy import Connection, select

from keepers.app.csv_files import CsvImported, CsvReport, CsvWritten, chunks_of, new_file, rows_of
from keepers.app.customers.addresses import hashes_by_channel, hashes_of, require_channel
from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.common_fields import ProfileName, RequestedLocale
from keepers.app.use_cases.progress import Progress
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.profile_names import names_of
from keepers.app.workspace.workspace import Workspace
from keepers.model.consent import ALL_TOPICS, NOBODY, Basis, Consent, ConsentState, TopicKind
from keepers.model.errors import NotFoundError, UserError, nearest, problem
from keepers.model.fields import text_in
from keepers.model.identity import IDENTITY_KINDS
from keepers.model.moments import format_instant, parse_instant
from keepers.playbook.load import Playbook
from keepers.store.bulk import select_in
from keepers.store.profiles import consents, identities
from keepers.store.schema.core import profiles

CONSENT_COLUMNS = ("profile", "channel", "topic", "state", "at", "source", "wording", "basis")
_NUMBER = re.compile(r"#([0-9]{1,18})")
STATES: tuple[str, ...] = get_args(ConsentState)


class ReadConsents(Struct, frozen=True, kw_only=True):
    id: ProfileName
    locale: RequestedLocale = "en"


class RecordConsent(Struct, frozen=True, kw_only=True):
    """The statement."""

    id: ProfileName
    channel: Annotated[str, Meta(max_length=40, description="`email`, `sms` …")]
    topic: Annotated[str, Meta(max_length=200, description="A topic of the playbook, or `*` for all of the channel.")]
    state: ConsentState
    source: Annotated[
        str, Meta(max_length=500, description="The source of the statement, such as a form or a call.")
    ] = "api"
    wording: Annotated[str, Meta(max_length=5000, description="The wording agreed to.")] = ""
    at: Annotated[str, Meta(max_length=64, description="When the statement was made, ISO 8601; now when left out.")] = (
        ""
    )


class ImportConsents(Struct, frozen=True, kw_only=True):
    """A file of statements."""

    path: Annotated[str, Meta(description="A CSV file with the columns of the export, by its absolute path.")]
    source: Annotated[str, Meta(description="The source of rows without one.")] = ""


class ExportConsents(Struct, frozen=True, kw_only=True):
    """The file to write."""

    path: Annotated[str, Meta(description="Its absolute path.")]


class TopicConsent(Struct, frozen=True):
    """A customer's consent to a topic on one channel; `state` is null where no statement was recorded."""

    channel: str
    topic: str
    name: str
    kind: TopicKind
    basis: Basis
    state: ConsentState | None
    since: datetime | None
    may_be_written_to: bool


class Statement(Struct, frozen=True):
    """One recorded statement of consent; statements are added and never changed."""

    channel: str
    topic: Annotated[str, Meta(description="`*` for all of the channel.")]
    state: ConsentState
    at: datetime
    source: str
    wording: Annotated[str, Meta(description="The wording agreed to.")]
    basis: Basis


class Consents(Struct, frozen=True):
    """A customer's consent: what counts now, and every statement."""

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
    at: datetime
    source: str
    wording: str
    basis: Basis


@use_case("GET /profiles/{id}/consents", permission="read", tag="consent", problems=(404,))
def read_consents(workspace: Workspace, actor: Actor, request: ReadConsents) -> Consents:
    """A customer's consent

    What counts now by topic, and every statement there was.
    """
    profile_id = workspace.find_profile(request.id)
    topics = workspace.active_playbook().playbook.topics
    with workspace.store.read() as connection:
        history = consents.history(connection, profile_id)
        at_addresses = dict(hashes_of(workspace, profile_id))
        agreements = consents.load(connection, [profile_id], list(at_addresses.values()))
    current = []
    for topic in topics.values():
        for channel in topic.channels:
            statement = agreements.effective(profile_id, channel, topic.id, at_addresses.get(channel, ""))
            is_needed = topic.kind == "marketing" and topic.basis == "consent"
            agreed = statement.state == "subscribed" if statement is not None else not is_needed
            current.append(
                TopicConsent(
                    channel,
                    topic.id,
                    text_in(topic.name, request.locale) or topic.id,
                    topic.kind,
                    topic.basis,
                    statement.state if statement is not None else None,
                    statement.at if statement is not None else None,
                    topic.kind == "transactional" or agreed,
                )
            )
    statements = [Statement(s.channel, s.topic, s.state, s.at, s.source, s.wording, s.basis) for s in history]
    return Consents(names_of(workspace, [profile_id])[profile_id], profile_id, current, statements)


@use_case(
    "POST /profiles/{id}/consents/record",
    permission="manage",
    lock="locked",
    tag="consent",
    problems=(404, 422),
    audit={
        "id": "profile",
        "channel": "plain",
        "topic": "plain",
        "source": "plain",
        "wording": "hidden",
        "at": "plain",
    },
)
def record_consent(workspace: Workspace, actor: Actor, request: RecordConsent) -> Recorded:
    """Record a statement of consent

    The newest statement on a topic, or on all topics, counts.
    """
    playbook = workspace.active_playbook().playbook
    profile_id = workspace.find_profile(request.id)
    fields = ("channel", "topic", "state", "source", "wording", "at")
    row = {name: getattr(request, name) for name in fields}
    statement = _statement(playbook, workspace, profile_id, row, dict(hashes_of(workspace, profile_id)))
    with workspace.store.begin() as connection:
        changed = consents.record(connection, [statement], workspace.clock())
    return Recorded(
        request.id,
        bool(changed),
        statement.channel,
        statement.topic,
        statement.state,
        statement.at,
        statement.source,
        statement.wording,
        statement.basis,
    )


@use_case(
    "POST /consents/import",
    permission="manage",
    lock="locked",
    tag="consent",
    problems=(422,),
    is_long=True,
    is_local=True,
    audit={"path": "plain", "source": "plain"},
)
def import_consents(workspace: Workspace, actor: Actor, request: ImportConsents, progress: Progress) -> CsvImported:
    """Import statements from a CSV file on the server's machine

    It has the columns of the export. They are history: they start no journey.
    """
    file = Path(request.path)
    playbook = workspace.active_playbook().playbook
    report = CsvReport(request.source or f"import {file.name}")
    with rows_of(file, ("profile", "channel", "topic", "state")) as rows:
        for chunk in chunks_of(rows):
            with workspace.store.begin() as connection:
                found = _profiles(connection, [row["profile"] for _, row in chunk])
                hashes = hashes_by_channel(workspace, set(found.values()))
                statements = []
                for line, row in chunk:
                    who = found.get(row["profile"])
                    if who is None:
                        report.refuse(line, f"no profile is known as “{row['profile']}”")
                        continue
                    try:
                        values = {**row, "source": row.get("source") or report.source}
                        statements.append(_statement(playbook, workspace, who, values, hashes.get(who, {})))
                    except UserError as error:
                        report.refuse(line, error.message)
                consents.record(connection, statements, workspace.clock(), is_import=True)
                report.taken += len(statements)
            progress(report.taken + report.rejected, 0)
    return report.imported()


@use_case("POST /consents/export", permission="read", tag="consent", problems=(422,), is_long=True, is_local=True)
def export_consents(workspace: Workspace, actor: Actor, request: ExportConsents, progress: Progress) -> CsvWritten:
    """Write every statement of a customer into a CSV file on the server's machine

    What holds for an address alone, since who made it was erased, is of nobody and has no row.
    """
    number = 0
    with new_file(request.path) as write, workspace.store.read() as connection:
        write(CONSENT_COLUMNS)
        for some in chunks_of(consents.everything(connection)):
            named = identities.of_profiles(connection, sorted({statement.profile_id for statement in some}))
            for statement in (one for one in some if one.profile_id != NOBODY):
                listed = named.get(statement.profile_id)
                who = listed[-1].value if listed else f"#{statement.profile_id}"
                write(
                    (
                        who,
                        statement.channel,
                        statement.topic,
                        statement.state,
                        format_instant(statement.at),
                        statement.source,
                        statement.wording,
                        statement.basis,
                    )
                )
                number += 1
            progress(number, 0)
    return CsvWritten(number, request.path)


def _statement(
    playbook: Playbook, workspace: Workspace, profile_id: int, row: dict[str, str], hashes: Mapping[str, str]
) -> Consent:
    """A statement from texts. `hashes`: channel → keyed hash of the customer's address. Raises UserError."""
    channel, topic, state = row["channel"], row["topic"], row["state"]
    require_channel(channel)
    if state not in STATES:
        raise UserError(
            problem("“{state}” is no state of consent.", near=nearest(state, STATES), state=state), field="state"
        )
    if topic != ALL_TOPICS and topic not in playbook.topics:
        known = (*playbook.topics, ALL_TOPICS)
        raise NotFoundError(
            problem("There is no topic “{topic}” in force.", near=nearest(topic, known), topic=topic), field="topic"
        )
    at = parse_instant(row["at"], workspace.zone) if row.get("at") else workspace.clock()
    if at > workspace.clock():
        raise UserError(
            problem("{at} lies in the future; consent cannot be recorded ahead of time.", at=format_instant(at)),
            field="at",
        )
    basis = playbook.topics[topic].basis if topic in playbook.topics else "consent"
    return Consent(
        profile_id, channel, topic, cast(ConsentState, state), at, row.get("source") or "by hand",
        wording=row.get("wording") or "", basis=basis, address_hash=hashes.get(channel, ""), holds_for="person",
    )  # fmt: skip


def _profiles(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    """Profiles by any identity, or as `#12`; unknown ones are absent."""
    found: dict[str, int] = {}
    for kind in reversed(IDENTITY_KINDS):
        known = identities.find_many(connection, [(kind, name) for name in names])
        found |= {name: profile_id for (_, name), profile_id in known.items()}
    numbers = {name: int(m[1]) for name in names if name not in found and (m := _NUMBER.fullmatch(name))}
    query = select(profiles.c.id)
    there = {row[0] for row in select_in(connection, query, profiles.c.id, sorted(set(numbers.values())))}
    return found | {name: number for name, number in numbers.items() if number in there}
