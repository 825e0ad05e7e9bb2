"""The parts of one workspace that send: channels, letters and rules in force, links, and news of messages."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import parseaddr
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct
from sqlalchemy import Connection

from keepers.channels.base import Channel, ChannelContext, read_settings
from keepers.channels.email.channel import EmailChannel
from keepers.channels.registry import CHANNELS
from keepers.delivery.feedback import take_feedback
from keepers.delivery.machine_rules import _hit, classify
from keepers.delivery.message_builder import MessageBuilder
from keepers.delivery.push_fanout import EveryBrowser
from keepers.delivery.worker import Deliverer, Options
from keepers.model.errors import UserError, nearest
from keepers.model.message import Outgoing
from keepers.render.links import LinkSigner
from keepers.store import definitions
from keepers.store.messages import coupons, in_app, message_copies
from keepers.store.messages.contact_history import StoredEligibility
from keepers.store.messages.engagement_requests import HitRow
from keepers.store.messages.in_app import InAppRow
from keepers.store.messages.messages import MessageRow
from keepers.warehouse.load import WATERMARK
from keepers.warehouse.profile_lookup import Person, contact_of, people

if TYPE_CHECKING:
    from keepers.app.workspace.workspace import Workspace

_TRACKED = re.compile(r"/e/c/([\w-]+)")
_MOST_COUNTED = 10_000
_MOST_KNOWN = 20_000
_PRUNES_EVERY = timedelta(minutes=10)
_PRUNED = 1000
log = logging.getLogger("keepers")
PREFIX = "/e"
"""what links begin with behind the public address, as `api/public` serves them"""


class Sending:
    """What sends for a workspace. `clock` tells the present. One that is apart never opens the warehouse: customers
    are as they were when their messages were decided on."""

    def __init__(self, workspace: Workspace, clock: Callable[[], datetime], *, is_apart: bool = False) -> None:
        self._workspace = workspace
        self._clock = clock
        self._is_apart = is_apart
        self.url = workspace.settings.public.url or workspace.listening_at or _own_address(workspace)
        self.links = LinkSigner(workspace.secret, f"{self.url}{PREFIX}")
        live = workspace.in_force().playbook
        contacts = None if is_apart else self._contacts
        self.eligibility = StoredEligibility(live.contact, live.topics, workspace.secret, contacts)
        self._refreshing = Lock()
        self._version = -1
        self._counted: dict[int, int] = {}
        self._known: dict[int, Person] = {}
        self._known_at = -1
        self._pruned_at: datetime | None = None
        self._low: frozenset[str] = frozenset()
        self.refresh()

    @property
    def company(self) -> dict[str, str]:
        """What templates know as `company`."""
        chosen = self._workspace.settings.company
        name = chosen.name or self._workspace.settings.workspace.name
        return {"name": name, "address": chosen.address, "url": chosen.url}

    def refresh(self) -> None:
        """Takes up what was applied since. Returns when it is in use, whichever thread does it."""
        with self._workspace.store.read() as connection:
            self.refresh_as_of(connection)

    def refresh_as_of(self, connection: Connection) -> None:
        """Takes up what was applied before the point that an open transaction reads at."""
        with self._refreshing:
            version = definitions.newest_version(connection)
            if version == self._version:
                return
            live = self._workspace.in_force().playbook
            letters = MessageBuilder(
                live, self.links, self.company, locale=self._workspace.settings.sending.locale, domain=self._domain(),
                people=None if self._is_apart else self._people,
            )  # fmt: skip
            self.playbook, self.letters = live, letters
            eligibility = self.eligibility
            eligibility.rules, eligibility.topics, eligibility.coupons = live.contact, live.topics, live.coupons
            # Last: with it the rest is taken to be in use.
            self._version = version

    def channels(self) -> dict[str, Channel]:
        """Every channel that is set up, not opened. Raises UserError for settings that cannot work."""
        given = self._workspace.settings.channels
        for name in given:
            if name not in CHANNELS:
                raise UserError(f"There is no channel [channels.{name}].{nearest(name, CHANNELS)}", code="settings")
        around = ChannelContext(
            now=self._clock, put=self._put_in_app, public_url=self.url, company=self.company["name"],
            secret=self._workspace.secret,
        )  # fmt: skip
        made: dict[str, Channel] = {}
        for name in dict.fromkeys((*(c.id for c in CHANNELS.values() if not c.needs_settings), *given)):
            kind = CHANNELS[name]
            channel = kind.make(read_settings(kind, self._with_files(given.get(name, {}))), around)
            made[name] = EveryBrowser(channel, self._workspace.store) if kind.has_subscriptions else channel
        return made

    def email(self) -> EmailChannel | None:
        """The e-mail channel, not opened; None where none is set up. Raises UserError for settings that cannot work."""
        channel = self.channels().get("email") if "email" in self._workspace.settings.channels else None
        return channel if isinstance(channel, EmailChannel) else None

    def deliverer(self, worker_id: str, clock: Callable[[], datetime] | None = None) -> Deliverer:
        """A delivery worker. Without `clock` all of a call happens at its `now`, as in stories."""
        chosen = self._workspace.settings.sending
        options = Options(concurrency=chosen.concurrency, kept=timedelta(days=chosen.keep_copies_days))
        return Deliverer(
            self._workspace.store, self.eligibility, self._make, self.channels(), chosen.per_second, clock, worker_id,
            options, self.refresh_as_of,
        )  # fmt: skip

    def take_news(self, now: datetime) -> int:
        """Works off what was reported of messages; how much it was."""
        self.refresh()
        self._keep_up(now)
        done = take_feedback(
            self._workspace.store,
            self.eligibility.rules,
            self.eligibility.topics,
            self._workspace.secret,
            self.is_machine,
            now,
        )
        return done.reports + done.hits

    def _keep_up(self, now: datetime) -> None:
        """Copies whose time is over go, a thousand at a time, and pools that run low are said, once: every ten minutes,
        or at once again while there are more copies."""
        if self._pruned_at is not None and self._pruned_at <= now < self._pruned_at + _PRUNES_EVERY:
            return
        with self._workspace.store.begin() as connection:
            gone = message_copies.prune(connection, now, _PRUNED)
            low = coupons.running_low(connection, {p.id: p.low for p in self.playbook.pools_in_use.values()}, now)
        for pool in low.keys() - self._low:
            log.warning("The pool of codes “%s” runs low: %d are left.", pool, low[pool])
        self._low = frozenset(low)
        self._pruned_at = now if gone < _PRUNED else None

    def is_machine(self, hit: HitRow, message: MessageRow, hits: Sequence[HitRow]) -> str | None:
        """The rule by which a hit is a machine's, or None."""
        verdict = classify(
            _hit(hit), [_hit(other) for other in hits], self._links_in(message.id, hit.at), message.sent_at
        )
        return verdict.rule if verdict.is_machine else None

    def _links_in(self, message_id: int, at: datetime) -> int:
        """How many different links a customer saw in the copy they got."""
        if message_id not in self._counted:
            if len(self._counted) >= _MOST_COUNTED:
                self._counted.clear()
            with self._workspace.store.read() as connection:
                copy = message_copies.get(connection, message_id, at)
            self._counted[message_id] = len(set(_TRACKED.findall(copy.html))) if copy is not None else 1
        return self._counted[message_id]

    def _with_files(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """A channel's settings, files relative to the workspace's folder: a server is started from anywhere."""
        folder = self._workspace.folder
        return {
            name: str(folder / value) if name.endswith("_file") and value and isinstance(value, str) else value
            for name, value in given.items()
        }

    def _make(self, rows: Sequence[MessageRow], now: datetime) -> Sequence[Outgoing | UserError]:
        return self.letters.make(rows, now)

    def _people(self, ids: Collection[int]) -> Mapping[int, Person]:
        """Customers as the warehouse has them: policy and letters ask about the same ones, who are looked up once."""
        warehouse = self._workspace.warehouse
        position = warehouse.watermark(WATERMARK)
        if position != self._known_at or len(self._known) > _MOST_KNOWN:
            self._known, self._known_at = {}, position
        known = self._known
        missing = [i for i in ids if i not in known]
        known |= people(warehouse, missing)
        return {i: known[i] for i in ids if i in known}

    def _contacts(self, ids: Sequence[int]) -> Mapping[int, Any]:
        found = self._people(ids)
        return {i: contact_of(person) for i, person in found.items()}

    def _put_in_app(self, message: Outgoing) -> None:
        content = message.content
        now = self._clock()
        row = InAppRow(message.profile_id, message.id, content.title, content.text, content.url, now)
        with self._workspace.store.begin() as connection:
            in_app.put(connection, [row])

    def _domain(self) -> str:
        """The domain of Message-IDs: the sender's."""
        sender = parseaddr(str(self._workspace.settings.channels.get("email", {}).get("sender", "")))[1]
        domain = sender.rpartition("@")[2] or urlsplit(self.url).hostname or ""
        return domain.encode("idna").decode() if domain and not domain.isascii() else domain or "keepers.invalid"


def _own_address(workspace: Workspace) -> str:
    """Where `keepers serve` would listen: good for trying things out on one machine."""
    server = workspace.settings.server
    return f"http://{server.host}:{server.port}"


class Company(Struct, frozen=True):
    """Who is writing: shown at the head and foot of every page. What is empty is left out."""

    name: str = ""
    address: str = ""
    url: str = ""
