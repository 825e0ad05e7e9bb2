"""Engagement with messages as conditions: consent is a trait, opens and clicks are events."""

from __future__ import annotations

from collections.abc import Mapping

from keepers.conditions import ast
from keepers.model.channels import CHANNELS, MESSAGE_EVENTS, SEEN_BY_MACHINES
from keepers.model.consent import ALL_TOPICS, trait_of

MACHINE = "machine"
"""property of opens and clicks: true when a mail proxy or link scanner made them"""
BY_PEOPLE = ast.PropertyTest(MACHINE, (ast.Comparison("ne", True),))
_OF_CUSTOMERS = (
    "Subscribed", "Unsubscribed", "Experiment Viewed", "Journey Entered", "Journey Goal Reached", "Journey Exited",
)  # fmt: skip


def engagement() -> dict[str, Mapping[str, str]]:
    """channel → kind of engagement → its event."""
    return {name: channel.engagement for name, channel in CHANNELS.items() if channel.engagement}


def own_events() -> frozenset[str]:
    """All events of Keepers' own, whether or not they have arrived."""
    return frozenset((*MESSAGE_EVENTS, *_OF_CUSTOMERS))


SUBSCRIBED = "subscribed."
"""what the names of consent's traits begin with"""
ABOUT = ("message", "journey", "broadcast", "topic")
"""properties by which `engaged` may name the message"""
KEYS = ("with", "channel", *ABOUT, MACHINE, "count")


def by_people(event: str, where: tuple[ast.PropertyTest, ...]) -> tuple[ast.PropertyTest, ...]:
    """The tests on an event, with “not by a machine” added where machines cause it too and no test is about that."""
    if event not in SEEN_BY_MACHINES or any(test.path == MACHINE for test in where):
        return where
    return (*where, BY_PEOPLE)


def subscribed(channel: str, topic: str = ALL_TOPICS) -> ast.Trait:
    """Consent to a channel, or to one topic of it."""
    return ast.Trait(trait_of(channel, topic), (ast.Comparison("eq", True),))
