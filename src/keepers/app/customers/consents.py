"""Commands about who may be written to: consent, suppressed addresses, and the codes customers are given."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, cast, get_args

from msgspec import Meta, Struct
from sqlalchemy import Connection, select

from keepers.app.csv_files import CsvReport, chunks_of, new_file, rows_of
from keepers.app.customers.addresses import _require_channel
from keepers.app.customers.suppressions import (
    export_suppressions,
    import_suppressions,
    lift_suppression,
    list_suppressions,
    suppress,
)
from keepers.app.messaging.coupons import coupon_status, import_coupons
from keepers.app.workspace.clock import clock
from keepers.app.workspace.common_fields import Instant, shown
from keepers.app.workspace.profile_names import names_of
from keepers.app.workspace.progress import Progress
from keepers.app.workspace.workspace import Workspace
from keepers.model.consent import ALL_TOPICS, Basis, Consent, ConsentState, TopicKind
from keepers.model.errors import NotFoundError, UserError, nearest
from keepers.model.identity import IDENTITY_KINDS
from keepers.model.moments import format_instant, parse_instant
from keepers.model.texts import text_in
from keepers.playbook.load import Playbook
from keepers.store.bulk import select_in
from keepers.store.profiles import consents, identities
from keepers.store.schema.core import profiles

CONSENT_COLUMNS = ("profile", "channel", "topic", "state", "at", "source", "wording", "basis")
_NUMBER = re.compile(r"#([0-9]{1,18})")
STATES: tuple[str, ...] = get_args(ConsentState)


def consent(workspace: Workspace, progress: Progress, name: str, locale: str = "en") -> Any:
    """What a customer agreed to: what counts now by topic, and every statement there was."""
    profile_id = workspace.find_profile(name)
    topics = workspace.in_force().playbook.topics
    with workspace.store.read() as connection:
        history = consents.history(connection, profile_id)
        held = consents.current(connection, [profile_id]).get(profile_id, {})
    current = []
    for topic in topics.values():
        for channel in topic.channels:
            said = consents.standing(held, channel, topic.id)
            is_needed = topic.kind == "marketing" and topic.basis == "consent"
            current.append(
                {
                    "channel": channel,
                    "topic": topic.id,
                    "name": text_in(topic.name, locale) or topic.id,
                    "kind": topic.kind,
                    "basis": topic.basis,
                    "state": said.state if said is not None else None,
                    "since": shown(said.at) if said is not None else None,
                    "may_be_written_to": topic.kind == "transactional"
                    or (said.state == "subscribed" if said is not None else not is_needed),
                }
            )
    return {
        "profile": names_of(workspace, [profile_id])[profile_id],
        "profile_id": profile_id,
        "topics": current,
        "statements": [_statement(said) for said in history],
    }


def set_consent(
    workspace: Workspace,
    progress: Progress,
    name: str,
    channel: str,
    topic: str,
    state: str,
    source: str = "by hand",
    wording: str = "",
    at: str | None = None,
) -> Any:
    """Records a statement of a customer's; `*` as topic stands for all of the channel."""
    playbook = workspace.in_force().playbook
    profile_id = workspace.find_profile(name)
    said = _said(playbook, workspace, profile_id, {
        "channel": channel, "topic": topic, "state": state, "source": source, "wording": wording, "at": at or "",
    })  # fmt: skip
    with workspace.store.begin() as connection:
        changed = consents.record(connection, [said], clock())
    return {"profile": name, "changed": bool(changed)} | _statement(said)


def import_consent(workspace: Workspace, progress: Progress, path: str, source: str = "") -> Any:
    """Takes statements from a CSV file with the columns of the export. History: it starts no journey."""
    file = Path(path)
    playbook = workspace.in_force().playbook
    report = CsvReport(source or f"import {file.name}")
    with rows_of(file, ("profile", "channel", "topic", "state")) as rows:
        for chunk in chunks_of(rows):
            with workspace.store.begin() as connection:
                found = _profiles(connection, [row["profile"] for _, row in chunk])
                said = []
                for line, row in chunk:
                    who = found.get(row["profile"])
                    if who is None:
                        report.refuse(line, f"no profile is known as “{row['profile']}”")
                        continue
                    try:
                        said.append(
                            _said(playbook, workspace, who, {**row, "source": row.get("source") or report.source})
                        )
                    except UserError as error:
                        report.refuse(line, error.message)
                consents.record(connection, said, clock(), is_import=True)
                report.taken += len(said)
            progress(report.taken + report.rejected, 0)
    return report.told()


def export_consent(workspace: Workspace, progress: Progress, path: str) -> Any:
    """Writes every statement there is into a CSV file."""
    number = 0
    with new_file(path) as write, workspace.store.read() as connection:
        write(CONSENT_COLUMNS)
        for some in chunks_of(consents.everything(connection)):
            named = identities.of_profiles(connection, sorted({said.profile_id for said in some}))
            for said in some:
                listed = named.get(said.profile_id)
                who = listed[-1].value if listed else f"#{said.profile_id}"
                write(
                    (
                        who,
                        said.channel,
                        said.topic,
                        said.state,
                        format_instant(said.at),
                        said.source,
                        said.wording,
                        said.basis,
                    )
                )
                number += 1
            progress(number, 0)
    return {"written": number, "file": path}


def _said(playbook: Playbook, workspace: Workspace, profile_id: int, row: dict[str, str]) -> Consent:
    """A statement from texts. Raises UserError."""
    channel, topic, state = row["channel"], row["topic"], row["state"]
    _require_channel(channel)
    if state not in STATES:
        raise UserError(f"“{state}” is no state of consent.{nearest(state, STATES)}", field="state")
    if topic != ALL_TOPICS and topic not in playbook.topics:
        known = (*playbook.topics, ALL_TOPICS)
        raise NotFoundError(f"There is no topic “{topic}” in force.{nearest(topic, known)}", field="topic")
    at = parse_instant(row["at"], workspace.zone) if row.get("at") else clock()
    if at > clock():
        raise UserError(f"{format_instant(at)} lies in the future; nobody has agreed to anything then.", field="at")
    basis = playbook.topics[topic].basis if topic in playbook.topics else "consent"
    return Consent(
        profile_id, channel, topic, cast(ConsentState, state), at, row.get("source") or "by hand",
        row.get("wording") or "", basis,
    )  # fmt: skip


def _statement(said: Consent) -> dict[str, Any]:
    told: dict[str, Any] = shown(said)
    del told["profile_id"]
    return told


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


COMMANDS: dict[str, Callable[..., Any]] = {
    "consent": consent,
    "set-consent": set_consent,
    "import-consent": import_consent,
    "export-consent": export_consent,
    "suppress": suppress,
    "lift-suppression": lift_suppression,
    "suppressions": list_suppressions,
    "import-suppressions": import_suppressions,
    "export-suppressions": export_suppressions,
    "import-coupons": import_coupons,
    "coupons": coupon_status,
}


class TopicConsent(Struct, frozen=True):
    """How a topic stands for a customer on one channel; `state` is null when nothing was ever said."""

    channel: str
    topic: str
    name: str
    kind: TopicKind
    basis: Basis
    state: ConsentState | None
    since: Instant | None
    may_be_written_to: bool


class Statement(Struct, frozen=True):
    """Something a customer said; statements are added and never changed."""

    channel: str
    topic: Annotated[str, Meta(description="`*` for all of the channel.")]
    state: ConsentState
    at: Instant
    source: str
    wording: Annotated[str, Meta(description="The words agreed to.")]
    basis: Basis


class Consents(Struct, frozen=True):
    """What a customer agreed to: what counts now, and every statement."""

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
    at: Instant
    source: str
    wording: str
    basis: Basis


class ConsentBody(Struct, frozen=True, forbid_unknown_fields=True):
    channel: Annotated[str, Meta(max_length=40, description="`email`, `sms` …")]
    topic: Annotated[str, Meta(max_length=200, description="A topic of the playbook, or `*` for all of the channel.")]
    state: ConsentState
    source: Annotated[str, Meta(max_length=500, description="Where it was said.")] = "api"
    wording: Annotated[str, Meta(max_length=5000, description="The words agreed to.")] = ""
    at: Annotated[str, Meta(max_length=64, description="When it was said, ISO 8601; else now.")] = ""
