"""Connects the parts of one workspace."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from threading import Lock
from zoneinfo import ZoneInfo

import duckdb
from msgspec import Struct

from keepers.app.tick import Ticker
from keepers.app.workspace.actor import Actor
from keepers.app.workspace.clock import clock, environment
from keepers.app.workspace.definitions_cache import DefinitionsCache, Loaded
from keepers.app.workspace.fair_lock import FairLock
from keepers.app.workspace.folder import DATA, PLAYBOOK, SERVER_FILE
from keepers.app.workspace.paging import cursor_secret
from keepers.app.workspace.sending import Sending
from keepers.app.workspace.settings import Settings, load_settings
from keepers.app.workspace.ticker_status import TickerStatus
from keepers.broadcasts.advance import Broadcaster
from keepers.channels.registry import CHANNELS
from keepers.contact.addresses import AddressTraits
from keepers.evaluation.active_queries import ActiveQueries, build
from keepers.evaluation.evaluate import last_tick
from keepers.evaluation.evaluator import Evaluator
from keepers.evaluation.query_numbers import preview_numbers
from keepers.model.errors import KeepersError, NotFoundError, nearest
from keepers.model.identity import IDENTITY_KINDS
from keepers.model.moments import parse_zone
from keepers.orchestration.advance import Advancer
from keepers.orchestration.journey_index import JourneyIndex
from keepers.orchestration.message_decisions import Checker
from keepers.playbook.active_playbook import ActivePlaybook, definitions_of, in_force
from keepers.playbook.plan import proposed_fit
from keepers.scores.rhythm import Fit
from keepers.store import keys
from keepers.store.database import Store
from keepers.store.messages.contact_history import Decider
from keepers.store.migrate import upgrade
from keepers.store.profiles import identities
from keepers.store.secret import workspace_secret
from keepers.store.sequencer_lock import sequencer
from keepers.warehouse.database import Warehouse

_NUMBER = re.compile(r"#[0-9]{1,18}")


class Workspace:
    """An open workspace. Stores are opened when first used; `close` when done."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.settings = settings
        self._turns = FairLock()
        self.listening_at = ""
        """where this process serves the workspace, if it does"""
        self._is_owner = False
        self._running_lock = Lock()
        self._running: dict[int, duckdb.DuckDBPyConnection] = {}
        self.ticker_status: Callable[[], TickerStatus] = TickerStatus
        """how the ticking goes, where a server ticks"""
        self.wake: Callable[[], None] = _nothing
        """tells a server's ticker that something is there to be worked off"""
        self.on_change: Callable[[Actor, str, Struct], None] = _no_audit
        """called with every change after it was made: (who, use case, request)"""

    @classmethod
    def open(cls, folder: Path) -> Workspace:
        """Raises NotFoundError where there is none and UserError for settings that cannot be used."""
        return cls(folder, load_settings(folder, environment()))

    @property
    def zone(self) -> ZoneInfo:
        return parse_zone(self.settings.workspace.zone)

    @property
    def playbook_folder(self) -> Path:
        return self.folder / PLAYBOOK

    @property
    def data_folder(self) -> Path:
        return self.folder / DATA

    @cached_property
    def store(self) -> Store:
        url = self.settings.store.url
        store = Store.open(url if "://" in url else self.folder / url)
        upgrade(store)
        return store

    @cached_property
    def warehouse(self) -> Warehouse:
        path = self.folder / self.settings.warehouse.path
        path.parent.mkdir(parents=True, exist_ok=True)
        chosen = self.settings.warehouse
        return Warehouse.open(
            path, zone=self.settings.workspace.zone, memory=chosen.memory or None, threads=chosen.threads or None
        )

    @cached_property
    def answerer(self) -> Evaluator:
        return Evaluator(self.warehouse)

    @cached_property
    def definitions(self) -> DefinitionsCache:
        return DefinitionsCache(self.store, self.warehouse, self._load_definitions)

    @cached_property
    def cursor_secret(self) -> bytes:
        """What cursors of listings are signed with."""
        return cursor_secret(self.store)

    @cached_property
    def secret(self) -> bytes:
        """What addresses are hashed and links signed with."""
        return workspace_secret(self.store)

    @cached_property
    def addresses(self) -> AddressTraits:
        """Channel → the trait that holds a customer's address on it."""
        country = str(self.settings.channels.get("sms", {}).get("country", ""))
        return AddressTraits({name: kind.address_trait for name, kind in CHANNELS.items()}, country)

    @cached_property
    def advancer(self) -> Advancer:
        def checker(roster: JourneyIndex) -> Checker:
            playbook = roster.playbook
            decider = Decider(playbook.contact, playbook.topics, self.secret)
            return Checker(self.store, roster, decider, self.addresses)

        return Advancer(self.store, self.answerer, self.zone, checker, self.addresses, self.secret)

    @cached_property
    def ticker(self) -> Ticker:
        broadcaster = Broadcaster(self.store, self.answerer, self.addresses, self.secret)
        return Ticker(
            self.store, self.answerer, self.zone, self.advancer, broadcaster, self._take_news,
            self.settings.collect.limits,
        )  # fmt: skip

    @cached_property
    def sending(self) -> Sending:
        """Channels, letters and links, for whoever sends or previews."""
        return Sending(self, clock)

    def _take_news(self, now: datetime) -> int:
        return self.sending.take_news(now)

    def in_force(self) -> ActivePlaybook:
        """The definitions applied last."""
        return self.definitions.current()[0]

    def _read_in_force(self) -> ActivePlaybook:
        with self.store.read() as connection:
            return in_force(connection, self.zone)

    def standing(self, at: datetime | None = None) -> ActiveQueries:
        """The definitions applied last as standing asks, numbered as the warehouse knows them.

        While no tick has frozen the rhythm's figures yet, those are used that one at the moment `at` would freeze.
        """
        live, queries = self.definitions.current()
        if at is None or live.fitted_at is not None:
            return queries
        return self._queries(live, proposed_fit(live, live.playbook, self.answerer, at) or live.fit)

    def _queries(self, live: ActivePlaybook, fit: Fit) -> ActiveQueries:
        definitions = definitions_of(live.playbook, fit)
        return build(definitions, preview_numbers(self.warehouse, definitions))

    def _load_definitions(self) -> Loaded:
        live = self._read_in_force()
        return live, self._queries(live, live.fit)

    def now(self) -> datetime:
        """The moment answers are as of when none is named: the last tick, or the present before the first."""
        return last_tick(self.warehouse) or clock()

    @contextmanager
    def sequencing(self, holder: str) -> Iterator[Ticker]:
        """Work on the sequence of events: one process, and in it one thread, at a time.

        Threads of this process wait for each other in the order of asking, and a block may stand inside another.
        Raises ConflictError when another process holds the sequencer's lock.
        """
        with self._turns.turn():
            if self._is_owner:
                yield self.ticker
                return
            with self.owning(holder):
                yield self.ticker

    @contextmanager
    def owning(self, holder: str) -> Iterator[None]:
        """Keeps other processes off the sequence for as long as the block lasts, as a server does for its life.

        Threads of this process still take turns by `sequencing`. Raises ConflictError when another process has it.
        """
        with sequencer(self.store, holder):
            self._is_owner = True
            try:
                yield
            finally:
                self._is_owner = False

    @contextmanager
    def interruptible(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Queries of this thread can be interrupted while the block lasts.

        Raises KeepersError with the code `stopped` when they were.
        """
        cursor = self.warehouse.cursor()
        with self._running_lock:
            self._running[id(cursor)] = cursor
        try:
            yield cursor
        except duckdb.InterruptException:
            raise KeepersError(
                "It was stopped. What was committed is kept; run it again to go on.", code="stopped"
            ) from None
        finally:
            with self._running_lock:
                self._running.pop(id(cursor), None)

    def interrupt(self) -> None:
        """Ends the queries of use cases under way, for a stop within seconds. What they had committed is kept."""
        with self._running_lock:
            for cursor in self._running.values():
                cursor.interrupt()

    def find_profile(self, name: str) -> int:
        """A profile by user id, anonymous id, group id, or Keepers' own number as `#12`. Raises NotFoundError."""
        with self.store.read() as connection:
            found = next((i for k in IDENTITY_KINDS if (i := identities.find(connection, k, name)) is not None), None)
        if found is not None:
            return found
        if _NUMBER.fullmatch(name):
            cursor = self.warehouse.cursor()
            row = cursor.execute("SELECT profile_id FROM profiles WHERE profile_id = ?", [int(name[1:])]).fetchone()
            if row:
                return int(row[0])
        with self.store.read() as connection:
            near = identities.of_profiles(connection, identities.search(connection, name, 0, 5))
        known = [identity.value for listed in near.values() for identity in listed]
        raise NotFoundError(f"No profile is known as “{name}”.{nearest(name, known)}")

    def server(self) -> dict[str, str] | None:
        """Address and token of the server that has this workspace open, if one does."""
        path = self.data_folder / SERVER_FILE
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            os.kill(int(found["pid"]), 0)
        except (OSError, ValueError, KeyError):
            return None
        return {"address": str(found["address"]), "token": str(found["token"])}

    def ensure_key(self, kind: keys.KeyKind, name: str) -> str | None:
        """Makes a first key of a kind; its token, which is shown once, or None when there is one already."""
        with self.store.begin() as connection:
            if any(key.kind == kind and key.revoked_at is None for key in keys.read_all(connection)):
                return None
            return keys.create(connection, kind, name, clock())[1]

    def close(self) -> None:
        for part in ("warehouse", "store"):
            opened = self.__dict__.pop(part, None)
            if opened is not None:
                opened.close()


def _nothing() -> None:
    """No server ticks here."""


def _no_audit(actor: Actor, use_case: str, request: Struct) -> None:
    """Nobody keeps an audit."""
