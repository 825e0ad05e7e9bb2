"""Amounts of several currencies that a condition would add up as if they were of one, or has no rates for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

from keepers.conditions.currencies import Currencies, Unrated
from keepers.conditions.definitions import Source
from keepers.conditions.parsing.conditions import AS
from keepers.i18n.findings import Sentence, sentence
from keepers.playbook.load import Playbook

CURRENCY = "currency"
VALUE = "value"
SeenCurrencies = Callable[[str, str], Sequence[str]]
"""(event that arrives, property) → the currencies it has come with"""
UnratedAmounts = Callable[[str, str, str, Currencies], Sequence[Unrated]]
"""(event that arrives, amount, property of the currency, rates) → the amounts that no rate is for"""
_FIGURES = ("sum", "avg", "min", "max")
_AMOUNTS = frozenset(
    {"total", "subtotal", "revenue", "value", "price", "amount", "tax", "shipping", "discount"}
)  # Segment's ecommerce spec names amounts so
_SHOWN = 5


class AmountRemark(NamedTuple):
    """What is to be said about an amount, and the field of the condition it stands in."""

    field: str
    level: Literal["error", "warning"]
    sentence: Sentence


class _Amount(NamedTuple):
    """An amount that a condition names: of an event, in a figure (or in `where`), under a field."""

    field: str
    event: str
    path: str
    figure: str
    where: dict[str, Any]
    is_reporting: bool


def amount_remarks(
    playbook: Playbook, condition: Any, at: str, seen: SeenCurrencies | None, unrated: UnratedAmounts | None
) -> Iterator[AmountRemark]:
    """What is wrong with the amounts of a condition, as it is written: mixed currencies, and rates that are missing.

    `seen` and `unrated` look at what has arrived; without them only what needs no data is said.
    """
    for amount in _amounts(condition, at):
        if amount.is_reporting and playbook.currencies is None:
            yield AmountRemark(amount.field, "error", sentence("no_currencies", path=amount.path))
        elif amount.is_reporting and unrated is not None:
            missing = _missing(playbook, amount, unrated)
            if missing:
                yield AmountRemark(amount.field, "warning", _unrated_sentence(amount, missing))
        elif not amount.is_reporting and amount.figure and seen is not None:
            found = _currencies(playbook, amount.event, amount.path, amount.where, seen)
            if len(found) > 1:
                finding = _mixed_sentence(amount.event, amount.figure, amount.path, found)
                yield AmountRemark(amount.field, "warning", finding)


def _amounts(condition: Any, at: str) -> Iterator[_Amount]:
    if not isinstance(condition, dict):
        return
    for group in ("all", "any", "sequence"):
        for n, item in enumerate(condition.get(group) or []):
            yield from _amounts(item, f"{at}.{group}[{n}]")
    for inside in ("not", "account"):
        if inside in condition:
            yield from _amounts(condition[inside], f"{at}.{inside}")
    event = condition.get("did", condition.get("did_not"))
    if event is None:
        return
    where = condition.get("where") or {}
    for figure in _FIGURES:
        test = condition.get(figure)
        if isinstance(test, dict):
            yield _Amount(f"{at}.{figure}", str(event), str(test.get("of", "")), figure, where, AS in test)
    for path, test in where.items():
        if isinstance(test, dict) and AS in test:
            yield _Amount(f"{at}.where.{path}", str(event), str(path), "", where, is_reporting=True)


def _missing(playbook: Playbook, amount: _Amount, unrated: UnratedAmounts) -> dict[str, Unrated]:
    """Currency → the amounts of it that have no rate, over all that the event is made of."""
    assert playbook.currencies is not None
    found: dict[str, Unrated] = {}
    word = playbook.events.get(amount.event)
    for source in word.sources if word is not None else (Source(amount.event),):
        path = source.value if amount.path == VALUE and source.value else amount.path
        for one in unrated(source.event, path, source.currency or CURRENCY, playbook.currencies):
            before = found.get(one.currency)
            found[one.currency] = one if before is None else before + one
    return found


def _unrated_sentence(amount: _Amount, missing: dict[str, Unrated]) -> Sentence:
    named = sorted(missing.values(), key=lambda one: (-one.amounts, one.currency))
    shown = ", ".join(
        f"{one.currency or '–'}: {one.amounts:,}, {one.first.date()} … {one.last.date()}" for one in named[:_SHOWN]
    ) + (" …" if len(named) > _SHOWN else "")
    return sentence("unrated_amounts", path=amount.path, event=amount.event, shown=shown)


def _currencies(playbook: Playbook, event: str, path: str, where: dict[str, Any], seen: SeenCurrencies) -> list[str]:
    """The currencies of the amounts that a figure is made of; of a property that is no amount there are none."""
    word = playbook.events.get(event)
    found: set[str] = set()
    for source in word.sources if word is not None else (Source(event),):
        amount = source.value if path == VALUE and source.value else path
        is_amount = amount == source.value or amount.rpartition(".")[2].lower() in _AMOUNTS
        currency = source.currency or CURRENCY
        tested = {*where, *(test.path for test in source.where)}
        if is_amount and not tested & {currency, CURRENCY}:
            found.update(seen(source.event, currency))
    return sorted(found)


def _mixed_sentence(event: str, figure: str, path: str, currencies: Sequence[str]) -> Sentence:
    shown = ", ".join(currencies[:_SHOWN]) + (" …" if len(currencies) > _SHOWN else "")
    return sentence("mixed_currencies", path=path, event=event, shown=shown, figure=figure, currency=currencies[0])
