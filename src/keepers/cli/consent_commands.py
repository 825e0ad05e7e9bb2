"""Commands about who may be written to: consent, suppressed addresses, and the codes customers are given."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast, get_args

from sqlalchemy import Connection, select, tuple_

from keepers.channels.phone import address_of
from keepers.channels.registry import CHANNELS
from keepers.cli.answers import Progress, names_of, shown
from keepers.cli.csv_files import Report, chunks_of, first_column, new_file, rows_of
from keepers.model.consent import ALL_TOPICS, Consent, ConsentState, SuppressionReason, address_hash
from keepers.model.definitions import text_in
from keepers.model.errors import NotFoundError, UserError, nearest
from keepers.model.moments import format_instant, parse_instant
from keepers.model.profile import IDENTITY_KINDS
from keepers.playbook.load import Playbook
from keepers.store import consents, coupons, identities, suppressions
from keepers.store.bulk import select_in
from keepers.store.message_tables import suppressions as suppression_table
from keepers.store.suppressions import Suppression
from keepers.store.tables import profiles
from keepers.wire import Workspace, clock

CONSENT_COLUMNS = ("profile", "channel", "topic", "state", "at", "source", "wording", "basis")
SUPPRESSION_COLUMNS = ("channel", "address", "hash", "reason", "at", "source", "detail")
_NUMBER = re.compile(r"#([0-9]{1,18})")
_HASH = re.compile(r"[0-9a-f]{64}")
STATES: tuple[str, ...] = get_args(ConsentState)
REASONS: tuple[str, ...] = get_args(SuppressionReason)


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
    report = Report(source or f"import {file.name}")
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


def suppress(
    workspace: Workspace,
    progress: Progress,
    channel: str,
    addresses: list[str],
    reason: str = "manual",
    detail: str = "",
) -> Any:
    """Addresses never to be written to again. Only their hashes are kept."""
    _require_channel(channel)
    _require_reason(reason)
    now = clock()
    rows = [
        Suppression(channel, _hashed(workspace, channel, one), cast(SuppressionReason, reason), now, "by hand", detail)
        for one in addresses
    ]
    with workspace.store.begin() as connection:
        suppressions.add(connection, rows)
    return {"channel": channel, "suppressed": len({row.hash for row in rows})}


def lift_suppression(workspace: Workspace, progress: Progress, channel: str, address: str) -> Any:
    """Takes an address, or a hash as the list shows it, off the list."""
    _require_channel(channel)
    with workspace.store.begin() as connection:
        if not suppressions.lift(connection, channel, _hashed(workspace, channel, address)):
            raise NotFoundError(f"This address is not suppressed on {channel}.")
    return {"channel": channel, "lifted": True}


def list_suppressions(
    workspace: Workspace,
    progress: Progress,
    channel: str | None = None,
    address: str | None = None,
    after: list[str] | None = None,
    limit: int = 50,
) -> Any:
    """Suppressed addresses by channel and hash; `after` is the (channel, hash) to go on from. One address if asked."""
    if channel is not None:
        _require_channel(channel)
    columns = suppression_table.c
    query = select(suppression_table).order_by(columns.channel, columns.hash).limit(limit)
    if channel is not None:
        query = query.where(columns.channel == channel)
    if address is not None:
        if channel is None:
            raise UserError("Say on which channel the address is.", field="channel")
        query = query.where(columns.hash == _hashed(workspace, channel, address))
    if after is not None:
        query = query.where(tuple_(columns.channel, columns.hash) > tuple_(*after))
    with workspace.store.read() as connection:
        return [shown(Suppression(*row)._asdict()) for row in connection.execute(query)]


def import_suppressions(
    workspace: Workspace, progress: Progress, path: str, channel: str = "email", source: str = ""
) -> Any:
    """Takes addresses, or hashes of this workspace's own export, from a CSV file."""
    file = Path(path)
    report = Report(source or f"import {file.name}")
    now = clock()
    with rows_of(file, ()) as rows:
        for chunk in chunks_of(rows):
            taken = []
            for line, row in chunk:
                try:
                    taken.append(_suppression(workspace, row, channel, report.source, now))
                except UserError as error:
                    report.refuse(line, error.message)
            with workspace.store.begin() as connection:
                suppressions.add(connection, taken)
            report.taken += len(taken)
            progress(report.taken + report.rejected, 0)
    return report.told()


def export_suppressions(workspace: Workspace, progress: Progress, path: str) -> Any:
    """Writes the whole list into a CSV file: hashes, for addresses are not kept."""
    number = 0
    names = tuple(name for name in SUPPRESSION_COLUMNS if name != "address")
    with new_file(path) as write, workspace.store.read() as connection:
        write(names)
        for one in suppressions.everything(connection):
            write((one.channel, one.hash, one.reason, format_instant(one.at), one.source, one.detail))
            number += 1
    return {"written": number, "file": path}


def import_coupons(
    workspace: Workspace,
    progress: Progress,
    pool: str,
    path: str | None = None,
    codes: list[str] | None = None,
    expires: str | None = None,
) -> Any:
    """Adds codes to a pool, from a file with one in a line (or in its first column) or as given."""
    pools = workspace.in_force().playbook.coupons
    if pool not in pools:
        raise NotFoundError(f"There is no pool of coupons “{pool}” in force.{nearest(pool, pools)}")
    expires_at = parse_instant(expires, workspace.zone) if expires is not None else None
    given = list(codes or ())
    if path is not None:
        given += first_column(Path(path))
    read, added = 0, 0
    for some in chunks_of(given):
        wanted = list(dict.fromkeys(code.strip() for code in some if code.strip()))
        with workspace.store.begin() as connection:
            added += coupons.put(connection, pool, wanted, clock(), expires_at)
        read += len(wanted)
        progress(read, len(given))
    return {"pool": pool, "read": read, "added": added, "known_already": read - added}


def coupon_status(workspace: Workspace, progress: Progress, locale: str = "en") -> Any:
    """What is left in each pool, and where it runs low."""
    pools = workspace.in_force().playbook.coupons
    with workspace.store.read() as connection:
        stock = coupons.stock(connection, clock())
    found = []
    for name in (*pools, *sorted(stock.keys() - pools.keys())):
        pool, held = pools.get(name), stock.get(name)
        left = held.left if held is not None else 0
        low = pool.low if pool is not None else 0
        found.append(
            {
                "pool": name,
                "name": (text_in(pool.name, locale) if pool is not None else "") or name,
                "left": left,
                "taken": held.taken if held is not None else 0,
                "low": low,
                "is_low": pool is not None and left <= low,
            }
        )
    return found


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


def _suppression(workspace: Workspace, row: dict[str, str], channel: str, source: str, now: Any) -> Suppression:
    channel = row.get("channel") or channel
    _require_channel(channel)
    address = row.get("hash") or row.get("address") or row.get("email") or row.get("phone") or ""
    if not address:
        raise UserError("neither address nor hash is there")
    reason = row.get("reason") or "import"
    _require_reason(reason)
    at = parse_instant(row["at"], workspace.zone) if row.get("at") else now
    return Suppression(
        channel, _hashed(workspace, channel, address), cast(SuppressionReason, reason), at,
        row.get("source") or source, row.get("detail") or "",
    )  # fmt: skip


def _hashed(workspace: Workspace, channel: str, address: str) -> str:
    """An address's hash, or the hash itself when that is what was given."""
    if not address.strip():
        raise UserError("The address is empty.", field="address")
    if _HASH.fullmatch(address):
        return address
    written = address_of(channel, address, workspace.addresses.country)
    if channel == "sms" and not written.startswith(("+", "00")):
        raise UserError(
            f"“{address.strip()[:40]}” may be a telephone number of many countries. Write it with + and the code of "
            "its country, or set country in [channels.sms] of keepers.toml.",
            field="address",
        )
    return address_hash(workspace.secret, channel, written)


def _require_channel(channel: str) -> None:
    if channel not in CHANNELS:
        raise NotFoundError(f"There is no channel “{channel}”.{nearest(channel, CHANNELS)}", field="channel")


def _require_reason(reason: str) -> None:
    if reason not in REASONS:
        raise UserError(f"“{reason}” is no reason to suppress an address.{nearest(reason, REASONS)}", field="reason")


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
