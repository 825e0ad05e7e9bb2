"""The contract of channels: each registered one against its other side over loopback, in every mood."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

import keepers.channels
from channel_trials import TEXT, ChannelTrial, Mood, trial
from keepers.channels.base import (
    OUTCOME_CODES,
    UNCERTAIN,
    Channel,
    ChannelContext,
    field_docs,
    read_settings,
)
from keepers.channels.registry import CHANNELS
from keepers.model.errors import UserError
from keepers.model.message import Outcome

NOW = datetime(2026, 6, 1, 12)
each_channel = pytest.mark.parametrize("channel_id", sorted(CHANNELS))


@pytest.fixture
def other_side(channel_id: str, tmp_path: Path) -> Iterator[ChannelTrial]:
    found = trial(channel_id, tmp_path)
    yield found
    found.stop()


def made(channel_id: str, other_side: ChannelTrial, mood: Mood) -> Channel:
    if mood not in other_side.moods:
        pytest.skip(f"the other side of {channel_id} is never {mood}")
    kind = CHANNELS[channel_id]
    around = ChannelContext(now=lambda: NOW, put=other_side.put, secret=b"s" * 32)
    return kind.make(read_settings(kind, other_side.start(mood)), around)


def with_open(channel: Channel, use: Callable[[Channel], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with asyncio.timeout(30):
            await channel.open()
            try:
                return await use(channel)
            finally:
                await channel.close()

    return asyncio.run(run())


def sent_once(channel_id: str, other_side: ChannelTrial, mood: Mood) -> Outcome:
    channel = made(channel_id, other_side, mood)
    outcome = with_open(channel, lambda c: c.send(other_side.message()))
    assert isinstance(outcome, Outcome)
    return outcome


@each_channel
def test_what_is_sent_arrives_once_and_whole(channel_id: str, other_side: ChannelTrial) -> None:
    outcome = sent_once(channel_id, other_side, "accepts")
    assert outcome.status == "sent", outcome
    (text,) = other_side.received()
    assert TEXT in text


@each_channel
def test_a_busy_other_side_is_tried_again_later(channel_id: str, other_side: ChannelTrial) -> None:
    outcome = sent_once(channel_id, other_side, "busy")
    assert outcome.status == "deferred", outcome
    assert outcome.code
    assert outcome.detail


@each_channel
def test_a_lasting_refusal_is_final(channel_id: str, other_side: ChannelTrial) -> None:
    outcome = sent_once(channel_id, other_side, "refuses")
    assert outcome.status in other_side.refusal, outcome
    assert outcome.code
    assert outcome.detail


@each_channel
def test_nobody_listening_is_tried_again_later(channel_id: str, other_side: ChannelTrial) -> None:
    outcome = sent_once(channel_id, other_side, "absent")
    assert outcome.status == "deferred", outcome
    assert outcome.detail


@each_channel
def test_silence_ends_within_the_timeout(channel_id: str, other_side: ChannelTrial) -> None:
    outcome = sent_once(channel_id, other_side, "silent")
    assert outcome.status == "deferred" or outcome.code == UNCERTAIN, outcome
    assert outcome.detail


@each_channel
def test_many_are_sent_at_once_and_none_twice(channel_id: str, other_side: ChannelTrial) -> None:
    async def all_at_once(channel: Channel) -> list[Outcome]:
        return list(await asyncio.gather(*(channel.send(other_side.message(n)) for n in range(1, 21))))

    outcomes = with_open(made(channel_id, other_side, "accepts"), all_at_once)
    assert [o.status for o in outcomes] == ["sent"] * 20
    assert len(other_side.received()) == 20


@each_channel
def test_a_closed_channel_may_be_opened_again(channel_id: str, other_side: ChannelTrial) -> None:
    channel = made(channel_id, other_side, "accepts")
    for number in (1, 2):
        outcome = with_open(channel, lambda c, n=number: c.send(other_side.message(n)))
        assert outcome.status == "sent", outcome
    assert len(other_side.received()) == 2


@each_channel
def test_a_message_with_nothing_in_it_raises_nothing(channel_id: str, other_side: ChannelTrial) -> None:
    channel = made(channel_id, other_side, "accepts")
    empty = msgspec.structs.replace(other_side.message(), recipient="", content=type(other_side.message().content)())
    outcome = with_open(channel, lambda c: c.send(empty))
    assert outcome.status in ("failed", "bounced"), outcome
    assert other_side.received() == []


@each_channel
def test_every_setting_is_described_and_has_a_default(channel_id: str) -> None:
    kind = CHANNELS[channel_id]
    assert kind.id == channel_id
    assert kind.docs.endswith(".")
    fields = {f.name for f in msgspec.structs.fields(kind.settings)}
    assert set(field_docs(kind.settings)) == fields
    read_settings(kind, {})


@each_channel
def test_an_unknown_setting_is_refused_by_name(channel_id: str) -> None:
    with pytest.raises(UserError, match=rf"\[channels\.{channel_id}\].*colour"):
        read_settings(CHANNELS[channel_id], {"colour": "red"})


def test_no_channel_is_left_out_of_the_registry() -> None:
    folder = Path(keepers.channels.__path__[0])
    holding = [path for path in folder.rglob("*.py") if "\nKIND = ChannelKind(" in path.read_text(encoding="utf-8")]
    assert {path.stem if path.parent == folder else path.parent.name for path in holding} == set(CHANNELS)


def test_every_code_of_an_outcome_is_described() -> None:
    used = set()
    for path in Path(keepers.channels.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Outcome":
                codes = [k.value for k in node.keywords if k.arg == "code"] + node.args[2:3]
                used |= {c.value for c in codes if isinstance(c, ast.Constant) and isinstance(c.value, str)}
    assert used <= set(OUTCOME_CODES)
    assert all(text.endswith(".") for text in OUTCOME_CODES.values())
