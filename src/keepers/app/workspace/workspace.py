"""Connects the parts of one workspace."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from keepers.app.workspace.clock import clock, environment
from keepers.app.workspace.fair_lock import FairLock
from keepers.app.workspace.folder import DATA, LOCALE, PLAYBOOK, SERVER_FILE
from keepers.app.workspace.settings import Settings, load_settings
from keepers.app.workspace.ticker_status import TickerStatus
from keepers.i18n import catalogues
from keepers.model.errors import KeepersError, NotFoundError, nearest
from keepers.model.identity import IDENTITY_KINDS
from keepers.model.moments import parse_zone

# The parts are imported where they are made: a command that a server answers needs none of them.
if TYPE_CHECKING:
    import duckdb
    from msgspec import Struct

    from keepers.app.tick import Ticker
    from keepers.app.use_cases.actor import Actor
    from keepers.app.workspace.definitions_cache import DefinitionsCache, Loaded
    from keepers.app.workspace.sending import Sending
    from keepers.contact.addresses import AddressTraits
    from keepers.evaluation.active_queries import ActiveQueries
    from keepers.evaluation.evaluator import Evaluator
    from keepers.orchestration.advance import Advancer
    from keepers.orchestration.journey_index import JourneyIndex
    from keepers.orchestration.message_decisions import LiveMessageDecisions
    from keepers.playbook.active_playbook import ActivePlaybook
    from keepers.store.database import Store
    from keepers.store.keys import KeyKind
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
        """Raises NotFoundError where there is none and UserError for settings or texts that cannot be used."""
        workspace = cls(folder, load_settings(folder, environment()))
        catalogues.add_folder(folder / LOCALE)
        return workspace

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
        from keepers.store.database import Store
        from keepers.store.migrate import upgrade

        url = self.settings.store.url
        store = Store.open(url if "://" in url else self.folder / url)
        upgrade(store)
        return store

    @cached_property
    def warehouse(self) -> Warehouse:
        from keepers.warehouse.database import Warehouse

        path = self.folder / self.settings.warehouse.path
        path.parent.mkdir(parents=True, exist_ok=True)
        chosen = self.settings.warehouse
        return Warehouse.open(
            path, zone=self.settings.workspace.zone, memory=chosen.memory or None, threads=chosen.threads or None
        )

    @cached_property
    def answerer(self) -> Evaluator:
        from keepers.evaluation.evaluator import Evaluator

        return Evaluator(self.warehouse)

    @cached_property
    def definitions(self) -> DefinitionsCache:
        from keepers.app.workspace.definitions_cache import DefinitionsCache

        return DefinitionsCache(self.store, self.warehouse, self._load_definitions)

    @cached_property
    def cursor_secret(self) -> bytes:
        """What cursors of listings are signed with."""
        from keepers.app.use_cases.paging import cursor_secret

        return cursor_secret(self.store)

    @cached_property
    def secret(self) -> bytes:
        """What addresses are hashed and links signed with."""
        from keepers.store.secret import workspace_secret

        return workspace_secret(self.store)

    @cached_property
    def addresses(self) -> AddressTraits:
        """Channel → the trait that holds a customer's address on it."""
        from keepers.channels.registry import CHANNELS
        from keepers.contact.addresses import AddressTraits

        country = next((str(given["country"]) for given in self.settings.channels.values() if "country" in given), "")
        return AddressTraits({name: kind.address_trait for name, kind in CHANNELS.items()}, country)

    @cached_property
    def advancer(self) -> Advancer:
        from keepers.orchestration.advance import Advancer
        from keepers.orchestration.message_decisions import LiveMessageDecisions
        from keepers.store.messages.contact_history import StoredEligibility

        def message_decisions(roster: JourneyIndex) -> LiveMessageDecisions:
            playbook = roster.playbook
            eligibility = StoredEligibility(playbook.contact, playbook.topics, self.secret)
            return LiveMessageDecisions(self.store, roster, eligibility, self.addresses)

        return Advancer(self.store, self.answerer, self.zone, message_decisions, self.addresses, self.secret)

    @cached_property
    def ticker(self) -> Ticker:
        from keepers.app.tick import Ticker
        from keepers.broadcasts.advance import Broadcaster

        broadcaster = Broadcaster(self.store, self.answerer, self.addresses, self.secret)
        return Ticker(
            self.store, self.answerer, self.zone, self.advancer, broadcaster, self._take_news,
            self.settings.collect.limits,
        )  # fmt: skip

    @cached_property
    def sending(self) -> Sending:
        """Channels, letters and links, for whoever sends or previews."""
        from keepers.app.workspace.sending import Sending

        return Sending(self, clock)

    def _take_news(self, now: datetime) -> int:
        return self.sending.take_news(now)

    def in_force(self) -> ActivePlaybook:
        """The definitions applied last."""
        return self.definitions.current()[0]

    def _read_in_force(self) -> ActivePlaybook:
        from keepers.playbook.active_playbook import in_force

        with self.store.read() as connection:
            return in_force(connection, self.zone)

    def standing(self, at: datetime | None = None) -> ActiveQueries:
        """The definitions applied last as standing asks, numbered as the warehouse knows them.

        While no tick has frozen a score's figures yet, those are used that one at the moment `at` would freeze.
        """
        from keepers.playbook.plan import proposed_figures
        from keepers.scores.registry import SCORES

        live, queries = self.definitions.current()
        if at is None or not SCORES.keys() - live.fitted_at.keys():
            return queries
        return self._queries(live, proposed_figures(live, live.playbook, self.answerer, at) | live.figures)

    def _queries(self, live: ActivePlaybook, figures: Mapping[str, Any]) -> ActiveQueries:
        from keepers.evaluation.active_queries import build
        from keepers.evaluation.query_numbers import preview_numbers
        from keepers.playbook.active_playbook import definitions_of

        definitions = definitions_of(live.playbook, figures)
        return build(definitions, preview_numbers(self.warehouse, definitions))

    def _load_definitions(self) -> Loaded:
        live = self._read_in_force()
        return live, self._queries(live, live.figures)

    def now(self) -> datetime:
        """The moment answers are as of when none is named: the last tick, or the present before the first."""
        from keepers.evaluation.evaluate import last_tick

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
        from keepers.store.sequencer_lock import sequencer

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
        import duckdb

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
        from keepers.store.profiles import identities

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

    def ensure_key(self, kind: KeyKind, name: str) -> str | None:
        """Makes a first key of a kind; its token, which is shown once, or None when there is one already."""
        from keepers.store import keys

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
