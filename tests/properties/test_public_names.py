"""Names that came by public keys alone have no columns, and conditions on them are answered exactly all the same:
before a playbook names them, after it does, and after the first trusted row."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from keepers.conditions import graph
from keepers.evaluation.active_queries import Definitions, conditions_of
from keepers.warehouse import rebuild as rebuild_module
from keepers.warehouse.database import Warehouse
from keepers.warehouse.load import load
from keepers.warehouse.rebuild import fill, rebuild, take_names, typed_tables
from profiles import large
from properties.definitions import playbooks
from properties.oracle import Oracle
from properties.populations import scenarios
from properties.running import Live, difference, expected
from properties.scenario import Scenario, at
from properties.test_fold import END, visible
from properties.warehouses import empty_warehouse
from warehouse_rows import contents


def by_public_keys(scenario: Scenario) -> Scenario:
    """The same world, of which everything was said by browsers."""
    facts = [replace(f, trust="public") if f.kind in ("track", "identify", "group") else f for f in scenario.facts]
    return Scenario(facts, scenario.zone)


def named(definitions: Definitions) -> graph.NamedProperties:
    conditions = chain.from_iterable(conditions_of(one) for one in definitions.by_id().values())
    return graph.named_properties(conditions, definitions.events, definitions.computed.values())


def agrees(running: Live, scenario: Scenario, definitions: Definitions) -> None:
    wanted = expected(Oracle(scenario, definitions), at(END))
    got = running.as_of(at(END))
    assert not (found := difference(visible(got), visible(wanted), scenario, definitions)), found


def typed_rows(warehouse: Warehouse) -> dict[str, Any]:
    tables = typed_tables(warehouse)
    return contents(warehouse, of=tables) if tables else {}


@large(0.05)
@given(scenarios(merges=True, future=False), playbooks())
def test_what_public_keys_alone_sent_is_answered_without_columns_and_with_them(
    scenario: Scenario, definitions: Definitions
) -> None:
    public = by_public_keys(scenario)
    with empty_warehouse() as warehouse:
        load(warehouse, public.rows())
        assert typed_tables(warehouse) == []
        running = Live(warehouse, definitions, at(0))
        agrees(running, public, definitions)
        with patch.object(rebuild_module, "PIECE", 3):
            take_names(warehouse, named(definitions))
            agrees(running, public, definitions)
            while fill(warehouse, 1):
                pass
        arrived = {f.event for f in public.facts} & named(definitions).keys()
        assert {e for e, layout in warehouse.registry.events.items() if layout.table} == arrived
        agrees(running, public, definitions)
        before = typed_rows(warehouse)
        rebuild(warehouse)
        assert typed_rows(warehouse) == before


@large(0.05)
@given(scenarios(merges=True, future=False), playbooks(), st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_names_get_their_columns_with_the_first_trusted_row(
    scenario: Scenario, definitions: Definitions, sizes: list[int]
) -> None:
    with empty_warehouse() as warehouse:
        running = Live(warehouse, definitions, at(0))
        with patch.object(rebuild_module, "PIECE", 1):
            running.load(scenario.rows(), sizes)
            agrees(running, scenario, definitions)
            while fill(warehouse, 1):
                pass
            trusted = {f.event for f in scenario.facts if f.trusted and f.kind == "track"}
            assert {e for e, layout in warehouse.registry.events.items() if layout.table} == trusted
            # What the playbook names besides is written again alone.
            take_names(warehouse, named(definitions))
            agrees(running, scenario, definitions)
            while fill(warehouse, 1):
                pass
        agrees(running, scenario, definitions)
        before = typed_rows(warehouse)
        rebuild(warehouse)
        assert typed_rows(warehouse) == before
