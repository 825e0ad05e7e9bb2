"""The schema of journeys and contact rules says of what parses that it is right, and of mistakes that they are."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from keepers.journeys.parse import FIELDS
from keepers.journeys.schema import contact_schema, journey_schema
from keepers.journeys.steps.registry import STEPS
from keepers.playbook.yaml_nodes import read_document
from unit.journeys.test_parse import WHOLE


def test_the_whole_format_is_in_the_schema() -> None:
    schema = journey_schema()
    assert set(schema["properties"]) == set(FIELDS)
    assert {step.__name__ for step in STEPS.values()} <= set(schema["$defs"])
    Draft202012Validator(schema).validate(read_document(WHOLE.encode(), "welcome.yaml").data)


@pytest.mark.parametrize("step", [{"id": "a"}, {"id": "a", "delay": 5}, {"id": "a", "jump": "b", "next": "c"}])
def test_the_schema_refuses_what_is_refused(step: dict[str, Any]) -> None:
    whole = {"id": "j", "enter": [{"api": True}], "steps": [step]}
    assert not Draft202012Validator(journey_schema()).is_valid(whole)


def test_contact_rules_have_a_schema() -> None:
    validator = Draft202012Validator(contact_schema())
    validator.validate(
        {"caps": {"email": {"1d": 1}}, "quiet": {"sms": {"from": "20:00", "to": "09:00"}}, "sunset": None}
    )
    assert not validator.is_valid({"caps": {"email": {"1d": -1}}})
