"""JSON Schema of a journey as written: steps, entries and contact rules, for the API, forms and documentation."""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from keepers.contact.rules import PRIORITIES, ContactRules
from keepers.journeys.definition import Goal, Leaving, Reentry
from keepers.journeys.entry.definitions import ENTRIES
from keepers.journeys.parse import MAX_STEPS, REENTRY
from keepers.journeys.steps.registry import STEPS
from keepers.model.fields import Duration, Id, Text, When
from keepers.model.identity import Accepted

_TEMPLATE = "#/$defs/{name}"


def journey_schema() -> dict[str, Any]:
    """One entry of `journeys:`, with everything it refers to under `$defs`."""
    kinds = [*STEPS.values(), *ENTRIES.values(), Goal, Leaving, Reentry]
    plain = [Id, Duration, When, Text]
    schemas, parts = msgspec.json.schema_components([*kinds, *plain], ref_template=_TEMPLATE)
    by_kind = dict(zip(kinds, schemas, strict=False))
    an_id, duration, condition, text = schemas[len(kinds) :]
    return {
        "title": "Journey",
        "type": "object",
        "additionalProperties": False,
        "required": ["id", "enter", "steps"],
        "properties": {
            "id": an_id,
            "name": text,
            "description": text,
            "enter": {"type": "array", "minItems": 1, "items": {"anyOf": [by_kind[e] for e in ENTRIES.values()]}},
            "if": condition,
            "reentry": {"anyOf": [{"enum": list(REENTRY)}, by_kind[Reentry]], "default": "never"},
            "max_age": {**duration, "default": "72h"},
            "goal": by_kind[Goal],
            "exits": {"type": "array", "items": by_kind[Leaving]},
            "priority": {"enum": list(PRIORITIES), "default": "lifecycle"},
            "trust": {"enum": list(get_args(Accepted))},
            "steps": {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_STEPS,
                "items": {"anyOf": [by_kind[s] for s in STEPS.values()]},
            },
        },
        "$defs": parts,
    }


def contact_schema() -> dict[str, Any]:
    """The `contact:` section."""
    return msgspec.json.schema(ContactRules)
