"""The golden-liquid cases against templates as Keepers compiles and renders them."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from liquid.exceptions import LiquidError

from keepers.render.assemble import SourceText, assemble, plain
from keepers.render.compose import TEXT
from keepers.render.errors import RenderError
from keepers.render.liquid.context import MessageContext
from keepers.render.liquid.sandbox import run

CASES = Path(__file__).parents[3] / "shared" / "data" / "liquid" / "golden_liquid_half.json"
NOT_OURS = {
    "tags, include, ": "there is no {% include %}: {% render %} does it, without names computed at run time",
    "filters, date, missing argument": "{{ x | date }} without a format is the customer's own medium form",
    "filters, url encode, some special URL characters": "a name that a value prints is broken, so that it is no link",
}
"""what does not apply, by the beginning of a case's name: such a template must be refused, or differ by intent"""


def _cases() -> list[Any]:
    if not CASES.is_file():  # they come with a checkout beside this one
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"there are no golden-liquid cases at {CASES}"))]
    cases = json.loads(CASES.read_text(encoding="utf-8"))["tests"]
    return [pytest.param(case, id=case["name"], marks=_marks(case["name"])) for case in cases]


def _marks(name: str) -> list[pytest.MarkDecorator]:
    reason = next((why for beginning, why in NOT_OURS.items() if name.startswith(beginning)), None)
    return [pytest.mark.skip(reason=reason)] if reason else []


def test_include_is_refused() -> None:
    with pytest.raises(LiquidError, match="include"):
        TEXT.compiled("{% include 'product' %}")


def test_a_date_without_a_format_is_written_in_the_medium_form() -> None:
    assert _render({"template": "{{ 'March 14, 2016' | date }}"}) == "Mar 14, 2016"


def test_a_name_in_an_encoded_address_is_broken() -> None:
    assert _render({"template": "{{ 'bob@example.com!' | url_encode }}"}) == "bob%40example.\u200bcom%21"


def _render(case: dict[str, Any]) -> str:
    snippets = {name: SourceText(name, text) for name, text in case.get("templates", {}).items()}
    woven = plain(assemble(SourceText("body", case["template"]), None, snippets.get))
    template = TEXT.compiled(woven.source)
    return run(template, case.get("data", {}), MessageContext("en", clock=time.monotonic, now=datetime(2026, 3, 1)))


@pytest.mark.parametrize("case", _cases())
def test_golden_liquid(case: dict[str, Any]) -> None:
    if case.get("invalid"):
        with pytest.raises((LiquidError, RenderError)):
            _render(case)
        return
    assert _render(case) in case.get("results", [case.get("result")])
