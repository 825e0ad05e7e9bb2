"""The active playbook: the definitions applied last, read from the operational store."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct, field
from sqlalchemy import Connection

from keepers.conditions import ast, graph
from keepers.evaluation.active_queries import Definitions, conditions_of
from keepers.journeys.definition import Journey
from keepers.journeys.entry.definitions import EventEntry
from keepers.journeys.parse import parse_journey
from keepers.model.errors import NotFoundError, nearest, problem
from keepers.playbook.load import Playbook, load_bodies
from keepers.playbook.trust import answered_for_trust
from keepers.scores import registry
from keepers.scores.registry import SCORES
from keepers.store import definitions
from keepers.store.journeys import runs

FIT = "fit"
"""the kind under which figures of scores are versioned, by the score's id"""


class ActivePlaybook(Struct, frozen=True):
    """`versions`: key (`segment/vip`) → version. `figures` and `fitted_at` have the scores whose figures are frozen."""

    playbook: Playbook
    versions: dict[str, int]
    figures: dict[str, Any] = field(default_factory=dict)
    fitted_at: dict[str, datetime] = field(default_factory=dict)
    pinned: tuple[ast.Condition, ...] = ()
    """conditions on accounts in older versions of journeys that still have runs"""

    def named(self) -> graph.NamedProperties:
        """The events that arrive, and their properties, that anything in the playbook reads."""
        playbook = self.playbook
        broadcasts = playbook.broadcasts.values()
        conditions = [c for one in playbook.segments_and_lifecycles for c in conditions_of(one)]
        conditions += [c for journey in playbook.journeys.values() for c in journey.questions().values()]
        conditions += [c for one in broadcasts for c in (one.include, one.exclude) if c is not None]
        entries = (entry for journey in playbook.journeys.values() for entry in journey.entries)
        events = [*playbook.computed.values(), *(e.event for e in entries if isinstance(e, EventEntry))]
        events += [one.test.goal.event for one in broadcasts if one.test is not None and one.test.goal is not None]
        return graph.named_properties((*conditions, *self.pinned), playbook.events, events)

    def definitions(self) -> Definitions:
        return definitions_of(self.playbook, self.figures, self.pinned)


def definitions_of(
    playbook: Playbook, figures: Mapping[str, Any], pinned: tuple[ast.Condition, ...] = ()
) -> Definitions:
    """A playbook as the evaluator takes it. Conditions of journeys on accounts are answered like segments."""
    conditions = tuple(c for journey in playbook.journeys.values() for c in _about_accounts(journey))
    scores = registry.configured_scores(playbook.scores, figures)
    return Definitions(
        playbook.events,
        playbook.segments,
        playbook.lifecycles,
        scores,
        (*conditions, *pinned),
        playbook.currencies,
        answered_for_trust(playbook),
    )


def load_active_playbook(connection: Connection, zone: ZoneInfo | None = None) -> ActivePlaybook:
    """The active version of everything."""
    bodies: dict[str, Any] = {}
    versions: dict[str, int] = {}
    figures: dict[str, Any] = {}
    fitted_at: dict[str, datetime] = {}
    for row in definitions.active(connection):
        if row.kind == FIT:
            if row.id in SCORES:
                figures[row.id] = msgspec.json.decode(row.body, type=SCORES[row.id].figures)
                fitted_at[row.id] = row.applied_at
            continue
        key = row.kind if row.kind in SCORES else f"{row.kind}/{row.id}"
        bodies[key] = msgspec.json.decode(row.body)
        versions[key] = row.version
    pinned = _pinned(connection, versions, zone)
    return ActivePlaybook(load_bodies(bodies, zone), versions, figures, fitted_at, pinned)


def _pinned(connection: Connection, versions: dict[str, int], zone: ZoneInfo | None) -> tuple[ast.Condition, ...]:
    found: list[ast.Condition] = []
    for name, version in runs.versions(connection):
        if versions.get(f"journey/{name}") != version:
            rows = definitions.versions(connection, "journey", name)
            body = next((row.body for row in rows if row.version == version), None)
            if body is not None:
                found += _about_accounts(parse_journey(msgspec.json.decode(body), zone))
    return tuple(found)


def _about_accounts(journey: Journey) -> list[ast.Condition]:
    return [c for c in journey.questions().values() if any(isinstance(part, ast.Account) for part in ast.walk(c))]


def freeze_figures(connection: Connection, figures: Mapping[str, Any], now: datetime) -> None:
    """Makes fitted figures of scores the ones in force, each as a version of its own."""
    for name, fitted in figures.items():
        definitions.apply(connection, FIT, name, msgspec.json.encode(fitted).decode(), now)


def body_text(body: Any) -> str:
    """A definition's plain data as canonical JSON, as it is versioned."""
    return msgspec.json.encode(body, order="sorted").decode()


def split_key(key: str) -> tuple[str, str]:
    """`segment/vip` → (segment, vip); `rhythm` → (rhythm, rhythm)."""
    kind, _, name = key.partition("/")
    return kind, name or kind


def known(live: ActivePlaybook, name: str) -> Journey:
    """An active journey. Raises NotFoundError with the nearest names."""
    found = live.playbook.journeys.get(name)
    if found is None:
        raise NotFoundError(
            problem("There is no journey “{name}” in force.", near=nearest(name, live.playbook.journeys), name=name)
        )
    return found
