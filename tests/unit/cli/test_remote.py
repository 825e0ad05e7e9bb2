"""How a use case's request is sent to a server."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from keepers.app.customers.conditions import CountCondition, count_condition
from keepers.app.customers.consents import ExportConsents, RecordConsent, export_consents, record_consent
from keepers.app.customers.profiles import ReadProfile, read_profile
from keepers.cli.remote import address_of


@pytest.mark.parametrize("name", ["ann", "#12", "a/b", "50%41", "a?b=c", "a b", "названо", "../x"])
def test_a_name_is_one_part_of_the_address_whatever_it_holds(name: str) -> None:
    path, query, body = address_of(read_profile, ReadProfile(id=name))
    start, _, last = path.rpartition("/")
    assert (start, unquote(last)) == ("/profiles", name)
    assert (query, body) == ({"locale": "en"}, None)


def test_a_body_holds_what_the_path_does_not() -> None:
    request = RecordConsent(id="ann", channel="email", topic="news", state="subscribed")
    path, query, body = address_of(record_consent, request)
    assert (path, query) == ("/profiles/ann/consents/record", {})
    assert body == {
        "channel": "email", "topic": "news", "state": "subscribed", "source": "api", "wording": "", "at": "",
    }  # fmt: skip
    assert address_of(export_consents, ExportConsents(path="/tmp/x.csv")) == (
        "/consents/export", {}, {"path": "/tmp/x.csv"},
    )  # fmt: skip


def test_a_field_that_is_the_whole_body_leaves_the_others_to_the_query() -> None:
    request = CountCondition(condition={"did": "Order Completed"}, now="2026-03-01")
    assert address_of(count_condition, request) == (
        "/audience/count", {"now": "2026-03-01"}, {"did": "Order Completed"},
    )  # fmt: skip
