"""Use cases as endpoints of the management API: parse the request, call, answer; described for the OpenAPI document."""

from __future__ import annotations

import inspect
import types
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import anyio
import msgspec
from litestar import Request, Response, delete, get, post, put
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import Body, PathParameter, QueryParameter
from msgspec import NODEFAULT, Meta, Struct

from keepers.app.operations.operations import Operation, operations_of
from keepers.app.workspace import wire_format
from keepers.app.workspace.use_case import UseCase
from keepers.app.workspace.workspace import Workspace
from keepers.http.common.auth import actor_of
from keepers.http.common.parameters import json_body_guard
from keepers.http.common.problems import answers

_METHODS = {"GET": get, "POST": post, "PUT": put, "DELETE": delete}
_KINDS = {str: OpenAPIType.STRING, int: OpenAPIType.INTEGER, bool: OpenAPIType.BOOLEAN, float: OpenAPIType.NUMBER}
RESPOND_ASYNC = "respond-async"
"""RFC 7240: whoever sends `Prefer: respond-async` gets long work as an operation, 202 at once"""


def endpoints(use_cases: Sequence[UseCase[Any, Any]]) -> list[HTTPRouteHandler]:
    """A handler for each use case, in their order."""
    return [_endpoint(one) for one in use_cases]


def _endpoint(what: UseCase[Any, Any]) -> HTTPRouteHandler:
    hints = get_type_hints(what.request, include_extras=True)
    fields = {field.name: field for field in msgspec.structs.fields(what.request)}
    in_path = what.route.in_path
    in_body = {n: f for n, f in fields.items() if n not in in_path} if what.route.has_body else {}
    body = _body_struct(what, hints, in_body) if in_body else None

    async def handle(**given: Any) -> Response[bytes]:
        request: Request[Any, Any, Any] = given.pop("request")
        state: State = given.pop("state")
        workspace: Workspace = state.workspace
        actor = actor_of(request)
        if what.route.is_local and actor.kind != "command":
            raise HTTPException("This is for commands on the server's own machine.", status_code=403)
        sent = given.pop("data", None)
        if sent is not None:
            given |= {name: getattr(sent, name) for name in sent.__struct_fields__}
        asked = what.request(**{n: v for n, v in given.items() if v is not None or fields[n].default is NODEFAULT})
        if what.is_long and _prefers_async(request):
            started = await anyio.to_thread.run_sync(operations_of(workspace).start, what, actor, asked)
            place = f"{request.app.state.management_path}/operations/{started.id}"
            headers = {"Location": place, "Preference-Applied": RESPOND_ASYNC}
            return _json(started, 202, headers)
        answer = await anyio.to_thread.run_sync(what, workspace, actor, asked)
        return _json(answer, 200, {})

    parameters = [_named("request", Request[Any, Any, Any]), _named("state", State)]
    for name, field in fields.items():
        if name in in_path:
            parameters.append(_named(name, _path_type(hints[name])))
        elif not what.route.has_body:
            kind = _query_type(name, hints[name])
            default = inspect.Parameter.empty if field.default is NODEFAULT else field.default
            parameters.append(_named(name, kind, default))
    if body is not None:
        example = _example(what.name, "request")
        shown = [Example(summary="A request", value=example)] if example is not None else None
        parameters.append(_named("data", Annotated[body, Body(description=body.__doc__, examples=shown)]))
    handle.__signature__ = inspect.Signature(parameters, return_annotation=Response[bytes])  # type: ignore[attr-defined]
    handle.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": Response[bytes]}
    handle.__name__ = what.name
    handle.__doc__ = None
    responses = answers(what.response, _example(what.name, "response") or {}, *_statuses(what))
    if what.is_long:
        responses[202] = ResponseSpec(
            Operation, generate_examples=False, description="It was started, as `Prefer: respond-async` asked."
        )
    made: HTTPRouteHandler = _METHODS[what.route.method](
        "".join(_typed(part, hints) for part in what.route.path.split("/") if part) or "/",
        summary=what.summary,
        description=what.description or None,
        tags=[what.tag],
        responses=responses,
        status_code=200,
        guards=[json_body_guard] if body is not None else None,
        name=what.name,
        operation_id=what.name,
        opt={"known_parameters": frozenset() if what.route.has_body else frozenset(fields) - frozenset(in_path)},
    )(handle)
    return made


def _json(answer: Struct, status: int, headers: dict[str, str]) -> Response[bytes]:
    content = wire_format.encode(answer)
    return Response(content, status_code=status, media_type="application/json", headers=headers)


def _prefers_async(request: Request[Any, Any, Any]) -> bool:
    wishes = request.headers.get("prefer", "").lower().replace(";", ",").split(",")
    return RESPOND_ASYNC in (wish.strip() for wish in wishes)


def _statuses(what: UseCase[Any, Any]) -> tuple[int, ...]:
    with_body = (413, 415) if what.route.has_body else ()
    return tuple(sorted({400, *what.problems, *with_body}))


def _named(name: str, kind: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _body_struct(what: UseCase[Any, Any], hints: dict[str, Any], fields: dict[str, Any]) -> type[Struct]:
    """What of the request comes in the body: the request itself unless the path names some of it."""
    wanted: list[Any] = []
    for name, field in fields.items():
        if field.default is not NODEFAULT:
            wanted.append((name, hints[name], field.default))
        elif field.default_factory is not NODEFAULT:
            wanted.append((name, hints[name], msgspec.field(default_factory=field.default_factory)))
        else:
            wanted.append((name, hints[name]))
    made = msgspec.defstruct(
        f"{what.request.__name__}Body", wanted, frozen=True, forbid_unknown_fields=True, kw_only=True
    )
    made.__doc__ = inspect.cleandoc(what.request.__doc__ or "")
    return made


def _bare(hint: Any) -> tuple[Any, list[Meta]]:
    """A type without its annotations and without None, and the annotations."""
    metas: list[Meta] = []
    while True:
        if get_origin(hint) is Annotated:
            hint, *more = get_args(hint)
            metas += [m for m in more if isinstance(m, Meta)]
        elif get_origin(hint) in (Union, types.UnionType):
            rest = [a for a in get_args(hint) if a is not type(None)]
            if len(rest) != 1:
                return hint, metas
            hint = rest[0]
        else:
            return hint, metas


def _allows_none(hint: Any) -> bool:
    return any(a is type(None) or _allows_none(a) for a in get_args(hint) if not isinstance(a, Meta))


def _constraints(metas: list[Meta]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for meta in metas:
        for ours, theirs in (
            ("description", "description"), ("ge", "ge"), ("gt", "gt"), ("le", "le"), ("lt", "lt"),
            ("min_length", "min_length"), ("max_length", "max_length"), ("pattern", "pattern"),
        ):  # fmt: skip
            value = getattr(meta, ours)
            if value is not None:
                found.setdefault(theirs, value)
        if meta.examples:
            found.setdefault("examples", [Example(value=one) for one in meta.examples])
    return found


def _path_type(hint: Any) -> Any:
    bare, metas = _bare(hint)
    return Annotated[bare, PathParameter(**_constraints(metas))]


def _query_type(name: str, hint: Any) -> Any:
    bare, metas = _bare(hint)
    is_optional = _allows_none(hint)
    schema: dict[str, Any] = {}
    if is_optional:
        # In an address there is no null, so the schema names the one kind.
        literal = get_origin(bare) is not None and not isinstance(bare, type)
        kind = OpenAPIType.STRING if literal else _KINDS.get(bare, OpenAPIType.STRING)
        schema = {"one_of": None, "type": kind}
        if literal and all(isinstance(a, str) for a in get_args(bare)):
            schema["enum"] = list(get_args(bare))
    for meta in metas:
        schema |= (meta.extra_json_schema or {}).get("extra", {})
    given = QueryParameter(name=name, schema_extra=schema or None, **_constraints(metas))
    return Annotated[bare | None if is_optional else bare, given]


def _typed(part: str, hints: dict[str, Any]) -> str:
    if not part.startswith("{"):
        return f"/{part}"
    name = part.strip("{}")
    bare, _ = _bare(hints[name])
    return f"/{{{name}:{'int' if bare is int else 'str'}}}"


@cache
def _examples() -> dict[str, Any]:
    folder = resources.files("keepers.http.management") / "examples"
    found: dict[str, Any] = {}
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        if file.name.endswith(".json"):
            found |= msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    return found


def _example(name: str, part: str) -> Any:
    """The example of a use case's `request` or `response`; None where the files have none."""
    return _examples().get(name, {}).get(part)
