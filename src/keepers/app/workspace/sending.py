"""The sending parts of one workspace: channels, message builder, contact rules, links, and feedback."""

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
from msgspec.structs import asdict
from sqlalchemy import Connection

from keepers.channels.base import Channel, ChannelContext, ChannelKind, read_settings
from keepers.channels.email.channel import EmailChannel
from keepers.channels.registry import CHANNELS
from keepers.delivery.feedback import collect_feedback
from keepers.delivery.machine_rules import classify
from keepers.delivery.message_builder import MessageBuilder
from keepers.delivery.push_fanout import EveryBrowser
from keepers.delivery.worker import Deliverer, Options
from keepers.model.consent import Topic
from keepers.model.errors import UserError, nearest, problem
from keepers.model.message import Outgoing
from keepers.render.link_hosts import host_of
from keepers.render.links import LinkSigner
from keepers.store import definitions
from keepers.store.messages import coupons, in_app, message_copies
from keepers.store.messages.contact_history import StoredEligibility
from keepers.store.messages.engagement_requests import EngagementRow
from keepers.store.messages.in_app import InAppRow
from keepers.store.messages.messages import MessageRow
from keepers.warehouse.fixed_tables import LOADED
from keepers.warehouse.profile_lookup import ProfileSnapshot, contact_of, load_profiles

if TYPE_CHECKING:
    from keepers.app.workspace.workspace import Workspace

_TRACKED = re.compile(r"/e/c/([\w-]+)")
_MOST_COUNTED = 10_000
_MOST_KNOWN = 20_000
_PRUNES_EVERY = timedelta(minutes=10)
_PRUNED = 1000
log = logging.getLogger("keepers")
PREFIX = "/e"
"""what the links of messages begin with, behind the public address"""


class Sending:
    """The sending parts of a workspace. With `is_apart` the warehouse is never opened: customers
    are as they were when their messages were decided on."""

    def __init__(self, workspace: Workspace, clock: Callable[[], datetime], *, is_apart: bool = False) -> None:
        self._workspace = workspace
        self._clock = clock
        self._is_apart = is_apart
        self.url = workspace.settings.public.url or workspace.listening_at or _own_address(workspace)
        self.links = LinkSigner(workspace.secret, f"{self.url}{PREFIX}")
        live = workspace.active_playbook().playbook
        contacts = None if is_apart else self._contacts
        self.eligibility = StoredEligibility(live.contact, live.topics, workspace.secret, contacts)
        self._refreshing = Lock()
        self._version = -1
        self._counted: dict[int, int] = {}
        self._known: dict[int, ProfileSnapshot] = {}
        self._known_at = -1
        self._pruned_at: datetime | None = None
        self._low: frozenset[str] = frozenset()
        self.refresh()

    @property
    def company(self) -> Company:
        """The sender, as templates and pages show it."""
        chosen = self._workspace.settings.company
        name = chosen.name or self._workspace.settings.workspace.name
        return Company(name, chosen.address, chosen.url)

    def topics(self) -> Mapping[str, Topic]:
        """The topics applied last by id, in the playbook's order."""
        self.refresh()
        return self.eligibility.topics

    def traits(self, profile_id: int) -> Mapping[str, Any]:
        """What is known of a surviving profile as of the last tick, but for what anybody may have said; empty for one
        that no tick has seen."""
        return self.traits_of([profile_id]).get(profile_id, {})

    def traits_of(self, profile_ids: Collection[int]) -> dict[int, Mapping[str, Any]]:
        """As `traits`, of several; those that no tick has seen are absent."""
        return {
            who: {trait: value for trait, value in found.traits.items() if trait not in found.unconfirmed}
            for who, found in load_profiles(self._workspace.warehouse, profile_ids).items()
        }

    def refresh(self) -> None:
        """Loads what was applied since. Returns once it is in use, also where another thread loads it."""
        with self._workspace.store.read() as connection:
            self.refresh_as_of(connection)

    def refresh_as_of(self, connection: Connection) -> None:
        """Loads what was applied before the snapshot of an open transaction."""
        with self._refreshing:
            version = definitions.newest_version(connection)
            if version == self._version:
                return
            live = self._workspace.active_playbook().playbook
            builder = MessageBuilder(
                live,
                self.links,
                asdict(self.company),
                locale=self._workspace.settings.sending.locale,
                domain=self._domain(),
                link_hosts=self._link_hosts(),
                load_profiles=None if self._is_apart else self._load_profiles,
            )
            self.playbook, self.message_builder = live, builder
            eligibility = self.eligibility
            eligibility.rules, eligibility.topics, eligibility.coupons = live.contact, live.topics, live.coupons
            # Set last: it marks the rest as loaded.
            self._version = version

    def channels(self) -> dict[str, Channel]:
        """Every channel that is set up, not opened. Raises UserError for settings that cannot work."""
        sections = self._workspace.settings.channels
        for name in sections:
            if name not in CHANNELS:
                raise UserError(
                    problem("There is no channel [channels.{name}].", near=nearest(name, CHANNELS), name=name),
                    code="settings",
                )
        around = ChannelContext(
            now=self._clock, put=self._put_in_app,
            secret=self._workspace.secret,
        )  # fmt: skip
        made: dict[str, Channel] = {}
        for name in dict.fromkeys((*(c.id for c in CHANNELS.values() if not c.needs_settings), *sections)):
            kind = CHANNELS[name]
            channel = kind.make(self._channel_settings(kind), around)
            made[name] = EveryBrowser(channel, self._workspace.store) if kind.has_subscriptions else channel
        return made

    def email(self) -> EmailChannel | None:
        """The e-mail channel, not opened; None where none is set up. Raises UserError for settings that cannot work."""
        channel = self.channels().get("email") if "email" in self._workspace.settings.channels else None
        return channel if isinstance(channel, EmailChannel) else None

    def deliverer(self, worker_id: str, clock: Callable[[], datetime] | None = None) -> Deliverer:
        """A delivery worker. Without `clock` all of a call happens at its `now`, as in stories."""
        chosen = self._workspace.settings.sending
        channels = self.channels()
        bounded = {name: kind.connections for name in channels if (kind := CHANNELS[name]).connections}
        options = Options(
            concurrency=chosen.concurrency,
            connections={n: getattr(self._channel_settings(CHANNELS[n]), setting) for n, setting in bounded.items()},
            kept=timedelta(days=chosen.keep_copies_days),
        )
        return Deliverer(
            self._workspace.store, self.eligibility, self._make, channels, chosen.per_second, clock, worker_id,
            options, self.refresh_as_of,
        )  # fmt: skip

    def collect_feedback(self, now: datetime) -> int:
        """Processes the feedback on messages (reports, opens, clicks); returns how much there was."""
        self.refresh()
        self._prune_and_warn(now)
        done = collect_feedback(
            self._workspace.store,
            self.eligibility.rules,
            self.eligibility.topics,
            self._workspace.secret,
            self.is_machine,
            now,
        )
        return done.reports + done.requests

    def _prune_and_warn(self, now: datetime) -> None:
        """Deletes expired copies, a thousand at a time, and logs coupon pools that run low, once: every ten minutes,
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

    def is_machine(self, request: EngagementRow, message: MessageRow, requests: Sequence[EngagementRow]) -> str | None:
        """The rule by which a request was made by a machine, or None."""
        return classify(request, requests, self._links_in(message.id, request.at)) or None

    def _links_in(self, message_id: int, at: datetime) -> int:
        """How many different links the customer's copy has."""
        if message_id not in self._counted:
            if len(self._counted) >= _MOST_COUNTED:
                self._counted.clear()
            with self._workspace.store.read() as connection:
                copy = message_copies.get(connection, message_id, at)
            self._counted[message_id] = len(set(_TRACKED.findall(copy.html))) if copy is not None else 1
        return self._counted[message_id]

    def _channel_settings(self, kind: ChannelKind) -> Any:
        return read_settings(kind, self._with_files(self._workspace.settings.channels.get(kind.id, {})))

    def _with_files(self, section: Mapping[str, Any]) -> dict[str, Any]:
        """A channel's settings, with relative paths resolved against the workspace's folder."""
        folder = self._workspace.folder
        return {
            name: str(folder / value) if name.endswith("_file") and value and isinstance(value, str) else value
            for name, value in section.items()
        }

    def _make(self, rows: Sequence[MessageRow], now: datetime) -> Sequence[Outgoing | UserError]:
        return self.message_builder.make(rows, now)

    def _load_profiles(self, ids: Collection[int]) -> Mapping[int, ProfileSnapshot]:
        """Customers as the warehouse has them, cached: eligibility and the message builder need the same ones."""
        warehouse = self._workspace.warehouse
        position = warehouse.watermark(LOADED)
        if position != self._known_at or len(self._known) > _MOST_KNOWN:
            self._known, self._known_at = {}, position
        known = self._known
        missing = [i for i in ids if i not in known]
        known |= load_profiles(warehouse, missing)
        return {i: known[i] for i in ids if i in known}

    def _contacts(self, ids: Sequence[int]) -> Mapping[int, Any]:
        found = self._load_profiles(ids)
        addresses = self._workspace.addresses
        return {i: contact_of(profile, addresses) for i, profile in found.items()}

    def _put_in_app(self, message: Outgoing) -> None:
        content = message.content
        now = self._clock()
        row = InAppRow(message.profile_id, message.id, content.title, content.text, content.url, now)
        with self._workspace.store.begin() as connection:
            in_app.put(connection, [row])

    def _link_hosts(self) -> list[str]:
        """The hosts that data may lead to: the business's own, and those that the settings name."""
        company = self._workspace.settings.company
        own = (host_of(url) or "" for url in (company.url, self.url))
        return [host.removeprefix("www.") for host in (*own, *company.link_hosts) if host]

    def _domain(self) -> str:
        """The domain of Message-IDs: the sender's."""
        sender = parseaddr(str(self._workspace.settings.channels.get("email", {}).get("sender", "")))[1]
        domain = sender.rpartition("@")[2] or urlsplit(self.url).hostname or ""
        return domain.encode("idna").decode() if domain and not domain.isascii() else domain or "keepers.invalid"


def _own_address(workspace: Workspace) -> str:
    """The address `keepers serve` would listen on; usable on one machine only."""
    server = workspace.settings.server
    return f"http://{server.host}:{server.port}"


class Company(Struct, frozen=True):
    """The sender, shown at the head and foot of every page. Empty fields are left out."""

    name: str = ""
    address: str = ""
    url: str = ""
