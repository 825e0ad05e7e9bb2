"""The other side of each channel, over loopback: what every channel must stand, told as moods of a server.

A trial stands in the module of its channel's id and is called `Trial`; the contract in
`tests/unit/channels/test_contract.py` puts every registered channel through it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from keepers.model.message import Content, Outgoing

Mood = Literal["accepts", "busy", "refuses", "absent", "silent"]
"""`busy` asks to come again later, `refuses` says never, `absent` does not listen, `silent` never answers."""
TEXT = "Zażółć gęślą jaźń, заказ №7, 订单 🎉"


class ChannelTrial(ABC):
    """One channel's other side."""

    moods: tuple[Mood, ...] = ("accepts", "busy", "refuses", "absent", "silent")
    refusal: tuple[str, ...] = ("failed", "bounced")
    """what a lasting refusal may become"""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def start(self, mood: Mood) -> dict[str, Any]:
        """Begins to listen; the channel's section of keepers.toml that leads here, with short timeouts."""

    @abstractmethod
    def received(self) -> list[str]:
        """The texts that arrived, as the customer would read them."""

    @abstractmethod
    def stop(self) -> None:
        """Stops listening; may be called twice."""

    def message(self, number: int = 1) -> Outgoing:
        """A message with `TEXT` in it; other numbers are other messages."""
        return Outgoing(
            id=number, key=f"run-{number}:hello:1", channel="", recipient="", profile_id=1, content=Content(text=TEXT)
        )

    def put(self, message: Outgoing) -> None:
        """Where in-app messages go."""
        raise AssertionError("only the in-app channel writes into an inbox")


def trial(channel: str, folder: Path) -> ChannelTrial:
    """The trial of a channel; fails for a channel that has none."""
    made: ChannelTrial = import_module(f"channel_trials.{channel}").Trial(folder)
    return made
