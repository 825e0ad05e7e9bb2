"""Every reason that the code can give has words, in every language of the interface."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

import keepers
from keepers.contact import eligibility
from keepers.delivery import claim, outcomes
from keepers.i18n.locales import LOCALES
from keepers.i18n.reasons import REASONS, is_known, reason
from keepers.i18n.timeline import LINES, joined, line
from keepers.journeys import entry_rules
from keepers.model.consent import ConsentState, SuppressionReason
from keepers.model.message import MessageStatus
from keepers.orchestration import effects, entries, run_control
from keepers.store.journeys import runs
from keepers.store.messages import warm_up

ROOT = Path(keepers.__file__).parent
_GIVEN = {"Skip": 0, "EntryRejected": 0, "Hold": 1, "give_up": None}


def texts(node: ast.AST) -> Iterator[str]:
    """The texts an expression can be: both sides of an `if`, the beginning of an f-string."""
    match node:
        case ast.Constant(value=str(value)):
            yield value
        case ast.JoinedStr(values=[ast.Constant(value=str(start)), *_]):
            yield start
        case ast.IfExp(body=body, orelse=other):
            yield from (*texts(body), *texts(other))
        case ast.BoolOp(values=values):
            for value in values:
                yield from texts(value)
        case _:
            pass


def codes() -> set[str]:
    """What policy, entries and steps give as a reason."""
    found: set[str] = set()
    for module in (eligibility, entry_rules, claim, warm_up, entries):
        for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id=name), args=args) if (place := _GIVEN.get(name)) is not None:
                    if len(args) > place:
                        found.update(texts(args[place]))
                case ast.FunctionDef(returns=ast.BinOp(left=ast.Name(id="str"), right=ast.Constant(value=None))):
                    for inner in ast.walk(node):
                        if isinstance(inner, ast.Return) and inner.value is not None and module is eligibility:
                            found.update(texts(inner.value))
                case ast.Assign(targets=[ast.Name(id="reason")], value=value):
                    found.update(texts(value))
                case _:
                    pass
    for path in (ROOT / "journeys").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="Go"), args=[_, given]):
                    found.update(texts(given))
                case ast.Call(func=ast.Name(id="ended"), args=[_, ast.Constant(value=str(text))]):
                    found.add(text)
                case ast.Call(func=ast.Attribute(attr="ended"), args=[ast.Constant(value=str(text))]):
                    found.add(text)
                case _:
                    pass
    return found - {""}


CODES = codes() | {
    *(f"suppressed.{one}" for one in get_args(SuppressionReason)),
    *(f"not_live.{one}" for one in get_args(entry_rules.Cause) if one != "live"),
    *(claim.NO_CODE, entries.UNMET, warm_up.REASON, run_control.REMOVED, runs.MERGED),
    *(outcomes.HARD, outcomes.SOFT, "worker_died", "connection_broke", "deferred", "retried"),
    *("brake.complaints", "brake.hard_bounces", "cap.email.1d", "cap.all.7d", "no_value.order_id", "no_template"),
    *(effects.TOO_MANY_HOPS, "there is no message “hello”"),
    *("no_channel", "no_subscription", "render", "removed by hand", "finished"),
}


def test_the_search_finds_what_there_is() -> None:
    assert {"no_consent", "expired", "too_old", "quiet_hours", "sunset", "goal", "no answer in time"} <= CODES


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_reason_has_words_in_every_language(code: str) -> None:
    if code.endswith("."):
        # What follows is told apart: suppressions and causes are among the codes one by one.
        assert code[:-1] in REASONS or any(known.startswith(code) for known in REASONS)
        return
    assert is_known(code), f"add “{code}” to measure/reasons.py"
    said = [reason(code, locale) for locale in LOCALES]
    assert all(said)
    assert len(set(said)) == len(LOCALES)
    assert not any("{" in one for one in said)


def test_every_kind_of_line_has_the_same_parts_in_every_language() -> None:
    for kind, words in LINES.items():
        parts = [{name for _, name, _, _ in string.Formatter().parse(one) if name} for one in words]
        assert all(part == parts[0] for part in parts), kind
    for status in (*get_args(MessageStatus), "deferred", "complained", "opened", "clicked", "unsubscribed", "replied"):
        assert all(line(f"message.{status}", locale, message="hello") for locale in LOCALES)
    assert {f"consent.{state}" for state in get_args(ConsentState)} <= LINES.keys()


def test_a_marketers_own_reason_is_told_as_it_is() -> None:
    assert reason("a complaint is open", "ru") == "a complaint is open"
    assert all(len(words) == len(LOCALES) for words in REASONS.values())


def test_what_stands_in_brackets_follows_a_sentence_as_it_is() -> None:
    assert joined("“Hello” was sent", "(2.0.0 OK)") == "“Hello” was sent (2.0.0 OK)."
    assert joined("It was not sent", "", "no consent (asked twice)") == "It was not sent; no consent (asked twice)."
