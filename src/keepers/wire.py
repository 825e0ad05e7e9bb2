"""Connects the parts of one workspace. Alone reads settings, the environment and the clock."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

from keepers.channels.phone import AddressTraits
from keepers.channels.registry import CHANNELS
from keepers.model.errors import ConflictError, NotFoundError, UserError, nearest
from keepers.model.moments import format_instant, parse_zone
from keepers.model.profile import IDENTITY_KINDS
from keepers.pipeline.advance import Advancer
from keepers.pipeline.broadcast import Broadcaster
from keepers.pipeline.checking import Checker
from keepers.pipeline.evaluate import last_tick
from keepers.pipeline.facts import Decider
from keepers.pipeline.roster import Roster
from keepers.pipeline.tick import Ticker
from keepers.playbook.install import install
from keepers.playbook.live import InForce, definitions_of, in_force
from keepers.playbook.plan import proposed_fit
from keepers.running.sending import Sending
from keepers.running.turns import Turns
from keepers.settings import FILE, TEST_CLOCK, Settings, initial_toml, load_settings, parse_test_clock
from keepers.store import identities, keys
from keepers.store.database import Store
from keepers.store.lock import sequencer
from keepers.store.migrate import upgrade
from keepers.store.secret import workspace_secret
from keepers.warehouse.answers import Answerer
from keepers.warehouse.asks import preview_numbers
from keepers.warehouse.database import Warehouse
from keepers.warehouse.standing import Standing, build

VARIABLE = "KEEPERS_WORKSPACE"
PLAYBOOK = "playbook"
DATA = "data"
SERVER_FILE = "server.json"
GITIGNORE = "data/\n"
_NUMBER = re.compile(r"#[0-9]{1,18}")


def clock() -> datetime:
    """The present as naive UTC, moved by KEEPERS_TEST_CLOCK. Raises UserError when that cannot be read."""
    return datetime.now(UTC).replace(tzinfo=None) + _clock_shift(os.environ.get(TEST_CLOCK, ""))


@cache
def _clock_shift(test_clock: str) -> timedelta:
    return parse_test_clock(test_clock) if test_clock else timedelta(0)


def clock_notice() -> str | None:
    """What to tell the user while a test clock is in use: nobody may have one without knowing it."""
    if not os.environ.get(TEST_CLOCK):
        return None
    return (
        f"The clock is a test clock and shows {format_instant(clock().replace(microsecond=0))}, because {TEST_CLOCK} "
        "is set. Unset it wherever customers are written to."
    )


def environment() -> dict[str, str]:
    return dict(os.environ)


def find_folder(named: Path | None) -> Path:
    """The workspace's folder: named by -w, else by KEEPERS_WORKSPACE, else the current one."""
    chosen = named or (Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else Path.cwd())
    return chosen.expanduser().absolute()


def create(folder: Path, lifecycles: list[str], name: str | None = None, zone: str = "UTC") -> list[Path]:
    """Makes a workspace: settings, a playbook with the chosen templates. Returns the files written.

    Raises ConflictError when there is one already, UserError for an unknown template or zone.
    """
    parse_zone(zone)
    if (folder / FILE).exists():
        raise ConflictError(f"There is a workspace at {folder} already. Choose another folder.", code="exists")
    if folder.exists() and not folder.is_dir():
        raise ConflictError(f"{folder} is a file. Choose another name for the workspace.", code="exists")
    try:
        (folder / PLAYBOOK).mkdir(parents=True, exist_ok=True)
        (folder / DATA).mkdir(exist_ok=True)
        written = install(folder / PLAYBOOK, lifecycles)
        (folder / ".gitignore").write_text(GITIGNORE, encoding="utf-8")
        (folder / FILE).write_text(initial_toml(name or folder.name, zone), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror or error}.", code="workspace") from None
    return [folder / FILE, folder / ".gitignore", *written]


class Workspace:
    """An open workspace. Stores are opened when first used; `close` when done."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.settings = settings
        self._turns = Turns()
        self.listening_at = ""
        """where this process serves the workspace, if it does"""
        self._is_owner = False

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
    def answerer(self) -> Answerer:
        return Answerer(self.warehouse)

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
        def checker(roster: Roster) -> Checker:
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

    def in_force(self) -> InForce:
        """The definitions applied last."""
        with self.store.read() as connection:
            return in_force(connection, self.zone)

    def standing(self, at: datetime | None = None) -> Standing:
        """The definitions applied last as standing asks, numbered as the warehouse knows them.

        While no tick has frozen the rhythm's figures yet, those are used that one at the moment `at` would freeze.
        """
        live = self.in_force()
        fit = (
            proposed_fit(live, live.playbook, self.answerer, at) if at is not None and live.fitted_at is None else None
        )
        definitions = definitions_of(live.playbook, fit or live.fit)
        return build(definitions, preview_numbers(self.warehouse, definitions))

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
