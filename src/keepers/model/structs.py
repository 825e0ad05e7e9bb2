"""Plain data as structs. What is wrong is found by the struct's own types, and named with its field and the remedy."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator
from datetime import date
from typing import Any, TypeVar

import msgspec
from msgspec import inspect as types

from keepers.model.errors import DefinitionError, NearNames, Problem, nearest, problem
from keepers.model.fields import SENTENCES, join

T = TypeVar("T")
_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "true or false"),
    (int, "a whole number"),
    (float, "a number"),
    (str, "a text"),
    (date, "a date"),
    (dict, "fields"),
    ((list, tuple), "a list"),
    (type(None), "nothing"),
)
"""kinds of plain data, a narrower one first"""
_NAMES: dict[type[types.Type], str] = {
    types.BoolType: "true or false",
    types.IntType: "a whole number",
    types.FloatType: "a number",
    types.StrType: "a text",
    types.DateType: "a date",
    types.DateTimeType: "a date",
    types.StructType: "fields",
    types.DictType: "fields",
    types.ListType: "a list",
    types.VarTupleType: "a list",
    types.NoneType: "nothing",
}
_BOUNDS = (
    ("ge", ">=", operator.ge), ("gt", ">", operator.gt), ("le", "<=", operator.le), ("lt", "<", operator.lt),
)  # fmt: skip


def read(data: Any, kind: type[T], at: str) -> T:
    """Plain data as a struct. Raises DefinitionError naming the field and the remedy."""
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        first = next(_mistakes(data, types.type_info(kind), at), None)
        raise first or DefinitionError(_own_words(error), field=at) from None


def _mistakes(data: Any, kind: types.Type, at: str) -> Iterator[DefinitionError]:
    """What is wrong with data of a type, from outside in."""
    match kind:
        case types.Metadata(type=inside):
            yield from _mistakes(data, inside, at)
        case types.AnyType():
            return
        case types.LiteralType(values=known):
            if data not in known:
                near = nearest(str(data), map(str, known))
                yield DefinitionError(problem("“{data}” is not known here.", near=near, data=str(data)), field=at)
        case types.UnionType(types=options):
            fitting = [one for one in options if _fits(data, one)]
            if fitting:
                yield from _mistakes(data, fitting[0], at)
            else:
                yield _unexpected(data, " or ".join(dict.fromkeys(map(_name, options))), at)
        case _ if not _fits(data, kind):
            yield _unexpected(data, _name(kind), at)
        case types.StructType():
            yield from _in_struct(data, kind, at)
        case types.DictType(key_type=names, value_type=inside):
            for key, value in data.items():
                yield from _mistakes(key, names, at)
                yield from _mistakes(value, inside, join(at, str(key)))
        case types.ListType(item_type=inside) | types.VarTupleType(item_type=inside):
            yield from _of_length(data, kind, at)
            for n, item in enumerate(data):
                yield from _mistakes(item, inside, f"{at}[{n}]")
        case types.StrType(pattern=pattern):
            yield from _of_length(data, kind, at)
            if pattern is not None and not re.search(pattern, data):
                yield DefinitionError(SENTENCES.get(pattern, f"expected a text like {pattern}"), field=at)
        case types.IntType() | types.FloatType():
            for name, sign, holds in _BOUNDS:
                bound = getattr(kind, name)
                if bound is not None and not holds(data, bound):
                    yield DefinitionError(f"expected {_name(kind)} {sign} {bound:g}, got {data:g}", field=at)
        case _:
            return


def _in_struct(data: dict[str, Any], kind: types.StructType, at: str) -> Iterator[DefinitionError]:
    names = [field.encode_name for field in kind.fields]
    if kind.forbid_unknown_fields:
        for key in data:
            if key not in names:
                near = nearest(str(key), names)
                yield DefinitionError(problem("“{name}” does not belong here.", near=near, name=str(key)), field=at)
    for field in kind.fields:
        if field.encode_name in data:
            yield from _mistakes(data[field.encode_name], field.type, join(at, field.encode_name))
        elif field.required:
            yield DefinitionError(problem("“{name}” is missing", name=field.encode_name), field=at)
    # Its fields are each as they should be, and it may refuse them together.
    try:
        msgspec.convert(data, kind.cls)
    except msgspec.ValidationError as error:
        yield DefinitionError(_own_words(error), field=at)


def _own_words(error: msgspec.ValidationError) -> Problem:
    """What the struct itself raised, where it did: a text of the catalogues, with the braces of its examples."""
    english = str(error.__cause__ or error)
    return Problem(english.replace("{", "{{").replace("}", "}}"), {}, NearNames())


def _of_length(data: Any, kind: Any, at: str) -> Iterator[DefinitionError]:
    if kind.min_length is not None and len(data) < kind.min_length:
        yield DefinitionError(f"expected {_name(kind)} of length >= {kind.min_length}", field=at)
    if kind.max_length is not None and len(data) > kind.max_length:
        yield DefinitionError(f"expected {_name(kind)} of length <= {kind.max_length}", field=at)


def _unexpected(data: Any, wanted: str, at: str) -> DefinitionError:
    return DefinitionError(f"expected {wanted}, got {_kind_of(data)}", field=at)


def _kind_of(data: Any) -> str:
    return next((name for kind, name in _KINDS if isinstance(data, kind)), type(data).__name__)


def _name(kind: types.Type) -> str:
    if isinstance(kind, types.Metadata):
        return _name(kind.type)
    if isinstance(kind, types.LiteralType):
        return " or ".join(map(str, kind.values))
    return _NAMES.get(type(kind), "something else")


def _fits(data: Any, kind: types.Type) -> bool:
    """Whether data is of the kind that a type is written as."""
    match kind:
        case types.Metadata(type=inside):
            return _fits(data, inside)
        case types.AnyType():
            return True
        case types.LiteralType(values=known):
            return data in known
        case types.IntType():
            return not isinstance(data, bool) and (
                isinstance(data, int) or (isinstance(data, float) and data.is_integer())
            )
        case types.FloatType():
            return isinstance(data, int | float) and not isinstance(data, bool)
        case _:
            return _kind_of(data) == _name(kind)
