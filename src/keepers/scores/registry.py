"""Every score by its id. A new one is one new file of this package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import keepers.scores as package
from keepers.conditions.compile.features import ComputedTrait
from keepers.model.plug_ins import classes_of
from keepers.scores.score import Score, ScoreInForce

_found: dict[str, Score] = {}
SCORES: Mapping[str, Score] = MappingProxyType(_found)
"""score id → the score"""
Scores = dict[str, ScoreInForce]


def discover() -> None:
    """Reads the package anew; `SCORES` shows what is in it."""
    kinds = [kind for kind in classes_of(package, Score) if kind is not Score]  # type: ignore[type-abstract]
    _found.clear()
    _found.update({kind.id: kind() for kind in sorted(kinds, key=lambda kind: kind.id)})


def configured_scores(settings: Mapping[str, Any] | None = None, figures: Mapping[str, Any] | None = None) -> Scores:
    """Every score with the settings and figures given by its id, and with its defaults where none are given."""
    written, fitted = settings or {}, figures or {}
    return {
        name: ScoreInForce(written.get(name) or score.settings(), fitted.get(name) or score.figures())
        for name, score in SCORES.items()
    }


def events_of(scores: Scores) -> dict[str, str]:
    """trait → the event it is worked out of."""
    return {trait: event for event, traits in _traits(scores) for trait in traits}


def computed_traits(scores: Scores) -> dict[str, ComputedTrait]:
    """The traits of all scores by name, with the figures frozen into them."""
    found: dict[str, ComputedTrait] = {}
    for name, one in scores.items():
        found |= SCORES[name].computed(one.settings, one.figures)
    return found


def _traits(scores: Scores) -> Iterator[tuple[str, tuple[str, ...]]]:
    return ((SCORES[name].event(one.settings), SCORES[name].traits) for name, one in scores.items())


discover()
