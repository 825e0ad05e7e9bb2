"""YAML is read strictly: no booleans by surprise, nothing unbounded, every mistake with its line."""

from __future__ import annotations

import math
from contextlib import suppress
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepers.model.errors import DefinitionError
from keepers.playbook.yaml_nodes import MAX_BYTES, plain_value, read_document


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("NO", "NO"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("yes", "yes"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("007", "007"),
        ("0o17", "0o17"),
        ("0x1F", "0x1F"),
        ("12:30", "12:30"),
        ("190:20:30", "190:20:30"),
        ("1_000", "1_000"),
        ("-5", -5),
        ("+5", 5),
        ("3.50", 3.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("00.5", "00.5"),
        ("9" * 5000, math.inf),
        ("1e99999999", math.inf),
        ("2026-03-01", date(2026, 3, 1)),
        ("2026-03-01T09:30:00", datetime(2026, 3, 1, 9, 30)),
        ("2026-02-30", "2026-02-30"),
        ("~", None),
        ("", None),
        ("null", None),
        ("30d", "30d"),
        ("=", "="),
        ("🙂 שלום", "🙂 שלום"),
    ],
)
def test_an_unquoted_scalar_means_what_it_says(text: str, meant: Any) -> None:
    value = plain_value(text)
    assert value == meant
    assert type(value) is type(meant)


def test_a_quoted_scalar_is_always_text() -> None:
    document = read_document(b"a: '5'\nb: \"true\"\nc: |\n  007\n", "x.yaml")
    assert document.data == {"a": "5", "b": "true", "c": "007\n"}


def test_keys_stay_text() -> None:
    assert read_document(b"{no: 1, 5: 2, null: 3}", "x.yaml").data == {"no": 1, "5": 2, "null": 3}


def test_lines_are_kept_for_every_field_and_the_nearest_stands_in() -> None:
    document = read_document(b"a:\n  - b: 1\n  - b:\n      c: 2\n", "x.yaml")
    assert document.line("a[1].b.c") == 4
    assert document.line("a[1].b.c.d[3]") == 4
    assert document.line("a[0].zz") == 2
    assert document.line("") == 1


def test_aliases_repeat_what_they_name() -> None:
    assert read_document(b"a: &x [1, 2]\nb: *x\n", "x.yaml").data == {"a": [1, 2], "b": [1, 2]}


def _bomb() -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    return "\n".join(lines).encode()


HOSTILE = {
    "unclosed": (b"segments: [a, b\n", "not valid YAML"),
    "tab": (b"segments:\n\t- id: a\n", "not valid YAML"),
    "half a line": (b'segments:\n  - {id: a, who: {did: "Ord', "not valid YAML"),
    "binary": (b"PK\x03\x04\x00\x00", "binary"),
    "NUL": (b"a: b\x00c\n", "binary"),
    "control character": (b"a: b\x07c\n", "not valid YAML"),
    "latin-1": ("a: Łódź\n".encode("iso8859-2"), "not UTF-8"),
    "utf-16": ("a: b\n".encode("utf-16"), ""),
    "too large": (b"a: " + b"x" * MAX_BYTES, "larger than"),
    "deep lists": (b"[" * 50_000, "nested deeper"),
    "deep mappings": (b"{a: " * 50_000, "nested deeper"),
    "deep block": (b"".join(b" " * n + b"a:\n" for n in range(200)), "nested deeper"),
    "bomb": (_bomb(), "aliases counted"),
    "own alias": (b"a: &a [*a]\n", "contains itself"),
    "no anchor": (b"a: *b\n", ""),
    "duplicate key": (b"a: 1\nb: 2\na: 3\n", "written twice, first on line 1"),
    "python object": (b"a: !!python/object/apply:os.system [ls]\n", "not used in playbooks"),
    "own tag": (b"a: !secret b\n", "not used in playbooks"),
    "list as key": (b"? [a, b]\n: c\n", "plain text"),
    "two documents": (b"a: 1\n---\nb: 2\n", "second document"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_cannot_be_read_is_a_clear_mistake(name: str) -> None:
    raw, expected = HOSTILE[name]
    with pytest.raises(DefinitionError) as caught:
        read_document(raw, "playbook/x.yaml")
    assert expected in caught.value.message
    assert caught.value.message.startswith("playbook/x.yaml")


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with suppress(DefinitionError):
        read_document(raw, "x.yaml")


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@ \n\t?,~0", max_size=120))
def test_any_punctuation_is_read_or_refused(text: str) -> None:
    with suppress(DefinitionError):
        read_document(text.encode(), "x.yaml")
