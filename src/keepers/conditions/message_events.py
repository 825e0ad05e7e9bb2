"""What customers do with messages, as conditions: consent is a trait, opens and clicks are events,."""

from __future__ import annotations

from keepers.conditions import ast
from keepers.model.consent import ALL_TOPICS, trait_of

MACHINE = "machine"
"""property of opens and clicks: true when a mail proxy or link scanner made them"""
BY_PEOPLE = ast.PropertyTest(MACHINE, (ast.Comparison("ne", True),))
SEEN_BY_MACHINES = frozenset({"Email Opened", "Email Link Clicked"})
"""events that machines make too; a question about them counts people unless it tests `machine` itself"""
EVENTS: dict[str, dict[str, str]] = {
    "email": {"received": "Email Sent", "opened": "Email Opened", "clicked": "Email Link Clicked"},
    "sms": {"received": "SMS Sent"},
    "push": {"received": "Push Sent"},
    "in_app": {"received": "In-App Sent", "opened": "In-App Read"},
}
"""channel → how one engages with a message → the event that says so"""
_ABOUT_MESSAGES = ("Sent", "Delivered", "Opened", "Link Clicked", "Bounced", "Marked as Spam")
OWN_EVENTS = frozenset(
    {
        *(f"{channel} {what}" for channel in ("Email", "SMS", "Chat", "Push", "In-App") for what in _ABOUT_MESSAGES),
        *("In-App Read", "Webhook Called", "Subscribed", "Unsubscribed", "Experiment Viewed"),
        *("Journey Entered", "Journey Goal Reached", "Journey Exited"),
    }
)
"""what Keepers itself says of customers, sooner or later, whatever arrives"""
SUBSCRIBED = "subscribed."
"""what the names of consent's traits begin with"""
ABOUT = ("message", "journey", "broadcast", "topic")
"""properties by which `engaged` may name the message"""
KEYS = ("with", "channel", *ABOUT, MACHINE, "count")


def by_people(event: str, where: tuple[ast.PropertyTest, ...]) -> tuple[ast.PropertyTest, ...]:
    """The tests on an event, with “not a machine's” added where machines make it and nothing is said of them."""
    if event not in SEEN_BY_MACHINES or any(test.path == MACHINE for test in where):
        return where
    return (*where, BY_PEOPLE)


def subscribed(channel: str, topic: str = ALL_TOPICS) -> ast.Trait:
    """Consent to a channel, or to one topic of it."""
    return ast.Trait(trait_of(channel, topic), (ast.Comparison("eq", True),))
