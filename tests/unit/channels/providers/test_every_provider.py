"""What holds for every provider."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepers.channels.base import field_docs
from keepers.channels.email.providers.base import Provider
from keepers.channels.email.providers.registry import PROVIDERS
from keepers.model.errors import UserError

NOW = datetime(2026, 6, 1, 12)
WORDS = [
    "event-data",
    "event",
    "delivered",
    "RecordType",
    "Bounce",
    "Type",
    "Message",
    "Notification",
    "timestamp",
    "mail",
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)
each_provider = pytest.mark.parametrize("provider", list(PROVIDERS.values()), ids=list(PROVIDERS))


@each_provider
def test_its_settings_are_described_and_refuse_everything_while_they_are_empty(provider: Provider) -> None:
    assert PROVIDERS[provider.id] is provider
    assert set(field_docs(provider.settings)) == {f.name for f in msgspec.structs.fields(provider.settings)}
    with pytest.raises(UserError) as refusal:
        provider.verify({}, b"{}", provider.settings(), NOW)
    assert refusal.value.code == "signature"


@each_provider
@given(data=JSON)
def test_no_json_breaks_reading_or_checking(provider: Provider, data: object) -> None:
    body = msgspec.json.encode(data)
    assert isinstance(provider.reports(body), list)
    assert not provider.confirm(body)
    with pytest.raises(UserError):
        provider.verify({}, body, provider.settings(), NOW)


@each_provider
@given(body=st.binary(max_size=40))
def test_no_bytes_do_either(provider: Provider, body: bytes) -> None:
    for read in (provider.reports, lambda b: provider.verify({}, b, provider.settings(), NOW)):
        with suppress(UserError):
            read(body)


@each_provider
def test_an_envelope_without_its_letter_tells_nothing(provider: Provider) -> None:
    for body in (b'{"Type": "Notification"}', b'{"Type": "Notification", "Message": {}}', b'[{"event": "open"}]'):
        assert provider.reports(body) == []
