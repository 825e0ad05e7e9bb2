"""Chat: the recipient stands where the service's URL has its place, and nowhere else."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime

import pytest

from channel_trials.loopback import Loopback, Says
from keepers.channels.base import ChannelContext
from keepers.channels.chat import ChatChannel, ChatSettings
from keepers.model.message import Content, Outcome, Outgoing

NOW = datetime(2026, 6, 1, 12)


def send(url: str, recipient: str, content: Content) -> Outcome:
    async def run() -> Outcome:
        channel = ChatChannel(ChatSettings(url=url, timeout=5), ChannelContext(now=lambda: NOW, put=print))
        await channel.open()
        return await channel.send(Outgoing(1, "k", "chat", recipient, 1, content))

    return asyncio.run(run())


def test_title_and_text_go_to_the_customers_room() -> None:
    loopback = Loopback(lambda _: Says(200, b"ok"))
    try:
        url = f"mmost://127.0.0.1:{loopback.port}/3ccdd113474722377935511fc85d3dd4?to={{to}}"
        outcome = send(url, "anna", Content(title="Zamówienie", text="Jest już w drodze"))
        assert outcome.status == "sent"
        body = json.loads(loopback.calls[0].body)
        assert body["channel"] == "anna"
        assert "Zamówienie" in body["text"]
        assert "Jest już w drodze" in body["text"]
    finally:
        loopback.stop()


@pytest.mark.parametrize("recipient", ["a/../../admin", "x?format=html", "x&to=other", "#room", "a b", "ж/ж", "%2e%2e"])
def test_a_recipient_cannot_reach_beyond_its_place(recipient: str) -> None:
    loopback = Loopback(lambda _: Says(200, b"{}"))
    try:
        send(f"json://127.0.0.1:{loopback.port}/rooms/{{to}}", recipient, Content(text="Hello"))
        for call in loopback.calls:
            assert call.path.startswith("/rooms/")
            assert call.path.count("/") == 2 or ".." not in call.path
            assert "?" not in call.path
    finally:
        loopback.stop()


def test_without_a_place_every_message_goes_to_the_one_room() -> None:
    loopback = Loopback(lambda _: Says(200, b"ok"))
    try:
        url = f"mmost://127.0.0.1:{loopback.port}/3ccdd113474722377935511fc85d3dd4?to=sales"
        for recipient in ("anna", "bob"):
            assert send(url, recipient, Content(text=f"Call {recipient}")).status == "sent"
        assert [json.loads(call.body)["channel"] for call in loopback.calls] == ["sales", "sales"]
    finally:
        loopback.stop()
