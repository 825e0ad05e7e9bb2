"""The reference of everything that answers over HTTP: the calls for events by hand, the rest from OpenAPI."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keepers import __version__
from keepers.app.access.key_ring import KeyRing
from keepers.app.operations.events import EventIntake
from keepers.app.workspace.clock import clock
from keepers.app.workspace.create import create
from keepers.app.workspace.workspace import Workspace
from keepers.http.application import create_app
from keepers.http.common.metrics import ServerMetrics
from keepers.http.management.router import management, options
from keepers.http.status_page import status_handlers
from keepers.model.event import BATCHES, CALLS, KINDS, LIMITS, SHORT
from keepers.server.tick_loop import TickLoop

CALL_WORDS = {
    "identify": "who somebody is: `traits` are kept with their time",
    "track": "something happened: `event` and `properties`",
    "page": "a web page was seen: `name`, `category`, `properties`",
    "screen": "an app's screen was seen: `name`, `category`, `properties`",
    "group": "a person belongs to an account: `groupId`; `traits` are the account's",
    "alias": "two identifiers are one person: `previousId` and `userId`",
    "batch": "several of the calls above in `batch`, each with its `type`",
    "import": "as batch, for history: events are known at their own time, and no clock corrected; takes a server key",
}
TRACKING = """\
## Sending events

Segment's HTTP Tracking API, so its SDKs need only another host: [how to](../howto/send-events.md). Every call is a
POST of JSON, authorised by a **write** or **server** key as the user name of Basic authentication (the password is
empty), or as `writeKey` in the body. A write key is public: it may not merge two known people. A server key may.

| path | short | what it says |
|---|---|---|
{calls}

Every message needs `userId` or `anonymousId`; values that identify nobody (`null`, `undefined`, `0`, `guest` and the
like) are refused. `messageId` makes a call idempotent: the same one from the same key within 30 days is kept once.
`timestamp` is when it happened (ISO 8601; without an offset UTC), `sentAt` corrects the sender's clock:
time = receivedAt − (sentAt − timestamp).

Limits: {event_bytes:,} bytes an event, {batch_bytes:,} bytes and {batch_items:,} items a batch, {depth} levels of
nesting, the years 1970 to 2099. `Content-Encoding: gzip` is accepted. Messages and reasons are in the language of
`Accept-Language`, else in English. Pages of any site may send and read the answers; with a key that is for some sites
only theirs may.

| status | body | when |
|---|---|---|
| 200 | `{{"success": true}}` | everything is on disk |
| 200 | `{{"success": false, "accepted": n, "errors": [{{"index", "reason"}}]}}` | some items of a batch were refused, \
the rest is on disk. Twenty reasons are listed; of more refused items `further_errors` is the number |
| 400 | `success`, `code`, `message`, perhaps `errors` | nothing in it can be used |
| 401, 403 | the same | no key or an unknown one; a revoked one or one of the wrong kind |
| 405, 413, 415 | the same | not POST; too large, also for what a minute's [limits](settings.md) have room for; an \
unknown encoding |
| 429, 503 | the same, with `Retry-After` | too much at once; the store failed. Send again |
"""
OTHER = """\
## Management

Under `/api/v1`, by a **secret** key: `Authorization: Bearer km_…`. Lists are read page by page with the cursor that
each page gives. With `now` an answer is as of that moment, over what was known by then. The OpenAPI document, with
every field and example, is at `/api/v1/openapi.json` of a running server.

Errors are RFC 9457 problem details (`application/problem+json`) with the [code](errors.md):

| status | meaning |
|---|---|
{statuses}
"""
PAGES = """\
| method | path | meaning |
|---|---|---|
| GET | `/` | The status page: stages over time, recent moves, lag. For who is signed in |
| GET, POST | `/login` | Signing in: with the link that `keepers open` prints, or with a secret key |
| POST | `/logout` | Signing out |
| GET | `/status.json` | The same figures as JSON, for a session or a key that may read (`Authorization: Bearer`) |
| GET | `/page/{name}` | The page's style, script and icon |
| GET | `/api/v1/openapi.json` | The OpenAPI document of the management API |"""
METRICS = """\
## Metrics

`/metrics` answers in Prometheus' text format, to a secret key that may `read` (`Authorization: Bearer km_…`) or a
session of the status page.

| metric | kind | meaning |
|---|---|---|
{metrics}
"""


def application(folder: Path) -> Any:
    """The server's application as `keepers serve` puts it together, over a new workspace in `folder`."""
    create(folder, ["value"])
    workspace = Workspace.open(folder)
    keys = KeyRing(workspace.store.read)
    handlers = [management(keys, clock), *status_handlers(workspace)]
    return create_app(EventIntake(workspace.store, keys=keys), clock=clock, handlers=handlers, **options(__version__))


def routes() -> set[str]:
    """Every path that the server answers, as the reference writes it, once."""
    with tempfile.TemporaryDirectory() as folder:
        found = {re.sub(r":\w+}", "}", route.path) for route in application(Path(folder) / "shop").routes}
    return {path for path in found if not path.startswith("/api/v1/openapi.json/")}


def paths() -> Iterator[tuple[str, str, Any]]:
    """(method, path, operation) of everything in the OpenAPI document."""
    with tempfile.TemporaryDirectory() as folder:
        document = application(Path(folder) / "shop").openapi_schema.to_schema()
    for path, methods in sorted(document["paths"].items()):
        for method, operation in methods.items():
            if isinstance(operation, dict) and "responses" in operation:
                yield method.upper(), path, operation


def endpoints() -> str:
    """Every path that answers, what it takes and gives."""
    short = {call: name for name, call in SHORT.items()}
    calls = [
        f"| `/v1/{call}` | {f'`/v1/{short[call]}`' if call in short else ''} | {CALL_WORDS[call]} |"
        for call in [*KINDS, *sorted(BATCHES & CALLS)]
    ]
    limits = {name: getattr(LIMITS, name) for name in ("event_bytes", "batch_bytes", "batch_items", "depth")}
    lines = ["# Endpoints\n", TRACKING.format(calls="\n".join(calls), **limits)]
    found = list(paths())
    open_ones = [f for f in found if not f[1].startswith("/api/")]
    lines += ["## Without a key\n", PAGES]
    lines += [f"| {method} | `{path}` | {_summary(operation)} |" for method, path, operation in open_ones]
    statuses = {s: r["description"] for _, _, o in found for s, r in o["responses"].items() if int(s) >= 400}
    listed = "\n".join(f"| {status} | {text} |" for status, text in sorted(statuses.items()))
    lines += ["", OTHER.format(statuses=listed)]
    for method, path, operation in (f for f in found if f[1].startswith("/api/")):
        lines += [f"### {method} {path}\n", _described(operation)]
    return "\n".join([*lines, METRICS.format(metrics="\n".join(_metrics()))])


def _summary(operation: Any) -> str:
    return " ".join(str(operation.get("summary") or operation.get("description") or "").split())


def _described(operation: Any) -> str:
    lines = [f"{_summary(operation)}.\n" if _summary(operation) else ""]
    described = " ".join(str(operation.get("description") or "").split())
    if described and described != _summary(operation):
        lines.append(f"{described}\n")
    parameters = operation.get("parameters") or []
    if parameters:
        lines += ["| parameter | in | meaning |", "|---|---|---|"]
        lines += [
            f"| `{p['name']}`{' (needed)' if p.get('required') else ''} | {p['in']} "
            f"| {' '.join(str(p.get('description') or '').split())} |"
            for p in parameters
        ]
        lines[-1] += "\n"
    if operation.get("requestBody"):
        bodies = operation["requestBody"]["content"]
        lines.append(f"Body: {', '.join(f'`{kind}`' for kind in bodies)}.\n")
        lines += [_example(inner) for inner in bodies.values()]
    lines.append(f"Answers: {', '.join(status for status, _ in _answers(operation))}.\n")
    lines += [_example(c) for s, r in _answers(operation) if s < "300" for c in (r.get("content") or {}).values()]
    return "\n".join(part for part in lines if part)


def _answers(operation: Any) -> list[tuple[str, Any]]:
    return sorted(operation["responses"].items())


def _example(content: Any) -> str:
    """The first example of a body, where there is one."""
    schema = content.get("schema", {})
    examples = [e["value"] for e in (content.get("examples") or {}).values() if "value" in e]
    examples += [content["example"]] if "example" in content else []
    examples += schema.get("examples", []) if isinstance(schema.get("examples"), list) else []
    if not examples:
        return ""
    return f"```json\n{json.dumps(examples[0], ensure_ascii=False, indent=2)}\n```\n"


def _metrics() -> list[str]:
    figures = ServerMetrics()
    with tempfile.TemporaryDirectory() as folder:
        create(Path(folder) / "shop", ["value"])
        TickLoop(Workspace.open(Path(folder) / "shop"), figures.registry)
    found = []
    for metric in figures.registry.collect():
        name = metric.name + ("_total" if metric.type == "counter" else "")
        found.append(f"| `{name}` | {metric.type} | {metric.documentation} |")
    return found
