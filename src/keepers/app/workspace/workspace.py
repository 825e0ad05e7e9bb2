"""Connects the parts of one workspace."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from threading import Lock, get_ident
from typing import TYPE_CHECKING, Any, TypeVar
from zoneinfo import ZoneInfo

from keepers.app.workspace.clock import clock, environment
from keepers.app.workspace.fair_lock import FairLock, OnWait, no_wait
from keepers.app.workspace.files.disk_probe import require_writable
from keepers.app.workspace.files.folder import DATA, LOCALE, PLAYBOOK
from keepers.app.workspace.files.server_file import RunningServer, read_server_file
from keepers.app.workspace.gate import Gate
from keepers.app.workspace.settings import Settings, load_settings
from keepers.app.workspace.steady_clock import SteadyClock
from keepers.app.workspace.ticker_status import TickerStatus
from keepers.i18n import catalogues
from keepers.model.errors import KeepersError, NotFoundError, UserError, nearest, problem
from keepers.model.identity import IDENTITY_KINDS
from keepers.model.moments import parse_zone
from keepers.model.write_scope import write_scope

# The parts are imported where they are made: a command that a server answers needs none of them.
if TYPE_CHECKING:
    from keepers.app.access.key_ring import KeyRing
    from keepers.app.public.rate_limit import PublicLimits
    from keepers.app.tick import Ticker
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
    from keepers.store.key_kinds import KeyKind
    from keepers.warehouse.database import Warehouse

T = TypeVar("T")
_NUMBER = re.compile(r"#[0-9]{1,18}")


class Workspace:
    """An open workspace. Stores are opened when first used; `close` when done."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.settings = settings
        self._sequence_lock = FairLock()
        self.warehouse_gate = Gate()
        """entered by whoever reads the warehouse without holding the sequence of events"""
        self.machine_clock: Callable[[], datetime] = clock
        """what the machine's clock shows, naive UTC, also where it fell back behind the last tick"""
        self.steady_clock = SteadyClock(lambda: self.machine_clock())
        self.clock: Callable[[], datetime] = self.steady_clock
        """the present, naive UTC"""
        self.listening_at = ""
        """the address at which this process serves the workspace; empty if it does not"""
        self._is_owner = False
        self._running_lock = Lock()
        self._running: Counter[int] = Counter()
        self._parts: dict[Callable[[Workspace], Any], Any] = {}
        self.ticker_status: Callable[[], TickerStatus] = TickerStatus
        """the ticker's status, where a server ticks"""
        self.wake: Callable[[], None] = _nothing
        """wakes a server's ticker"""

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
        try:
            upgrade(store)
        except UserError:
            # SQLite says no more than that it cannot open the file.
            if store.folder is not None:
                require_writable(store.folder)
            raise
        return store

    @cached_property
    def warehouse(self) -> Warehouse:
        from keepers.warehouse.database import Warehouse

        path = self.folder / self.settings.warehouse.path
        path.parent.mkdir(parents=True, exist_ok=True)
        chosen = self.settings.warehouse
        return Warehouse.open(
            path,
            zone=self.settings.workspace.zone,
            memory=chosen.memory or None,
            threads=chosen.threads or None,
            public_sources=self._write_key_ids,
            now=self.machine_clock(),
        )

    def _write_key_ids(self) -> list[str]:
        from keepers.store import keys

        with self.store.read() as connection:
            return [key.id for key in keys.read_all(connection) if key.kind == "write"]

    @cached_property
    def evaluator(self) -> Evaluator:
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

        country = next(
            (str(section["country"]) for section in self.settings.channels.values() if "country" in section), ""
        )
        return AddressTraits({name: kind.address_trait for name, kind in CHANNELS.items()}, country)

    @cached_property
    def advancer(self) -> Advancer:
        from keepers.orchestration.advance import Advancer
        from keepers.orchestration.message_decisions import LiveMessageDecisions
        from keepers.store.messages.contact_history import StoredEligibility

        def message_decisions(index: JourneyIndex) -> LiveMessageDecisions:
            playbook = index.playbook
            eligibility = StoredEligibility(playbook.contact, playbook.topics, self.secret)
            return LiveMessageDecisions(self.store, index, eligibility, self.addresses)

        return Advancer(self.store, self.evaluator, self.zone, message_decisions, self.addresses, self.secret)

    @cached_property
    def ticker(self) -> Ticker:
        from keepers.app.tick import Ticker
        from keepers.broadcasts.advance import Broadcaster

        broadcaster = Broadcaster(self.store, self.evaluator, self.addresses, self.secret)
        return Ticker(
            self.store, self.evaluator, self.zone, self.advancer, broadcaster, self._collect_feedback,
            self._carry_on_erasures, self.settings.collect.limits,
        )  # fmt: skip

    @cached_property
    def sending(self) -> Sending:
        """Channels, message builder and links, for sending and previews."""
        from keepers.app.workspace.sending import Sending

        return Sending(self, self.clock)

    @cached_property
    def key_ring(self) -> KeyRing:
        """The keys that callers are known by."""
        from keepers.app.access.key_ring import KeyRing

        return KeyRing(self.store.read)

    @cached_property
    def public_limits(self) -> PublicLimits:
        """What has been sent by public keys and pages, counted against the limits."""
        from keepers.app.public.rate_limit import PublicLimits

        return PublicLimits(self.settings.limits)

    def _collect_feedback(self, now: datetime) -> int:
        return self.sending.collect_feedback(now)

    def _carry_on_erasures(self, now: datetime) -> int:
        from keepers.app.customers.erasing import carry_on

        return carry_on(self, now)

    def active_playbook(self) -> ActivePlaybook:
        """The definitions applied last."""
        return self.definitions.current()[0]

    def _read_active_playbook(self) -> ActivePlaybook:
        from keepers.playbook.active_playbook import load_active_playbook

        with self.store.read() as connection:
            return load_active_playbook(connection, self.zone)

    def active_queries(self, at: datetime | None = None) -> ActiveQueries:
        """The standing queries of the definitions applied last, with their numbers in the warehouse.

        Until a tick has frozen a score's figures, the figures that a tick at `at` would freeze are used.
        """
        from keepers.playbook.plan import proposed_figures
        from keepers.scores.registry import SCORES

        live, queries = self.definitions.current()
        if at is None or not SCORES.keys() - live.fitted_at.keys():
            return queries
        return self._queries(live, proposed_figures(live, live.playbook, self.evaluator, at) | live.figures)

    def _queries(self, live: ActivePlaybook, figures: Mapping[str, Any]) -> ActiveQueries:
        from keepers.evaluation.active_queries import build
        from keepers.evaluation.query_numbers import preview_numbers
        from keepers.playbook.active_playbook import definitions_of

        definitions = definitions_of(live.playbook, figures)
        return build(definitions, preview_numbers(self.warehouse, definitions))

    def _load_definitions(self) -> Loaded:
        live = self._read_active_playbook()
        return live, self._queries(live, live.figures)

    def now(self) -> datetime:
        """The moment answers are as of when none is named: the last tick, or the present before the first."""
        from keepers.evaluation.evaluate import last_tick

        return last_tick(self.warehouse) or self.clock()

    def believed_now(self, *, is_jump_allowed: bool = False) -> datetime:
        """The present, for whatever decides, sends or removes. Raises ConflictError (`clock`) when the clock cannot be
        believed."""
        from keepers.evaluation.evaluate import last_tick

        self.steady_clock.note_tick(last_tick(self.warehouse))
        now = self.clock()
        longest = timedelta.max if is_jump_allowed else timedelta(days=self.settings.server.longest_jump_days)
        self.steady_clock.require_believable(now, longest, self._received_since)
        return now

    def forget_ticks(self) -> None:
        """Drops what ticks keep in memory, after the answers and the log were changed otherwise."""
        for part in ("ticker", "advancer", "definitions"):
            self.__dict__.pop(part, None)
        self.steady_clock.note_tick(None)

    def _received_since(self, last: datetime) -> Iterator[datetime]:
        from keepers.store.events import inbox

        with self.store.read_inbox() as connection:
            yield from inbox.received_since(connection, last)

    @contextmanager
    def sequencing(self, holder: str, on_wait: OnWait = no_wait) -> Iterator[Ticker]:
        """Work on the sequence of events: one process, and in it one thread, at a time.

        Threads of this process get it in the order of their requests; blocks may be nested.
        Raises ConflictError when another process holds the sequencer's lock, and WriteScopeError inside a use case
        that is not declared sequenced.
        """
        with write_scope("sequenced", holder), self._sequence_lock.held(on_wait):
            if self._is_owner:
                yield self.ticker
                return
            with self.owning(holder):
                yield self.ticker

    def wake_waiting(self) -> None:
        """Calls `OnWait` of the threads that wait for their turn again, so that they may give up."""
        self._sequence_lock.wake()

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
    def interruptible(self) -> Iterator[None]:
        """Queries of this thread can be interrupted while the block lasts. The warehouse is not opened by it.

        Raises KeepersError with the code `stopped` when they were.
        """
        thread = get_ident()
        with self._running_lock:
            self._running[thread] += 1
        try:
            yield
        except Exception as error:
            if "warehouse" in self.__dict__ and self.warehouse.is_interruption(error):
                raise KeepersError(
                    problem("It was stopped. What was committed is kept; run it again to go on."), code="stopped"
                ) from None
            raise
        finally:
            with self._running_lock:
                self._running[thread] -= 1

    @contextmanager
    def outages_named(self) -> Iterator[None]:
        """Raises UserError (`store`) where the store cannot be reached or written to. The store is not opened by it."""
        try:
            yield
        except Exception as error:
            outage = self.store.outage_of(error) if "store" in self.__dict__ else None
            if outage is None:
                raise
            raise outage from error

    def interrupt(self) -> None:
        """Ends the queries of use cases under way, for a stop within seconds. What they had committed is kept."""
        with self._running_lock:
            running = {thread for thread, blocks in self._running.items() if blocks}
        if "warehouse" in self.__dict__:
            self.warehouse.interrupt(running)

    def part(self, make: Callable[[Workspace], T]) -> T:
        """The one object of a kind that belongs to this open workspace; made when it is first needed."""
        found: T | None = self._parts.get(make)
        return found if found is not None else self._parts.setdefault(make, make(self))

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
        raise NotFoundError(problem("No profile is known as “{name}”.", near=nearest(name, known), name=name))

    def server(self) -> RunningServer | None:
        """The server that has this workspace open, if one does."""
        return read_server_file(self.data_folder)

    def ensure_key(self, kind: KeyKind, name: str) -> str | None:
        """Makes a first key of a kind; its token, which is shown once, or None when there is one already."""
        from keepers.store import keys

        with self.store.begin() as connection:
            if any(key.kind == kind and not key.has_ended(self.clock()) for key in keys.read_all(connection)):
                return None
            return keys.create(connection, kind, name, self.clock())[1]

    def close(self) -> None:
        for part in ("warehouse", "store"):
            opened = self.__dict__.pop(part, None)
            if opened is not None:
                opened.close()


def _nothing() -> None:
    """The default: no ticker runs here."""
