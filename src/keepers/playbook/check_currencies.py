"""Amounts of several currencies that a condition would add up or compare as if they were of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from keepers.conditions.definitions import Source
from keepers.i18n.findings import Sentence, sentence
from keepers.playbook.load import Playbook

CURRENCY = "currency"
VALUE = "value"
SeenCurrencies = Callable[[str, str], Sequence[str]]
"""(event that arrives, property) → the currencies it has come with"""
_FIGURES = ("sum", "avg", "min", "max")
_AMOUNTS = frozenset(
    {"total", "subtotal", "revenue", "value", "price", "amount", "tax", "shipping", "discount"}
)  # Segment's ecommerce spec names amounts so
_SHOWN = 5


class MixedAmount(NamedTuple):
    """A figure over amounts of several currencies, and the field of the condition it stands in."""

    field: str
    sentence: Sentence


def mixed_amounts(playbook: Playbook, condition: Any, at: str, seen: SeenCurrencies) -> Iterator[MixedAmount]:
    """The figures of a condition, as it is written, that mix currencies."""
    if not isinstance(condition, dict):
        return
    for group in ("all", "any"):
        for n, item in enumerate(condition.get(group) or []):
            yield from mixed_amounts(playbook, item, f"{at}.{group}[{n}]", seen)
    for inside in ("not", "account"):
        if inside in condition:
            yield from mixed_amounts(playbook, condition[inside], f"{at}.{inside}", seen)
    event = condition.get("did", condition.get("did_not"))
    for figure in _FIGURES:
        if event is not None and isinstance(condition.get(figure), dict):
            path = str(condition[figure].get("of", ""))
            found = _currencies(playbook, str(event), path, condition.get("where") or {}, seen)
            if len(found) > 1:
                yield MixedAmount(f"{at}.{figure}", _sentence(str(event), figure, path, found))


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


def _sentence(event: str, figure: str, path: str, currencies: Sequence[str]) -> Sentence:
    shown = ", ".join(currencies[:_SHOWN]) + (" …" if len(currencies) > _SHOWN else "")
    return sentence("mixed_currencies", path=path, event=event, shown=shown, figure=figure, currency=currencies[0])
