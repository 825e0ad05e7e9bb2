"""What happens to messages, as events in the log: Segment's names where it has them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from keepers.model.channels import event_name
from keepers.model.message import Fault
from keepers.store.events.log import SystemEvent
from keepers.store.messages.messages import MessageRow, event_properties


def message_event(message: MessageRow, what: str, at: datetime, **properties: Any) -> SystemEvent:
    """An event about a message: `what` is Sent, Delivered, Bounced, Marked as Spam, Opened or Link Clicked.

    Hops count on for what a message causes by itself, and start at 0 for what a person does.
    """
    all_properties = {**event_properties(message), **properties}
    hops = 0 if properties.get("machine") is False else message.hops + 1
    return SystemEvent(
        message.profile_id, event_name(message.channel, what), at, all_properties, hops=hops, trust="own"
    )


def bounce_event(message: MessageRow, at: datetime, *, is_hard: bool, fault: Fault, code: str) -> SystemEvent:
    """An event about a message that came back."""
    return message_event(message, "Bounced", at, hard=is_hard, fault=fault, code=code)
