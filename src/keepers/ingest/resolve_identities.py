"""Identity resolution for one batch: links and merges decided in memory over the store's state, then written."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec
from sqlalchemy import Connection

from keepers.model.event import TrackingCall
from keepers.model.identity import MOST_IDENTITIES, MOST_UNPROVEN, IdentityKind, bucket_key, subject_kind
from keepers.store import counters
from keepers.store.profiles import identities, merges, profiles
from keepers.store.profiles.identities import KnownIdentity
from keepers.store.profiles.merges import Merge
from keepers.store.profiles.profiles import StoredProfile

Name = tuple[IdentityKind, str]
Proof = Literal["unproven", "verified", "server"]
"""of who somebody is: none, the user id signed by the business's server, or a call by that server"""


class Happened(msgspec.Struct, frozen=True):
    """A subject was created or given another bucket key (`other_id` None), or `profile_id` merged into `other_id`,
    because of a message."""

    kind: str
    profile_id: int
    other_id: int | None
    body: bytes


class Link(NamedTuple):
    """An identifier of a profile: by which row of the log it came there, and whether without proof."""

    seq: int
    is_unproven: bool


class Resolver:
    """Decides the subject of each message in turn. Made by `load`, emptied into the store by `write`.

    Rules: a known person (one with a user id) is never merged into another, except by an alias of the business's
    server; an anonymous profile joins the person it turns out to be; profiles that somebody took apart stay apart;
    nothing is linked with proof past `MOST_IDENTITIES`. Past `MOST_UNPROVEN` without proof the oldest of these links
    are dropped: whoever fills them up ends nobody's linking, and a device that was dropped is linked when it calls. The
    first call that proves a user id gives its profile the bucket key of that id, whoever linked it to what before.
    A visitor of whom the business's server spoke becomes a customer by proof alone. With proof, the device that a call
    names is proven too, whoever linked it before.
    """

    def __init__(self, next_id: int, owners: dict[Name, int]) -> None:
        self._next_id = next_id
        self._owners = owners
        self._known: set[int] = set()
        self._held: dict[int, dict[Name, Link]] = {}
        """the identifiers of each profile that may get more"""
        self._apart: set[tuple[int, int]] = set()
        self._into: dict[int, int] = {}
        self._created: dict[int, StoredProfile] = {}
        self._linked: dict[Name, int] = {}
        """new identifiers, and the profile that each was linked to"""
        self._dropped: set[Name] = set()
        """stored identifiers that are taken from their profile"""
        self._claimed: set[str] = set()
        """user ids that nobody proved to be whose they are"""
        self._proven: set[Name] = set()
        self._bucket_keys: dict[int, str] = {}
        self._replaced: dict[int, str] = {}
        """profiles that get other bucket keys"""
        self._seq = 0
        self._merged: list[tuple[int, int, str, datetime]] = []
        self._full: set[int] = set()
        self.refused_merges = 0

    @classmethod
    def load(cls, connection: Connection, messages: Iterable[TrackingCall], visitors: Collection[str] = ()) -> Resolver:
        """Reads all that the messages' identifiers lead to, in a few queries. Locks out other creators first.

        `visitors` are the anonymous ids that are named with proof.
        """
        next_id = counters.reserve(connection, counters.PROFILE_ID, 0)
        messages = list(messages)
        names = {name for message in messages for name in _names(message)}
        owners: dict[Name, int] = identities.find_many(connection, names)  # type: ignore[assignment]
        resolver = cls(next_id, owners)
        resolver._load_what_may_change(connection, messages, visitors)
        return resolver

    def _load_what_may_change(
        self, connection: Connection, messages: list[TrackingCall], visitors: Collection[str]
    ) -> None:
        # Most messages name one profile that stays as it is; how many it has matters only where ids may be joined.
        users = sorted({message.user_id for message in messages if message.user_id is not None})
        self._claimed = identities.unproven(connection, "user_id", users)
        touched = {self._owners["user_id", value] for value in self._claimed}
        doubtful = identities.unproven(connection, "anonymous_id", sorted(visitors)) if visitors else ()
        touched.update(self._owners["anonymous_id", value] for value in doubtful)
        for message in messages:
            owners = {self._owners.get(name) for name in _names(message) if name[0] != "group_id"}
            if len(owners) > 1 or message.kind == "alias":
                touched.update(owner for owner in owners if owner is not None)
        ids = sorted(touched)
        stored = identities.of_profiles(connection, ids)
        self._bucket_keys = profiles.bucket_keys(connection, ids)
        for profile_id in ids:
            self._held[profile_id] = {
                (one.kind, one.value): Link(one.linked_seq, one.is_unproven)  # type: ignore[misc]
                for one in stored[profile_id]
            }
            self._owners.update(dict.fromkeys(self._held[profile_id], profile_id))
            if any(kind == "user_id" for kind, _ in self._held[profile_id]):
                self._known.add(profile_id)
        self._apart = merges.undone_pairs(connection, ids)

    @property
    def created(self) -> int:
        """How many subjects were created so far."""
        return len(self._created)

    @property
    def merged(self) -> int:
        """How many profiles were merged so far."""
        return len(self._merged)

    def subject(self, message: TrackingCall, proof: Proof, known_at: datetime, seq: int) -> tuple[int, list[Happened]]:
        """The person a message is about, and what had to happen for it, in order. `seq` is the log's next number."""
        self._seq = seq
        happened: list[Happened] = []
        if message.kind == "alias":
            self._alias(message, proof, known_at, happened)
        return self._person(message, proof, known_at, happened), happened

    def is_doubtful(self, message: TrackingCall, person: int) -> bool:
        """Whether a call by the business's server is about a customer only because somebody said, without proof, that
        the visitor whom it names is that customer. Of a visitor whom nobody named, the server's word is noted."""
        name: Name = ("anonymous_id", message.anonymous_id or "")
        link = self._held.get(person, {}).get(name)
        if message.user_id is not None or link is None or not link.is_unproven:
            return False
        return person in self._known or not self._note_proof(name, person)

    def _note_proof(self, name: Name, person: int) -> bool:
        """Makes an identifier that was linked without proof a proven one, where it is one and there is room."""
        held = self._held.get(person, {})
        link = held.get(name)
        if link is None or not link.is_unproven:
            return False
        proven = link._replace(is_unproven=False)
        if not self._fits(person, [*held.values(), proven]):
            return False
        held[name] = proven
        self._proven.add(name)
        return True

    def _is_vouched_for(self, profile_id: int) -> bool:
        """Whether the business's server spoke of any identifier of a profile."""
        return any(not link.is_unproven for link in self._held[profile_id].values())

    def account(self, group_id: str, proof: Proof, known_at: datetime) -> tuple[int, list[Happened]]:
        """The account a group call is about."""
        happened: list[Happened] = []
        name: Name = ("group_id", group_id)
        account = self._owner(name)
        return (self._create(name, proof, known_at, happened) if account is None else account), happened

    def _person(self, message: TrackingCall, proof: Proof, at: datetime, happened: list[Happened]) -> int:
        if message.user_id is None:
            assert message.anonymous_id is not None  # the parser refuses a message without any id
            name: Name = ("anonymous_id", message.anonymous_id)
            person = self._owner(name)
            return self._create(name, proof, at, happened) if person is None else person
        user: Name = ("user_id", message.user_id)
        person = self._owner(user)
        if person is not None and proof != "unproven" and message.user_id in self._claimed:
            self._prove(user, person, happened)
        if message.anonymous_id is None:
            return self._create(user, proof, at, happened) if person is None else person
        device: Name = ("anonymous_id", message.anonymous_id)
        other = self._owner(device)
        if person is None:
            is_visitor = other is not None and other not in self._known and self._may_become(other, proof)
            if other is not None and is_visitor and self._link(user, other, proof):
                if proof != "unproven":
                    self._note_proof(device, other)
                return other
            person = self._create(user, proof, at, happened)
        if other is None:
            self._link(device, person, proof)
        elif other != person:
            person = self._join(person, other, device, proof, "identify", at, happened)
        elif proof != "unproven":
            self._note_proof(device, person)
        return person

    def _alias(self, message: TrackingCall, proof: Proof, at: datetime, happened: list[Happened]) -> None:
        assert message.previous_id is not None  # the parser refuses an alias without one
        now: Name = ("user_id", message.user_id) if message.user_id else ("anonymous_id", message.anonymous_id or "")
        before: tuple[Name, ...] = (("user_id", message.previous_id), ("anonymous_id", message.previous_id))
        person = self._owner(now)
        if person is None:
            person = next(
                (p for p in map(self._owner, before) if p is not None and self._may_alias(p, now, proof)), None
            )
            if person is None or not self._link(now, person, proof):
                person = self._create(now, proof, at, happened)
        is_new = True
        for name in before:
            previous = self._owner(name)
            if previous is not None:
                is_new = False
                if previous != person:
                    person = self._join(person, previous, name, proof, "alias", at, happened)
        if is_new:
            self._link(before[1], person, proof)
            if proof == "server":
                # The earlier name may also arrive as a user id, in a later request.
                self._link(before[0], person, proof)

    def _may_become(self, visitor: int, proof: Proof) -> bool:
        """Whether somebody who has no user id yet may get one, or be joined to somebody else, on this proof."""
        return proof != "unproven" or not self._is_vouched_for(visitor)

    def _may_alias(self, person: int, name: Name, proof: Proof) -> bool:
        """Whether an unused identifier may be linked to a profile: a second user id only by the server."""
        if proof == "server" or name[0] != "user_id":
            return True
        return person not in self._known and self._may_become(person, proof)

    def _owner(self, name: Name) -> int | None:
        owner = self._owners.get(name)
        return None if owner is None else self._live(owner)

    def _live(self, profile_id: int) -> int:
        while profile_id in self._into:
            profile_id = self._into[profile_id]
        return profile_id

    def _create(self, name: Name, proof: Proof, at: datetime, happened: list[Happened]) -> int:
        profile_id = self._next_id
        self._next_id += 1
        profile = StoredProfile(profile_id, subject_kind(name[0]), bucket_key(*name), at)
        self._created[profile_id] = profile
        self._held[profile_id] = {}
        self._link(name, profile_id, proof)
        self._bucket_keys[profile_id] = profile.bucket_key
        body = msgspec.json.encode({"kind": profile.kind, "bucket_key": profile.bucket_key})
        happened.append(Happened("profile", profile_id, None, body))
        return profile_id

    def _link(self, name: Name, profile_id: int, proof: Proof) -> bool:
        held = self._held[profile_id]
        link = Link(self._seq, proof == "unproven")
        if not self._fits(profile_id, [*held.values(), link]):
            return False
        held[name] = link
        self._owners[name] = profile_id
        self._linked[name] = profile_id
        if name[0] == "user_id":
            self._known.add(profile_id)
            if link.is_unproven:
                self._claimed.add(name[1])
        self._drop_oldest(profile_id)
        return True

    def _prove(self, user: Name, person: int, happened: list[Happened]) -> None:
        """Notes that a user id is proven to be a profile's. Whoever linked it before chose the bucket key, by the
        visitor that they linked it to, so it becomes that of the user id, unless another was proven before."""
        held = self._held[person]
        has_proven = any(kind == "user_id" and not link.is_unproven for (kind, _), link in held.items())
        if not self._note_proof(user, person):
            return
        self._claimed.discard(user[1])
        key = bucket_key(*user)
        if not has_proven and self._bucket_keys[person] != key:
            self._bucket_keys[person] = self._replaced[person] = key
            body = msgspec.json.encode({"kind": "person", "bucket_key": key, "is_replaced": True})
            happened.append(Happened("profile", person, None, body))

    def _fits(self, profile_id: int, links: Collection[Link]) -> bool:
        """Whether a profile may have so many proven identifiers; one that may not is noted."""
        if sum(not link.is_unproven for link in links) <= MOST_IDENTITIES:
            return True
        self._full.add(profile_id)
        return False

    def _drop_oldest(self, profile_id: int) -> None:
        """Takes from a profile the devices past `MOST_UNPROVEN` that nobody proved to be theirs, the oldest first."""
        held = self._held[profile_id]
        unproven = [name for name, link in held.items() if link.is_unproven]
        devices = sorted((held[name].seq, name) for name in unproven if name[0] == "anonymous_id")
        for _, name in devices[: max(0, len(unproven) - MOST_UNPROVEN)]:
            del held[name], self._owners[name]
            if self._linked.pop(name, None) is None:
                self._dropped.add(name)

    def _join(
        self, person: int, other: int, name: Name, proof: Proof, cause: str, at: datetime, happened: list[Happened]
    ) -> int:
        """One profile of two where the rules allow it; returns the one the message is about.

        `name` is the identifier of `other` that the message says is the person's: by proof it is proven to be.
        """
        if other in self._known and person in self._known and not (proof == "server" and cause == "alias"):
            self.refused_merges += 1
            return person
        survivor, gone = (other, person) if other in self._known and person not in self._known else (person, other)
        if self._are_apart(survivor, gone) or not self._may_become(gone, proof):
            self.refused_merges += 1
            return person
        # Whoever made the identifiers of the one, without proof nobody knows that they are the other's.
        joined = {
            one: Link(self._seq, proof == "unproven" or (link.is_unproven and one != name))
            for one, link in self._held[gone].items()
        }
        if not self._fits(survivor, [*self._held[survivor].values(), *joined.values()]):
            self.refused_merges += 1
            return person
        self._held[survivor].update(joined)
        del self._held[gone]
        if gone in self._known:
            self._known.add(survivor)
        self._into[gone] = survivor
        self._merged.append((gone, survivor, cause, at))
        self._drop_oldest(survivor)
        happened.append(Happened("merge", gone, survivor, msgspec.json.encode({"cause": cause})))
        return survivor

    def _are_apart(self, one: int, other: int) -> bool:
        pairs = {(source, self._live(target)) for source, target in self._apart}
        return not pairs.isdisjoint({(one, other), (other, one)})

    def write(self, connection: Connection, merge_seqs: list[int], now: datetime) -> None:
        """Writes what was decided. `merge_seqs` are the log's numbers of the merges, in order."""
        if self._created:
            counters.reserve(connection, counters.PROFILE_ID, len(self._created))
            made = [
                p._replace(merged_into=self._into.get(p.id), bucket_key=self._bucket_keys[p.id])
                for p in self._created.values()
            ]
            profiles.append(connection, made)
        profiles.set_bucket_keys(connection, {i: k for i, k in self._replaced.items() if i not in self._created})
        moved = self._write_merges(connection, merge_seqs) if self._merged else []
        identities.remove(connection, sorted(self._dropped))
        # The table is kept in the order of its key; inserting in that order is several times faster.
        identities.append(connection, sorted(map(self._known_identity, self._linked)))
        identities.move(connection, moved)
        identities.prove(connection, sorted(self._proven))
        profiles.mark_full(connection, sorted(map(self._live, self._full)), now)

    def _write_merges(self, connection: Connection, seqs: list[int]) -> list[KnownIdentity]:
        gone = sorted({merge[0] for merge in self._merged})
        stored = identities.of_profiles(connection, [i for i in gone if i not in self._created])
        owned: dict[int, list[tuple[str, str]]] = {
            profile_id: [(identity.kind, identity.value) for identity in listed]
            for profile_id, listed in stored.items()
        }
        for name, owner in self._linked.items():
            owned.setdefault(owner, []).append(name)
        recorded = []
        for (source, target, cause, at), seq in zip(self._merged, seqs, strict=True):
            moving = owned.pop(source, [])
            owned.setdefault(target, []).extend(moving)
            recorded.append(Merge(source, target, seq, at, cause, tuple(moving)))
        merges.append(connection, recorded)
        profiles.mark_merged(connection, [(i, self._into[i]) for i in gone if i not in self._created])
        names: list[Name] = [(one.kind, one.value) for listed in stored.values() for one in listed]  # type: ignore[misc]
        return [self._known_identity(name) for name in names if name not in self._dropped]

    def _known_identity(self, name: Name) -> KnownIdentity:
        owner = self._live(self._owners[name])
        link = self._held[owner][name]
        return KnownIdentity(*name, owner, link.is_unproven, link.seq)


def _names(message: TrackingCall) -> Iterator[Name]:
    if message.user_id is not None:
        yield "user_id", message.user_id
    if message.anonymous_id is not None:
        yield "anonymous_id", message.anonymous_id
    if message.previous_id is not None:
        yield "user_id", message.previous_id
        yield "anonymous_id", message.previous_id
    if message.group_id is not None:
        yield "group_id", message.group_id
