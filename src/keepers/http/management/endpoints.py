"""Use cases as endpoints of the management API: parse the request, call, answer; described for the OpenAPI document."""

from __future__ import annotations

import inspect
import types
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import anyio
import msgspec
from litestar import Request, Response, delete, get, post, put, route
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example, RequestBody
from litestar.openapi.spec import Operation as DocumentedOperation
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import Body, PathParameter, QueryParameter
from msgspec import NODEFAULT, Meta, Struct

from keepers.app.operations.operations import Operation, operations_of
from keepers.app.use_cases import wire_format
from keepers.app.use_cases.use_case import UseCase
from keepers.app.workspace.workspace import Workspace
from keepers.http.common.auth import actor_of, local_guard
from keepers.http.common.bodies import body as body_of
from keepers.http.common.bodies import read
from keepers.http.common.parameters import SLASH, json_body_guard
from keepers.http.common.problems import answers

_METHODS = {"GET": get, "POST": post, "PUT": put, "DELETE": delete}
_KINDS = {str: OpenAPIType.STRING, int: OpenAPIType.INTEGER, bool: OpenAPIType.BOOLEAN, float: OpenAPIType.NUMBER}
_LOCAL = "Only for commands on the server's own machine, because it names a file there: a secret key is answered 403."
RESPOND_ASYNC = "respond-async"
"""RFC 7240: with `Prefer: respond-async` long work is answered 202 with an operation"""


@dataclass
class _WithOptionalBody(DocumentedOperation):
    """An operation of the document whose body may be left out, which Litestar does not say by itself."""

    def __post_init__(self) -> None:
        if isinstance(self.request_body, RequestBody):
            self.request_body.required = False


def endpoints(use_cases: Sequence[UseCase[Any, Any]]) -> list[HTTPRouteHandler]:
    """A handler for each use case, in their order; one whose body is a file has a handler of its own."""
    return [*_allowed(use_cases), *(_endpoint(one) for one in use_cases if not one.route.is_upload)]


def _allowed(use_cases: Sequence[UseCase[Any, Any]]) -> list[HTTPRouteHandler]:
    """What answers OPTIONS: Litestar's own knows the methods of the first handler of a path alone."""
    methods: dict[str, set[str]] = {}
    for one in use_cases:
        methods.setdefault(_address(one), set()).add(one.route.method)
    return [_options(path, ", ".join(sorted({*found, "OPTIONS"}))) for path, found in methods.items()]


def _options(path: str, allowed: str) -> HTTPRouteHandler:
    @route(path, http_method=["OPTIONS"], status_code=204, include_in_schema=False, sync_to_thread=False)
    def options() -> Response[None]:
        return Response(None, status_code=204, headers={"Allow": allowed})

    return options


def _address(what: UseCase[Any, Any]) -> str:
    """The path as Litestar writes it, its parameters with their types."""
    hints = get_type_hints(what.request, include_extras=True)
    return "".join(_typed(part, hints) for part in what.route.path.split("/") if part) or "/"


def _endpoint(what: UseCase[Any, Any]) -> HTTPRouteHandler:
    hints = get_type_hints(what.request, include_extras=True)
    fields = {field.name: field for field in msgspec.structs.fields(what.request)}
    in_path = what.route.in_path
    in_body = {n: f for n, f in fields.items() if n not in in_path and what.route.body in ("", n)}
    in_body = in_body if what.route.has_body else {}
    in_query = [n for n in fields if n not in in_path and n not in in_body]
    whole = what.route.body
    body = _body_struct(what, hints, in_body) if in_body and not whole else None
    may_be_empty = body is not None and not any(_is_required(field) for field in in_body.values())

    async def handle(**values: Any) -> Response[bytes]:
        request: Request[Any, Any, Any] = values.pop("request")
        state: State = values.pop("state")
        values |= {name: values[name].replace(SLASH, "/") for name in in_path if isinstance(values[name], str)}
        if body is not None:
            sent = values.pop("data")
            is_left_out = may_be_empty and sent is None and not await request.body()
            values |= msgspec.structs.asdict(read({} if is_left_out else sent, body))
        elif in_body:
            values[whole] = values.pop("data")
        use_case_request = what.request(
            **{n: v for n, v in values.items() if v is not None or fields[n].default is NODEFAULT}
        )
        return await answer_of(what, request, state.workspace, use_case_request)

    parameters = [_named("request", Request[Any, Any, Any]), _named("state", State)]
    for name, field in fields.items():
        if name in in_path:
            parameters.append(_named(name, _path_type(hints[name])))
        elif name in in_query:
            kind = _query_type(name, hints[name])
            default = inspect.Parameter.empty if field.default is NODEFAULT else field.default
            parameters.append(_named(name, kind, default))
    if body is not None:
        kind = Annotated[Any, body_of(body, body.__doc__ or "", example_of(what.name, "request"))]
        parameters.append(_named("data", kind, None if may_be_empty else inspect.Parameter.empty))
    elif in_body:
        parameters.append(_named("data", _whole_body(hints[whole])))
    handle.__signature__ = inspect.Signature(parameters, return_annotation=Response[bytes])  # type: ignore[attr-defined]
    handle.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": Response[bytes]}
    handle.__name__ = what.name
    handle.__doc__ = None
    made: HTTPRouteHandler = _METHODS[what.route.method](
        _address(what),
        summary=what.summary,
        description=_description(what) or None,
        tags=[what.tag],
        responses=responses_of(what),
        status_code=200,
        guards=[*([local_guard] if what.route.is_local else []), *([json_body_guard] if in_body else [])],
        name=what.name,
        operation_id=what.name,
        operation_class=_WithOptionalBody if may_be_empty else DocumentedOperation,
        opt={"known_parameters": frozenset(in_query)},
    )(handle)
    return made


async def answer_of(
    what: UseCase[Any, Any], request: Request[Any, Any, Any], workspace: Workspace, use_case_request: Struct
) -> Response[bytes]:
    """A use case's answer; of a long one, where the request prefers so, the operation that was started."""
    actor = actor_of(request)
    if what.is_long and _prefers_async(request):
        started = await anyio.to_thread.run_sync(operations_of(workspace).start, what, actor, use_case_request)
        place = f"{request.app.state.management_path}/operations/{started.id}"
        return _json(started, 202, {"Location": place, "Preference-Applied": RESPOND_ASYNC})
    return _json(await anyio.to_thread.run_sync(what, workspace, actor, use_case_request), 200, {})


def responses_of(what: UseCase[Any, Any]) -> dict[int, ResponseSpec]:
    """The answer of a use case, with its example, and its problems, for the document."""
    found = answers(what.response, example_of(what.name, "response") or {}, *_statuses(what))
    if what.is_long:
        found[202] = ResponseSpec(
            Operation,
            generate_examples=False,
            description="It was started, as `Prefer: respond-async` requested.",
            examples=[Example(summary="An operation", value=example_of("read_operation", "response"))],
        )
    return found


def _description(what: UseCase[Any, Any]) -> str:
    return f"{what.description}\n\n{_LOCAL}".strip() if what.route.is_local else what.description


def _json(answer: Struct, status: int, headers: dict[str, str]) -> Response[bytes]:
    content = wire_format.encode(answer)
    return Response(content, status_code=status, media_type="application/json", headers=headers)


def _prefers_async(request: Request[Any, Any, Any]) -> bool:
    preferences = request.headers.get("prefer", "").lower().replace(";", ",").split(",")
    return RESPOND_ASYNC in (preference.strip() for preference in preferences)


def _statuses(what: UseCase[Any, Any]) -> tuple[int, ...]:
    with_body = (413, 415) if what.route.has_body else ()
    return tuple(sorted({400, *what.problems, *with_body}))


def _named(name: str, kind: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _whole_body(hint: Any) -> Any:
    """A field of the request that is the whole body, with its description."""
    bare, metas = _bare(hint)
    schema: dict[str, Any] = {}
    for meta in metas:
        schema |= (meta.extra_json_schema or {}).get("extra", {})
    title = next((meta.title for meta in metas if meta.title), None)
    return Annotated[bare, Body(title=title, schema_extra=schema or None, **_constraints(metas))]


def _is_required(field: msgspec.structs.FieldInfo) -> bool:
    return field.default is NODEFAULT and field.default_factory is NODEFAULT


def _body_struct(what: UseCase[Any, Any], hints: dict[str, Any], fields: dict[str, Any]) -> type[Struct]:
    """What of the request comes in the body: the fields that the path does not name."""
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
        # A query string cannot hold null, so the schema names the type alone.
        literal = get_origin(bare) is not None and not isinstance(bare, type)
        kind = OpenAPIType.STRING if literal else _KINDS.get(bare, OpenAPIType.STRING)
        schema = {"one_of": None, "type": kind}
        if literal and all(isinstance(a, str) for a in get_args(bare)):
            schema["enum"] = list(get_args(bare))
    for meta in metas:
        schema |= (meta.extra_json_schema or {}).get("extra", {})
    parameter = QueryParameter(name=name, schema_extra=schema or None, **_constraints(metas))
    return Annotated[bare | None if is_optional else bare, parameter]


def _typed(part: str, hints: dict[str, Any]) -> str:
    if not part.startswith("{"):
        return f"/{part}"
    name = part.strip("{}")
    bare, _ = _bare(hints[name])
    return f"/{{{name}:{'int' if bare is int else 'str'}}}"


@cache
def examples() -> dict[str, Any]:
    """Use case → its examples, of all files."""
    folder = resources.files("keepers.http.management") / "examples"
    found: dict[str, Any] = {}
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        if file.name.endswith(".json"):
            found |= msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
    return found


def example_of(name: str, part: str) -> Any:
    """The example of a use case's `request` or `response`; None where the files have none."""
    return examples().get(name, {}).get(part)
