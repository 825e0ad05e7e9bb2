"""What happens to messages, as the events that come back: Segment's names where it has them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from keepers.model.channels import event_name
from keepers.store.events.log import SystemEvent
from keepers.store.messages.messages import MessageRow, event_properties


def said_of(message: MessageRow, what: str, at: datetime, **properties: Any) -> SystemEvent:
    """An event about a message: `what` is Sent, Delivered, Bounced, Marked as Spam, Opened or Link Clicked.

    What a message causes by itself is a hop further from where it all began; what a person does begins anew.
    """
    told = {**event_properties(message), **properties}
    hops = 0 if properties.get("machine") is False else message.hops + 1
    return SystemEvent(message.profile_id, event_name(message.channel, what), at, told, hops=hops)
