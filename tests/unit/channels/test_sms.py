"""SMS: numbers in international form, what a text costs, and what the gateway says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from channel_trials.loopback import Answering, Loopback, Says
from keepers.channels.base import UNCERTAIN, ChannelContext
from keepers.channels.sms import SmsChannel, SmsSettings, sms_parts
from keepers.contact.addresses import AddressTraits, address_of, e164, home_country
from keepers.model.errors import UserError
from keepers.model.message import Content, Outcome, Outgoing

NOW = datetime(2026, 6, 1, 12)

TAKEN = Says(200, b'{"result":[{"message_id":4753,"status":"ok"}]}')


@pytest.mark.parametrize(
    ("written", "country", "number"),
    [
        ("+48 600 100 200", "", "+48600100200"),
        ("0048600100200", "", "+48600100200"),
        ("600-100-200", "PL", "+48600100200"),
        ("600-100-200", "pl", "+48600100200"),
        ("8 (912) 345-67-89", "RU", "+79123456789"),
        ("(202) 555-0123", "US", "+12025550123"),
        ("+86 138 0013 8000", "PL", "+8613800138000"),
        ("347 123 4567", "IT", "+393471234567"),
        ("600-100-200", "", None),
        ("+48 12", "", None),
        ("+999 123456789", "", None),
        ("call me", "PL", None),
        ("", "PL", None),
        ("+4860010020012345678", "", None),
    ],
)
def test_a_number_becomes_international_or_nothing(written: str, country: str, number: str | None) -> None:
    assert e164(written, country) == number


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", 1), ("a" * 160, 1), ("a" * 161, 2), ("a" * 306, 2), ("a" * 307, 3),
        ("€" * 80, 1), ("€" * 81, 2), ("a" * 152 + "€" + "a" * 151, 2), ("a" * 152 + "€" + "a" * 152, 3),
        ("я" * 70, 1), ("я" * 71, 2), ("я" * 134, 2), ("я" * 135, 3),
        ("🎉" * 35, 1), ("🎉" * 36, 2), ("🎉" * 66, 2), ("🎉" * 67, 3),
    ],
)  # fmt: skip
def test_a_text_is_billed_by_its_alphabet(text: str, parts: int) -> None:
    assert sms_parts(text) == parts


class Gateway:
    def __init__(self) -> None:
        self.loopback: Loopback | None = None

    def answers(self, answering: Answering | Says) -> None:
        self.loopback = Loopback((lambda _: answering) if isinstance(answering, Says) else answering)

    def texts(self) -> list[tuple[str, str]]:
        assert self.loopback
        bodies = [json.loads(one.body)["params"] for one in self.loopback.calls]
        return [(one["to"], one["message"]) for one in bodies]

    def send(self, recipient: str = "+48600100200", text: str = "Hello", **of_message: Any) -> Outcome:
        port = self.loopback.port if self.loopback else 1

        async def run() -> Outcome:
            url = f"smseagle://token@127.0.0.1:{port}/{{to}}?rto=0.4"
            channel = SmsChannel(
                SmsSettings(url=url, country="PL", timeout=5), ChannelContext(now=lambda: NOW, put=print)
            )
            await channel.open()
            try:
                return await channel.send(Outgoing(1, "k", "sms", recipient, 1, Content(text=text), **of_message))
            finally:
                await channel.close()

        return asyncio.run(run())


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    one = Gateway()
    yield one
    if one.loopback:
        one.loopback.stop()


def test_the_gateway_gets_number_and_text(gateway: Gateway) -> None:
    gateway.answers(TAKEN)
    text = "Kod: 50% zniżki & więcej {to} <b>\n\\n {{ x }} :smile:"
    assert gateway.send(text=text).status == "sent"
    assert gateway.texts() == [("+48600100200", text)]


@pytest.mark.parametrize("recipient", ["12/../+15551234567?x=1", "600100200"])
def test_a_number_that_is_none_bounces_and_nothing_is_sent(gateway: Gateway, recipient: str) -> None:
    """One without a country is the number of nobody yet: completed here, it would pass by suppressions."""
    gateway.answers(TAKEN)
    outcome = gateway.send(recipient=recipient)
    assert (outcome.status, outcome.code, outcome.is_hard) == ("bounced", "invalid_number", True)
    assert gateway.texts() == []


def test_a_text_that_would_cost_too_much_is_not_sent(gateway: Gateway) -> None:
    gateway.answers(TAKEN)
    outcome = gateway.send(text="я" * 202)
    assert (outcome.status, outcome.code) == ("failed", "too_long")
    assert "4 SMS" in str(outcome.detail)
    assert gateway.texts() == []


@pytest.mark.parametrize(
    ("status", "becomes"), [(400, "failed"), (401, "failed"), (429, "deferred"), (500, "deferred")]
)
def test_what_the_gateways_answer_means(gateway: Gateway, status: int, becomes: str) -> None:
    gateway.answers(Says(status, b"{}"))
    outcome = gateway.send()
    assert (outcome.status, outcome.code) == (becomes, str(status))
    assert "SMSEagle" in str(outcome.detail)
    assert "token" not in str(outcome.detail)


def test_a_text_whose_answer_was_lost_may_have_arrived(gateway: Gateway) -> None:
    gateway.answers(lambda _: None)
    outcome = gateway.send()
    assert (outcome.status, outcome.code) == ("failed", UNCERTAIN)
    assert len(gateway.texts()) == 1


def test_a_gateway_that_redirects_is_not_followed(gateway: Gateway) -> None:
    gateway.answers(Says(307, headers={"location": "/elsewhere"}))
    assert gateway.send().status == "failed"
    assert len(gateway.texts()) == 1


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (SmsSettings(url="twilio://AC:tok@+15551234567/"), "{to}"),
        (SmsSettings(url="json://{to}/"), "after the host"),
        (SmsSettings(url=""), "{to}"),
        (SmsSettings(url="json://localhost/{to}", country="Poland"), "country"),
        (SmsSettings(url="json://localhost/{to}", timeout=0), "timeout"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: SmsSettings, named: str) -> None:
    with pytest.raises(UserError, match=named):
        SmsChannel(settings, ChannelContext(now=lambda: NOW, put=print))


def test_an_address_apprise_does_not_know_is_refused_at_the_start() -> None:
    channel = SmsChannel(SmsSettings(url="nosuch://host/{to}"), ChannelContext(now=lambda: NOW, put=print))
    with pytest.raises(UserError, match="Apprise"):
        asyncio.run(channel.open())


def test_known_gateways_read_the_number_where_it_is_put() -> None:
    import apprise

    url = "twilio://AC" + "a" * 32 + ":" + "b" * 32 + "@+15551234567/{to}"
    channel = SmsChannel(SmsSettings(url=url), ChannelContext(now=lambda: NOW, put=print))
    asyncio.run(channel.open())
    made = apprise.Apprise.instantiate(url.replace("{to}", "%2B48600100200"))
    assert made.targets == [("T", "+48600100200")]


@pytest.mark.parametrize(
    ("channel", "value", "country", "address"),
    [
        ("sms", " 600 100 200 ", "PL", "+48600100200"), ("sms", "0048600100200", "", "+48600100200"),
        ("sms", 600100200, "PL", "+48600100200"), ("sms", 48600100200.0, "PL", "+48600100200"),
        ("sms", 600100200, "", "600100200"), ("sms", True, "PL", ""), ("sms", None, "PL", ""), ("sms", " ", "PL", ""),
        ("email", " Ann@example.com ", "PL", "Ann@example.com"),
    ],
)  # fmt: skip
def test_a_trait_is_one_address_however_it_is_kept(channel: str, value: object, country: str, address: str) -> None:
    assert address_of(channel, value, country) == address


def test_bare_numbers_belong_where_the_workspace_says() -> None:
    assert home_country(AddressTraits({"sms": "phone"}, "PL")) == "PL"
    assert home_country({"sms": "phone"}) == ""
