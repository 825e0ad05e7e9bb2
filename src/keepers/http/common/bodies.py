"""Bodies of requests: their OpenAPI schema, and reading them with errors that name the field."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from litestar.openapi.spec import Example, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import Body, BodyKwarg
from msgspec import Struct

from keepers.app.use_cases.common_fields import MOST_NUMBER
from keepers.model.errors import UserError, problem

T = TypeVar("T", bound=Struct)


def body(struct: type[Struct], description: str, example: dict[str, Any] | None = None) -> BodyKwarg:
    """For `Annotated[Any, …]`: a JSON object with the fields of a struct and no others."""
    whole = msgspec.json.schema(struct)
    known = whole.get("$defs", {})
    schema = known[whole["$ref"].rpartition("/")[2]]
    extra = {
        "type": OpenAPIType.OBJECT,
        "additional_properties": False,
        "properties": {name: _schema(one, known) for name, one in schema["properties"].items()},
        "required": schema.get("required", []),
    }
    shown = [Example(summary="A request", value=example)] if example is not None else None
    found: BodyKwarg = Body(description=description, examples=shown, schema_extra=extra)
    return found


def read(data: Any, struct: type[T]) -> T:
    """The body as the struct. Raises UserError (400) naming the field."""
    try:
        return msgspec.convert(_whole(data), struct)
    except msgspec.ValidationError as error:
        raise UserError(problem("The body cannot be used: {error}.", error=error), code="body") from None


def _whole(value: Any) -> Any:
    """JSON knows one kind of number: 12.0 is 12."""
    match value:
        case float() if value.is_integer() and abs(value) <= MOST_NUMBER:
            return int(value)
        case list():
            return [_whole(one) for one in value]
        case dict():
            return {name: _whole(one) for name, one in value.items()}
        case _:
            return value


def _schema(schema: dict[str, Any], known: dict[str, Any]) -> Schema:
    """One field of msgspec's JSON Schema as Litestar writes it; `known` are the structs it may refer to."""
    if "$ref" in schema:
        return _schema(
            known[schema["$ref"].rpartition("/")[2]] | {k: v for k, v in schema.items() if k != "$ref"}, known
        )
    if "anyOf" in schema:
        return Schema(one_of=[_schema(one, known) for one in schema["anyOf"]], description=schema.get("description"))
    if "enum" in schema:
        return Schema(type=OpenAPIType.STRING, enum=schema["enum"], description=schema.get("description"))
    if "type" not in schema:
        return Schema(description=schema.get("description"))
    kind = OpenAPIType(schema["type"])
    values = schema.get("additionalProperties")
    return Schema(
        type=kind,
        description=schema.get("description"),
        properties={name: _schema(one, known) for name, one in schema.get("properties", {}).items()} or None,
        required=schema.get("required") or None,
        additional_properties=_schema(values, known) if isinstance(values, dict) and values else values or None,
        items=_schema(schema["items"], known) if "items" in schema else None,
        min_length=schema.get("minLength"),
        max_length=schema.get("maxLength"),
        min_items=schema.get("minItems"),
        max_items=schema.get("maxItems"),
        minimum=schema.get("minimum"),
        maximum=schema.get("maximum"),
        pattern=schema.get("pattern"),
    )
