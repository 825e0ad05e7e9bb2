"""What each channel is to all that does not send: a table that the channels' own files fill as they are found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

from msgspec import Struct, field

from keepers.model.errors import Problem


def _no_mistake(address: str) -> Problem | None:
    return None


def _hidden(address: str) -> str:
    return ""


def _as_written(address: str, country: str) -> str:
    return address


class ChannelDescription(Struct, frozen=True, kw_only=True):
    """A channel as rules, texts and conditions know it. What sends adds its settings in `channels.base.ChannelKind`."""

    id: str
    event_name: str
    """what its events begin with, in Segment's way: `Email`, `In-App`"""
    position: int = 100
    """where lists show it; those of one position by id"""
    article: str = "a"
    """as in “a push message”"""
    parts: tuple[str, ...] = ()
    """fields of a message's content (see `render.definition.Body`); none where no message is written for it"""
    required: tuple[str, ...] = ()
    """those of them that cannot be empty"""
    address_trait: str = ""
    """the trait that holds a customer's address: `email`, `phone`; empty where the address is kept elsewhere"""
    is_counted: bool = False
    """whether it reaches out: capped, quiet by night and ended by the sunset; what is not waits to be looked for"""
    is_ramped: bool = False
    """whether messages count against a new sending domain's warm-up"""
    is_quiet_lifted: bool = False
    """whether a message may go in quiet hours to a customer who was active just now"""
    has_answer: bool = False
    """whether it calls an address whose answer the run gets, which is no message to the customer"""
    is_repeatable: bool = False
    """whether the other side knows a repeated message by its key, so that an uncertain one is sent again"""
    is_mail: bool = False
    """whether it is e-mail: markup with a layout, and headers with a Message-ID and a way out"""
    is_paid_by_length: bool = False
    """whether addresses in texts stay short: neither counted clicks nor tags, unless they are asked for"""
    caps: Mapping[str, int] = field(default_factory=dict)
    """window → most, unless the playbook writes its own"""
    quiet: Mapping[str, Any] | None = None
    """quiet hours as `contact:` writes them, unless the playbook writes its own"""
    engagement: Mapping[str, str] = field(default_factory=dict)
    """how one engages with a message (`received`, `opened`, `clicked`) → the event that says so"""
    machine_events: tuple[str, ...] = ()
    """of its events those that machines make too: mail proxies and link scanners"""
    events: Mapping[str, str] = field(default_factory=dict)
    """events with names of their own: `Sent` → `Webhook Called`"""
    canonical: Callable[[str, str], str] = _as_written
    """(address, country of bare numbers) → the address that messages go to"""
    one_inbox: Callable[[str], str] = str
    """the form under which two spellings of an address are one inbox"""
    mistake: Callable[[str], Problem | None] = _no_mistake
    """what is wrong with an address written by hand; None when nothing is"""
    masked: Callable[[str], str] = _hidden
    """an address as it may stand on a page that anybody with the link can see; empty for not at all"""


class _Table(Mapping[str, ChannelDescription]):
    """In the order of position and id. Nothing can be asked before a channel is there: without their caps, quiet hours
    and spellings of addresses, rules would pass for rules that allow everything."""

    def __init__(self) -> None:
        self._held: dict[str, ChannelDescription] = {}
        self.version = 0

    def fill(self, channels: Iterable[ChannelDescription]) -> None:
        self._held = {c.id: c for c in sorted(channels, key=lambda c: (c.position, c.id))}
        self.version += 1

    def _known(self) -> dict[str, ChannelDescription]:
        if not self._held:
            raise RuntimeError("no channel is known yet: import keepers.channels.registry first")
        return self._held

    def __getitem__(self, channel: str) -> ChannelDescription:
        return self._known()[channel]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known())

    def __len__(self) -> int:
        return len(self._known())


CHANNELS = _Table()
"""channel id → what it is; filled by `channels.registry`"""


def describe_channel(channel: str) -> ChannelDescription:
    """A channel; one that has gone since messages went out by it is known by its name alone."""
    found = CHANNELS.get(channel)
    return found or ChannelDescription(id=channel, event_name=channel.replace("_", " ").title())


class ChannelNames(Sequence[str]):
    """Names that the table gives at the moment they are asked for, in its order."""

    def __init__(self, names: Callable[[ChannelDescription], Iterable[str]]) -> None:
        self._names = names
        self._version = -1
        self._found: tuple[str, ...] = ()

    def _now(self) -> tuple[str, ...]:
        if self._version != CHANNELS.version:
            self._found = tuple(dict.fromkeys(name for c in CHANNELS.values() for name in self._names(c)))
            self._version = CHANNELS.version
        return self._found

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        return self._now()[index]

    def __iter__(self) -> Iterator[str]:
        return iter(self._now())

    def __contains__(self, name: object) -> bool:
        return name in self._now()

    def __len__(self) -> int:
        return len(self._now())


COUNTED = ChannelNames(lambda channel: [channel.id] if channel.is_counted else [])
"""channels that reach out; an in-app message waits to be looked for and is neither capped nor quiet"""
ANSWERED = ChannelNames(lambda channel: [channel.id] if channel.has_answer else [])
"""channels that are called and answer; their messages are not counted among those to customers"""
WRITTEN_FOR = ChannelNames(lambda channel: [channel.id] if channel.parts else [])
"""channels that messages are written for"""
SEEN_BY_MACHINES = ChannelNames(lambda channel: channel.machine_events)
"""events that machines make too; a question about them counts people unless it tests `machine` itself"""
_ABOUT_MESSAGES = ("Sent", "Delivered", "Opened", "Link Clicked", "Bounced", "Marked as Spam")
MESSAGE_EVENTS = ChannelNames(
    lambda channel: (
        *(f"{channel.event_name} {what}" for what in _ABOUT_MESSAGES if channel.parts),
        *channel.engagement.values(),
        *channel.events.values(),
    )
)
"""what Keepers itself says of messages"""


def event_name(channel: str, what: str) -> str:
    """`Email Sent`; a webhook that was sent was called."""
    known = describe_channel(channel)
    return known.events.get(what) or f"{known.event_name} {what}"
