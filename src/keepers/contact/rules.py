"""The `contact:` section: how often and when messages are sent, with its defaults."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, convert, field

from keepers.model.channels import CHANNELS
from keepers.model.errors import DefinitionError, Problem, problem
from keepers.model.fields import Clock, Duration, join, require_spans, span
from keepers.model.structs import read

ALL = "all"
USUAL_PRIORITY = "lifecycle"
Priority = Literal["service", "cart", "lifecycle", "newsletter"]
PRIORITIES: tuple[Priority, ...] = ("service", "cart", "lifecycle", "newsletter")
Most = Annotated[int, Meta(ge=0)]
Rate = Annotated[float, Meta(gt=0, le=1)]


def _no_channel(name: str, known: Iterable[str]) -> Problem:
    return problem("“{name}” is no channel; known are {known}", name=name, known=", ".join(known))


class Quiet(Struct, frozen=True, forbid_unknown_fields=True):
    """Local hours, and whole days, on which nothing goes out."""

    start: Clock | None = field(default=None, name="from")
    end: Clock | None = field(default=None, name="to")
    sundays: bool = False
    holidays: bool = False

    def __post_init__(self) -> None:
        if (self.start is None) != (self.end is None):
            raise ValueError(problem("“from” and “to” belong together"))


class BreakerThresholds(Struct, frozen=True, forbid_unknown_fields=True):
    """Shares of what was sent at which to warn and to stop."""

    warn: Rate | None = None
    stop: Rate | None = None


class Repeated(Struct, frozen=True, forbid_unknown_fields=True):
    """So many soft bounces within a span suppress an address."""

    count: Annotated[int, Meta(ge=1)] = 5
    within: Duration = "14d"

    def __post_init__(self) -> None:
        require_spans(self.within)


class Breakers(Struct, frozen=True, forbid_unknown_fields=True):
    """The shares at which a stream of messages is stopped; the field is `brakes` in a playbook."""

    complaints: BreakerThresholds = BreakerThresholds(warn=0.001, stop=0.003)
    hard_bounces: BreakerThresholds = BreakerThresholds(stop=0.02)
    refusals: BreakerThresholds = BreakerThresholds(warn=0.005)
    """refused for what the messages are or who sends them: a stream that is warned about goes out slowly"""
    soft_bounces: Repeated = Repeated()


class Sunset(Struct, frozen=True, forbid_unknown_fields=True):
    """`after` without click, visit or order a customer is asked for permission; `grace` later it ends."""

    after: Duration = "180d"
    grace: Duration = "14d"

    def __post_init__(self) -> None:
        require_spans(self.after, self.grace)


class Ramp(Struct, frozen=True, forbid_unknown_fields=True):
    """From the `day`-th day of a sending domain on, at most so many messages a day."""

    day: Annotated[int, Meta(ge=1)]
    most: Annotated[int, Meta(ge=1)]


def _caps() -> dict[str, dict[str, int]]:
    return {channel.id: dict(channel.caps) for channel in CHANNELS.values() if channel.caps} | {ALL: {"7d": 5}}


def _quiet() -> dict[str, Quiet]:
    return {name: convert(channel.quiet, Quiet) for name, channel in CHANNELS.items() if channel.quiet is not None}


class ContactRules(Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """Caps per address and channel (window → most), quiet hours, circuit breakers, sunset, warm-up. What is not
    written keeps its default; a channel's caps or quiet hours that are written replace it, `{}` takes them away.
    `caps: {}` and `quiet: {}` take away those of every channel."""

    caps: dict[str, dict[Duration, Most]] = field(default_factory=_caps)
    quiet: dict[str, Quiet] = field(default_factory=_quiet)
    quiet_lifted_by_activity: Duration = "2h"
    priorities: tuple[str, ...] = PRIORITIES
    breakers: Breakers = field(default=Breakers(), name="brakes")
    sunset: Sunset | None = Sunset()
    warm_up: tuple[Ramp, ...] = ()

    def __post_init__(self) -> None:
        require_spans(self.quiet_lifted_by_activity)
        if sorted(self.priorities) != sorted(PRIORITIES):
            raise ValueError(problem("“priorities” orders {names}, each once", names=", ".join(PRIORITIES)))
        for channel, caps in self.caps.items():
            if channel != ALL and channel not in CHANNELS:
                raise ValueError(_no_channel(channel, (*CHANNELS, ALL)))
            require_spans(*caps)
        for channel in self.quiet:
            if channel not in CHANNELS:
                raise ValueError(_no_channel(channel, CHANNELS))

    @cached_property
    def windows(self) -> dict[str, tuple[tuple[timedelta, int, str], ...]]:
        """channel or `all` → (window, most, as written), shortest first."""
        return {c: tuple(sorted((span(w), most, w) for w, most in caps.items())) for c, caps in self.caps.items()}

    @cached_property
    def longest(self) -> timedelta:
        """How far back sent messages count."""
        return max((w for windows in self.windows.values() for w, _, _ in windows), default=timedelta(0))

    @cached_property
    def longest_silence(self) -> timedelta | None:
        """The time from the last engagement to the end of marketing; None without a sunset."""
        return None if self.sunset is None else span(self.sunset.after) + span(self.sunset.grace)

    def rank(self, *named: str | None) -> int:
        """The place of the first priority that is named, or of the usual one: 0 comes first."""
        priority = next(filter(None, named), USUAL_PRIORITY)
        return self.priorities.index(priority) if priority in self.priorities else len(self.priorities)

    def allowance(self, day: int) -> int | None:
        """Messages a sending domain may send on its `day`-th day (from 1); None when there is no limit."""
        steps = sorted(self.warm_up, key=lambda step: step.day)
        if not steps or day > steps[-1].day:
            return None
        return next((s.most for s in reversed(steps) if s.day <= day), steps[0].most)


def parse_contact(data: Any, at: str = "contact") -> ContactRules:
    """The `contact:` section; what is not written keeps its default, `{}` means none. Raises DefinitionError naming
    the field."""
    if data is None:
        return ContactRules()
    if not isinstance(data, dict):
        raise DefinitionError(problem("expected fields such as caps, quiet, sunset"), field=at)
    fields = dict(data)
    for name, defaults in (("caps", _caps()), ("quiet", _quiet())):
        written = fields.get(name)
        if written is None:
            fields.pop(name, None)
        elif isinstance(written, dict):
            plain = {k: v if v is not None else {} for k, v in written.items()}
            fields[name] = {k: _plain(v) for k, v in defaults.items()} | plain if plain else {}
        else:
            raise DefinitionError(problem("expected channels and their rules"), field=join(at, name))
    return read(fields, ContactRules, at)


def _plain(value: Any) -> Any:
    if isinstance(value, Quiet):
        return {"from": value.start, "to": value.end, "sundays": value.sundays, "holidays": value.holidays}
    return value
