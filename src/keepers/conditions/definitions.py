"""The definitions that conditions answer: derived events, segments, lifecycles."""

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct

from keepers.conditions.ast import Condition, PropertyTest
from keepers.model.fields import Kind, Text
from keepers.model.identity import Accepted


class Unless(Struct, frozen=True):
    """An event row stops counting at the time of one of `events` with the same value of `same`."""

    events: tuple[str, ...]
    same: str


class Source(Struct, frozen=True):
    """Rows of an event that count as a derived one. With `times`, only the n-th within `within` and later ones."""

    event: str
    where: tuple[PropertyTest, ...] = ()
    unless: Unless | None = None
    value: str | None = None
    currency: str | None = None
    times: int = 1
    within: timedelta | None = None


class DerivedEvent(Struct, frozen=True):
    """An event derived from others, whatever arrives. `per_day`: several on one local day count once."""

    id: str
    sources: tuple[Source, ...]
    per_day: bool = False
    name: Text = ""
    description: Text = ""


class Segment(Struct, frozen=True):
    id: str
    who: Condition
    name: Text = ""
    description: Text = ""
    of: Kind = "person"
    trust: Accepted = "any"
    """`server`: what came by public keys is not counted"""


class Stage(Struct, frozen=True):
    id: str
    when: Condition
    name: Text = ""
    description: Text = ""
    needs: tuple[Text, ...] = ()
    signals: tuple[Text, ...] = ()
    touchpoints: tuple[Text, ...] = ()
    metrics: tuple[Text, ...] = ()


class Lifecycle(Struct, frozen=True):
    """An ordered list of stages; a subject is in the last one whose `when` holds."""

    id: str
    stages: tuple[Stage, ...]
    name: Text = ""
    description: Text = ""
    of: Kind = "person"
    phases_of: str | None = None
    """the lifecycle whose customers this one divides differently, such as the plan phases of `value`"""
    trust: Accepted = "any"
    """`server` of the hidden one that trusted journeys listen to: a playbook's counts everything"""


Definition = Segment | Lifecycle
