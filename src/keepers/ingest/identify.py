"""The sequencer: takes accepted requests from the inbox, resolves each event's profile, and assigns its seq."""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from keepers.ingest.erased import erased_among, is_dropped
from keepers.ingest.resolve_identities import Happened, Proof, Resolver
from keepers.model.errors import ConflictError, UserError, problem
from keepers.model.event import IMPORT, LATE, TrackingCall, call_of, parse_request
from keepers.model.identity import is_trusted
from keepers.model.json_text import LIMITS, Limits
from keepers.model.write_scope import require_sequence
from keepers.store import counters, keys
from keepers.store.database import Store
from keepers.store.events import inbox, log
from keepers.store.events.inbox import PendingRequest
from keepers.store.events.log import DUPLICATE_WINDOW, LogRow
from keepers.store.privacy import removed_counts
from keepers.store.privacy.removed_counts import RemovedCount
from keepers.store.profiles import identities, merges, profiles
from keepers.store.schema.core import EPOCH
from keepers.store.secret import workspace_secret

BATCH_EVENTS = 2000
READ_ROWS = 100


class Identified(Struct):
    """What one run did. `requests` left the inbox; `events` entered the log (creations and merges not counted)."""

    requests: int = 0
    events: int = 0
    duplicates: int = 0
    refused: int = 0
    created: int = 0
    merged: int = 0
    refused_merges: int = 0
    erased: int = 0
    """events about somebody who was erased, which were dropped"""
    last_seq: int = 0


class _Arrival(Struct, frozen=True, gc=False):
    message: TrackingCall
    request: PendingRequest
    time: datetime
    """when it counts as having happened"""
    known_at: datetime
    is_history: bool
    """it came by an import, or long after it happened"""
    hash: bytes


def identify(store: Store, now: datetime, limits: Limits = LIMITS) -> Identified:
    """Works off, batch by batch, what is in the inbox when it begins, and says what was done.

    What arrives meanwhile is for the next run: under a steady stream the inbox is never empty. The caller holds
    `store.lock.sequencer`. `limits` are those the requests were accepted with. A crash at any point repeats a
    batch, whose events are then known as duplicates.
    """
    require_sequence()
    total = Identified()
    with store.read_inbox() as connection:
        until = inbox.last_id(connection)
    while identify_batch(store, now, total, until, limits):
        pass
    return total


def identify_batch(store: Store, now: datetime, total: Identified, until: int, limits: Limits = LIMITS) -> bool:
    """One batch in one transaction, of about `BATCH_EVENTS`, of requests up to the id `until`; adds to `total`.

    False when none of them is left.
    """
    requests, arrivals, refused = _gather(store, until, limits)
    if not requests:
        return False
    ids = [request.id for request in requests]
    secret = workspace_secret(store)
    with store.begin() as connection:
        log.prune(connection, now)
        kept = _without_erased(connection, secret, arrivals)
        removed_counts.add(connection, [RemovedCount("dropped", len(arrivals) - len(kept))])
        total.erased += len(arrivals) - len(kept)
        _identify(connection, kept, now, total)
        if not store.is_sqlite:
            inbox.remove(connection, ids)
    if store.is_sqlite:
        # The inbox is another database, so another transaction: a crash in between repeats the batch as duplicates.
        with store.begin_inbox() as connection:
            inbox.remove(connection, ids)
    total.requests += len(requests)
    total.refused += refused
    return True


def _gather(store: Store, until: int, limits: Limits) -> tuple[list[PendingRequest], list[_Arrival], int]:
    """Whole requests until there are enough events. Parsed before the transaction, which is kept short."""
    requests: list[PendingRequest] = []
    arrivals: list[_Arrival] = []
    refused = 0
    with store.read_inbox() as connection:
        while len(arrivals) < BATCH_EVENTS:
            rows = inbox.read(connection, READ_ROWS, requests[-1].id if requests else 0, until)
            for row in rows:
                requests.append(row)
                try:
                    parsed = parse_request(row.path, row.body, row.received_at, limits, token=str(row.id))
                except UserError:
                    # Intake would refuse it with this reason; it is in the inbox only if limits were lowered since.
                    refused += 1
                    continue
                refused += len(parsed.errors)
                is_import = call_of(row.path) == IMPORT
                arrivals += [_arrival(message, row, is_import) for message in parsed.items]
                if len(arrivals) >= BATCH_EVENTS:
                    break
            if len(rows) < READ_ROWS:
                break
    return requests, arrivals, refused


def _arrival(message: TrackingCall, request: PendingRequest, is_import: bool) -> _Arrival:
    received_at = request.received_at
    past = min(message.time, received_at)
    is_history = is_import or received_at - message.time > LATE
    # What was known when, and what lies ahead, are facts about the business, which nobody states by a public key.
    time = message.time if is_trusted(request.trust) else past
    known_at = past if is_history and is_trusted(request.trust) else received_at
    return _Arrival(message, request, time, known_at, is_history, message_hash(request.source, message.message_id))


def message_hash(source: str, message_id: str) -> bytes:
    """What a message is known by, so that a second one is noticed: 16 bytes."""
    return blake2b(f"{source}\0{message_id}".encode(), digest_size=16).digest()


def _identify(connection: Connection, arrivals: list[_Arrival], now: datetime, total: Identified) -> None:
    fresh = _without_duplicates(connection, arrivals)
    total.duplicates += len(arrivals) - len(fresh)
    if not fresh:
        return
    digests = keys.server_digests(connection, now) if any(one.message.signature for one in fresh) else []
    proofs = [_proof_of(arrival, digests) for arrival in fresh]
    visitors = {a.message.anonymous_id or "" for a, proof in zip(fresh, proofs, strict=True) if proof != "unproven"}
    resolver = Resolver.load(connection, (arrival.message for arrival in fresh), visitors)
    first = counters.reserve(connection, counters.SEQ, 0)
    rows: list[LogRow] = []
    for arrival, proof in zip(fresh, proofs, strict=True):
        _settle(resolver, arrival, proof, rows, first)
    counters.reserve(connection, counters.SEQ, len(rows))
    resolver.write(connection, [row.seq for row in rows if row.kind == "merge"], now)
    log.append(connection, rows)
    log.remember(connection, [(arrival.hash, arrival.request.received_at) for arrival in fresh])
    total.events += len(fresh)
    total.created += resolver.created
    total.merged += resolver.merged
    total.refused_merges += resolver.refused_merges
    total.last_seq = rows[-1].seq


def _without_erased(connection: Connection, secret: bytes, arrivals: list[_Arrival]) -> list[_Arrival]:
    """The arrivals but those that must not bring back somebody who was erased; see `erased.py`."""
    names = [_subject(arrival.message) for arrival in arrivals]
    erased = erased_among(connection, secret, names)
    if not erased:
        return arrivals
    return [
        arrival
        for arrival, name in zip(arrivals, names, strict=True)
        if name not in erased
        or not is_dropped(
            erased[name],
            arrival.message.time,
            is_history=arrival.is_history,
            is_trusted=is_trusted(arrival.request.trust),
        )
    ]


def _subject(message: TrackingCall) -> tuple[str, str]:
    """The identifier that says whom a message is about."""
    if message.user_id is not None:
        return "user_id", message.user_id
    assert message.anonymous_id is not None  # the parser refuses a message without any id
    return "anonymous_id", message.anonymous_id


def _without_duplicates(connection: Connection, arrivals: list[_Arrival]) -> list[_Arrival]:
    """The first of each message, unless it arrived within the window before. Expired ids are removed."""
    first: dict[bytes, _Arrival] = {}
    for arrival in arrivals:
        first.setdefault(arrival.hash, arrival)
    expired = []
    for digest, received_at in log.seen(connection, sorted(first)).items():
        if first[digest].request.received_at - received_at > DUPLICATE_WINDOW:
            expired.append(digest)
        else:
            del first[digest]
    log.forget(connection, expired)
    return list(first.values())


def _proof_of(arrival: _Arrival, digests: list[bytes]) -> Proof:
    """How well it is proven who sent a call. `digests` are those of the server keys."""
    if is_trusted(arrival.request.trust):
        return "server"
    user_id, signature = arrival.message.user_id, arrival.message.signature
    received_s = (arrival.request.received_at - EPOCH).total_seconds()
    is_signed = signature is not None and user_id is not None and signature.proves(digests, user_id, received_s)
    return "verified" if is_signed else "unproven"


def _settle(resolver: Resolver, arrival: _Arrival, proof: Proof, rows: list[LogRow], first: int) -> None:
    message = arrival.message
    other_id = None
    profile_id, happened = resolver.subject(message, proof, arrival.known_at, first + len(rows))
    if message.group_id is not None:
        other_id, founded = resolver.account(message.group_id, proof, arrival.known_at)
        happened += founded
    request = arrival.request
    # That the customer is who the server means rests on a public key's word, so what it says of them does too.
    trust = "public" if proof == "server" and resolver.is_doubtful(message, profile_id) else request.trust
    for event in happened:
        rows.append(_happening(first + len(rows), event, arrival))
    rows.append(
        LogRow(
            first + len(rows), message.kind, profile_id, other_id, message.event, arrival.time,
            request.received_at, arrival.known_at, request.source, message.body, 0, trust,
        )
    )  # fmt: skip


def _happening(seq: int, event: Happened, arrival: _Arrival) -> LogRow:
    at = arrival.known_at
    request = arrival.request
    return LogRow(
        seq, event.kind, event.profile_id, event.other_id, event.kind, at,
        request.received_at, at, request.source, event.body, 0, request.trust,
    )  # fmt: skip


def unmerge(store: Store, profile_id: int, now: datetime, source: str = "unmerge") -> int:
    """Takes back the merge by which `profile_id` is gone, and logs it; the two are not merged by themselves again.

    The identifiers that moved return, unless they were taken elsewhere since. Returns the id of the profile it
    had been merged into. Raises NotFoundError for an unknown profile, ConflictError when it is not merged.
    """
    with store.begin() as connection:
        counters.reserve(connection, counters.PROFILE_ID, 0)
        profiles.get(connection, profile_id)
        merge = merges.current(connection, profile_id)
        if merge is None:
            raise ConflictError(
                problem(
                    "Profile {profile_id} is not merged into another, so there is nothing to take back.",
                    profile_id=profile_id,
                )
            )
        holder = profiles.survivor(connection, merge.to_id)
        moved = frozenset(merge.identities)
        returning = [
            identity._replace(profile_id=profile_id)
            for identity in identities.of_profiles(connection, [holder]).get(holder, ())
            if (identity.kind, identity.value) in moved
        ]
        identities.move(connection, returning)
        profiles.mark_merged(connection, [(profile_id, None)])
        merges.mark_undone(connection, merge.id, now)
        seq = counters.reserve(connection, counters.SEQ, 1)
        body = msgspec.json.encode({"merge_seq": merge.seq, "identities": len(returning)})
        log.append(
            connection,
            [LogRow(seq, "unmerge", profile_id, merge.to_id, "unmerge", now, now, now, source, body, 0, "own")],
        )
    return merge.to_id
