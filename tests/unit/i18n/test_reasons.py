"""Every reason that the code can give has a sentence, in every language there is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

import keepers
from keepers.broadcasts import advance
from keepers.contact import eligibility, places
from keepers.delivery import claim, outcomes
from keepers.i18n.catalogues import languages
from keepers.i18n.reasons import SENTENCES, is_known, reason_text
from keepers.i18n.timeline import LINES, joined, line
from keepers.journeys import entry_rules
from keepers.journeys.broadcast import Rule
from keepers.model.consent import ConsentState, SuppressionReason
from keepers.model.message import MessageStatus
from keepers.model.reasons import Reason
from keepers.orchestration import effects, entries, run_control
from keepers.store.journeys import runs
from keepers.store.messages import broadcast_sends

ROOT = Path(keepers.__file__).parent
_GIVEN = {"Skip": 0, "EntryRejected": 0, "Hold": 1}


def texts(node: ast.AST) -> Iterator[str]:
    """The texts an expression can be: both sides of an `if`, a Reason with any data."""
    match node:
        case ast.Constant(value=str(value)):
            yield value
        case ast.Call(func=ast.Name(id="str"), args=[ast.Call(func=ast.Name(id="Reason")) as reason]):
            yield from texts(reason)
        case ast.Call(func=ast.Name(id="Reason"), args=[ast.Constant(value=str(code)), *data]):
            yield str(Reason(code, "…" if data else ""))
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
    for module in (eligibility, entry_rules, claim, places, entries):
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
    for path in [*(ROOT / "journeys").rglob("*.py"), *(ROOT / "orchestration").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="Go"), args=[_, argument]):
                    found.update(texts(argument))
                case ast.Call(func=ast.Name(id="ended"), args=[_, argument]):
                    found.update(texts(argument))
                case ast.Call(func=ast.Attribute(attr="ended"), args=[argument]):
                    found.update(texts(argument))
                case ast.Call(func=ast.Name(id="Reason")):
                    found.update(texts(node))
                case _:
                    pass
    return found - {""}


CODES = codes() | {
    *(f"suppressed.{one}" for one in get_args(SuppressionReason)),
    *(f"not_live.{one}" for one in get_args(entry_rules.Cause) if one != "live"),
    *(claim.NO_CODE, entries.UNMET, places.WARM_UP, run_control.REMOVED, run_control.BY_HAND, runs.MERGED),
    *(eligibility.SAME_ADDRESS, eligibility.KILL_SWITCH, eligibility.QUIET_HOURS),
    *(outcomes.HARD, outcomes.SOFT, "worker_died", "connection_broke", "deferred", "retried"),
    *("brake.complaints", "brake.hard_bounces", "cap.email.1d", "cap.all.7d", "no_value.order_id", "no_template"),
    *(effects.TOO_MANY_HOPS, "there is no message “hello”"),
    *(broadcast_sends.STOPPED, advance.NO_BROADCAST),
    *(str(Reason(code)) for code in ("no_test", "equally_good", *(f"most_{what}" for what in get_args(Rule)))),
    str(Reason("too_few_sent", "100")),
    *("no_channel", "no_subscription", "render", "removed by hand", "finished"),
}


def test_the_search_finds_what_there_is() -> None:
    assert {"no_consent", "expired", "too_old", "quiet_hours", "sunset", "goal", "no answer in time"} <= CODES
    assert {"answered …", "no date in “…”", "the step is gone", "already_entered", "no_value.…"} <= CODES


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_reason_has_a_sentence_in_every_language(code: str) -> None:
    if code.endswith(".…") and code.removesuffix("…")[:-1] not in SENTENCES:
        # Of a closed set: suppressions and causes are among the codes one by one.
        assert any(known.startswith(code.removesuffix("…")) for known in SENTENCES)
        return
    assert is_known(Reason.parse(code)), f"add “{code}” to i18n/reasons.py"
    texts = [reason_text(code, locale) for locale in languages()]
    assert all(texts)
    assert len(set(texts)) == len(languages())
    assert not any("{" in one for one in texts)


@pytest.mark.parametrize("code", sorted(CODES))
def test_a_reason_is_read_as_it_was_written(code: str) -> None:
    assert str(Reason.parse(code)) == code


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("cap.email.1d", Reason("cap", "email.1d")),
        ("suppressed.hard_bounce", Reason("suppressed", "hard_bounce")),
        ("no_consent", Reason("no_consent")),
        ("no date in “renewal_at”", Reason("no_date", "renewal_at")),
        ("answered 503", Reason("webhook_answered", "503")),
        ("no answer", Reason("webhook_silent")),
        ("no answer in time", Reason("webhook_late")),
        ("more than 10 journeys and events in a chain: they feed each other", Reason("chain_too_long", "10")),
        ("most clicks", Reason("most_clicks")),
        ("fewer than 100 sent of a variant", Reason("too_few_sent", "100")),
        ("answered ", Reason("answered ")),
        ("a complaint is open.", Reason("a complaint is open.")),
        ("", Reason("")),
    ],
)
def test_what_histories_hold_is_a_code_and_its_data(written: str, reason: Reason) -> None:
    assert Reason.parse(written) == reason
    assert str(reason) == written


def test_every_status_and_state_has_a_line_in_every_language() -> None:
    for status in (*get_args(MessageStatus), "deferred", "complained", "opened", "clicked", "unsubscribed", "replied"):
        assert all(line(f"message.{status}", locale, message="hello") for locale in languages())
    assert {f"consent.{state}" for state in get_args(ConsentState)} <= LINES.keys()


@pytest.mark.parametrize(
    ("locale", "expected"),
    [
        ("en", ["1 time so far", "2 times so far", "5 times so far", "21 times so far"]),
        ("ru", ["уже 1 раз", "уже 2 раза", "уже 5 раз", "уже 21 раз"]),
        ("pl", ["dotąd 1 raz", "dotąd 2 razy", "dotąd 5 razy", "dotąd 21 razy"]),
        ("zh", ["至今 1 次", "至今 2 次", "至今 5 次", "至今 21 次"]),
        ("it", ["finora 1 volta", "finora 2 volte", "finora 5 volte", "finora 21 volte"]),
    ],
)
def test_a_number_takes_the_form_of_the_language(locale: str, expected: list[str]) -> None:
    assert [line("times", locale, number=number) for number in (1, 2, 5, 21)] == expected


def test_a_marketers_own_reason_is_shown_as_it_is() -> None:
    assert reason_text("a complaint is open", "ru") == "a complaint is open"


def test_what_stands_in_brackets_follows_a_sentence_as_it_is() -> None:
    assert joined("“Hello” was sent", "(2.0.0 OK)") == "“Hello” was sent (2.0.0 OK)."
    assert joined("It was not sent", "", "no consent (asked twice)") == "It was not sent; no consent (asked twice)."
