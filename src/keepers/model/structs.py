"""Plain data as structs. What is wrong is found by the struct's own types, and named with its field and the remedy."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator
from datetime import date
from functools import reduce
from typing import Any, TypeVar

import msgspec
from msgspec import inspect as types

from keepers.model.errors import DefinitionError, Problem, nearest, problem, problem_as_written
from keepers.model.fields import SENTENCES, join

T = TypeVar("T")
_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "number"),
    (str, "text"),
    (date, "date"),
    (dict, "fields"),
    ((list, tuple), "list"),
    (type(None), "nothing"),
)
"""kinds of plain data, a narrower one first"""
_WRITTEN_AS: dict[type[types.Type], str] = {
    types.BoolType: "boolean",
    types.IntType: "integer",
    types.FloatType: "number",
    types.StrType: "text",
    types.DateType: "date",
    types.DateTimeType: "date",
    types.StructType: "fields",
    types.DictType: "fields",
    types.ListType: "list",
    types.VarTupleType: "list",
    types.NoneType: "nothing",
}
"""type of a field → the kind of plain data that it is written as"""
_NAMES = {
    "boolean": problem("true or false"),
    "integer": problem("a whole number"),
    "number": problem("a number"),
    "text": problem("a text"),
    "date": problem("a date"),
    "fields": problem("fields"),
    "list": problem("a list"),
    "nothing": problem("nothing"),
    "other": problem("something else"),
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
        raise first or DefinitionError(_own_message(error), field=at) from None


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
                yield _unexpected(data, _any_of(list(dict.fromkeys(map(_key, options)))), at)
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
                unlike: Problem = SENTENCES.get(pattern, problem("expected a text like {pattern}", pattern=pattern))
                yield DefinitionError(unlike, field=at)
        case types.IntType() | types.FloatType():
            for name, sign, holds in _BOUNDS:
                bound = getattr(kind, name)
                if bound is not None and not holds(data, bound):
                    outside = problem(
                        "expected {wanted} {sign} {bound}, got {data}",
                        wanted=_name(kind),
                        sign=sign,
                        bound=f"{bound:g}",
                        data=f"{data:g}",
                    )
                    yield DefinitionError(outside, field=at)
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
        yield DefinitionError(_own_message(error), field=at)


def _own_message(error: msgspec.ValidationError) -> Problem:
    """What the struct itself raised, where it did: a text of the catalogues, with the braces of its examples."""
    message = error.__cause__.args[0] if error.__cause__ is not None and error.__cause__.args else error
    return message if isinstance(message, Problem) else problem_as_written(str(message))


def _of_length(data: Any, kind: Any, at: str) -> Iterator[DefinitionError]:
    for bound, sign, holds in ((kind.min_length, ">=", operator.ge), (kind.max_length, "<=", operator.le)):
        if bound is not None and not holds(len(data), bound):
            outside = problem(
                "expected {wanted} of length {sign} {bound}", wanted=_name(kind), sign=sign, bound=str(bound)
            )
            yield DefinitionError(outside, field=at)


def _unexpected(data: Any, wanted: Problem, at: str) -> DefinitionError:
    return DefinitionError(problem("expected {wanted}, got {found}", wanted=wanted, found=_kind_of(data)), field=at)


def _kind_of(data: Any) -> Problem:
    return _NAMES[_written_as(data)]


def _written_as(data: Any) -> str:
    return next((key for kind, key in _KINDS if isinstance(data, kind)), "other")


def _name(kind: types.Type) -> Problem:
    return _any_of([_key(kind)])


def _key(kind: types.Type) -> str | tuple[str, ...]:
    """The kind of plain data of a type, or the values themselves where only some are allowed."""
    if isinstance(kind, types.Metadata):
        return _key(kind.type)
    if isinstance(kind, types.LiteralType):
        return tuple(map(str, kind.values))
    return _WRITTEN_AS.get(type(kind), "other")


def _any_of(keys: list[str | tuple[str, ...]]) -> Problem:
    """Kinds and values as “a, b or c”, each in the language of the whole."""
    names: list[Problem] = []
    for key in keys:
        names += [_NAMES[key]] if isinstance(key, str) else [problem_as_written(value) for value in key]
    return reduce(lambda first, second: problem("{first} or {second}", first=first, second=second), names)


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
            return _written_as(data) == _key(kind)
