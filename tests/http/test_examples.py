"""The examples of the management API's document hold against the types they are examples of."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from keepers.app.use_cases import wire_format
from keepers.app.use_cases.use_case import UseCase
from keepers.http.management.endpoints import example_of, examples
from keepers.http.management.router import USE_CASES


@pytest.mark.parametrize("what", USE_CASES, ids=lambda one: one.name)
def test_an_example_is_what_the_use_case_takes_and_gives(what: UseCase[Any, Any]) -> None:
    response = example_of(what.name, "response")
    assert response is not None, "no example of the response"
    assert wire_format.plain(wire_format.decode(msgspec.json.encode(response), what.response)) == response
    request = example_of(what.name, "request")
    in_body = set(what.request.__struct_fields__) - set(what.route.in_path) if what.route.has_body else set()
    in_body -= {what.route.body} if what.route.body else set()
    assert (request is not None) == bool(in_body and not what.route.body and not what.route.is_upload), (
        "an example of the request's body is there where it has one"
    )
    if request is not None:
        assert request.keys() <= in_body
        hints = {field.name: field.type for field in msgspec.structs.fields(what.request)}
        for name, value in request.items():
            msgspec.convert(value, hints[name])


def test_every_example_is_of_a_use_case() -> None:
    assert examples().keys() == {what.name for what in USE_CASES}
