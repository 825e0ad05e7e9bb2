"""The management API put together: `/api/v1` behind secret keys, described by its OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from types import ModuleType
from typing import Any

from litestar import Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, License, Server, Tag

from keepers.app.access import audit, keys, page_access
from keepers.app.access.key_ring import KeyRing
from keepers.app.customers import (
    conditions,
    consents,
    erasure,
    export,
    lifecycles,
    profiles,
    scores,
    segments,
    suppressions,
    why,
)
from keepers.app.messaging import (
    broadcasts,
    channel_secrets,
    coupons,
    journeys,
    message_trials,
    messages,
    replay,
    sending_switches,
    signing_keys,
    uncertain_messages,
)
from keepers.app.operations import (
    backups,
    doctor,
    health,
    imports,
    maintenance,
    operations,
    overview,
    playbook,
    templates,
    upkeep,
)
from keepers.app.use_cases.use_case import UseCase
from keepers.http.common.auth import SCHEME, secret_key_guard, security_scheme
from keepers.http.common.parameters import known_parameters_guard
from keepers.http.common.problems import exception_handlers
from keepers.http.management.endpoints import endpoints
from keepers.http.management.operations.imports import receive_upload
from keepers.http.management.operations.progress import watch_operation

PATH = "/api/v1"
_MODULES: tuple[ModuleType, ...] = (
    *(profiles, why, export, erasure, segments, lifecycles, scores, conditions, consents, suppressions),
    *(broadcasts, journeys, replay, messages, uncertain_messages, message_trials),
    *(channel_secrets, signing_keys, coupons, sending_switches),
    *(
        playbook,
        templates,
        imports,
        keys,
        audit,
        maintenance,
        backups,
        health,
        doctor,
        operations,
        overview,
        page_access,
        upkeep,
    ),
)
USE_CASES: tuple[UseCase[Any, Any], ...] = tuple(
    found
    for module in _MODULES
    for found in vars(module).values()
    if isinstance(found, UseCase) and found.function.__module__ == module.__name__
)
"""what the management API offers, in the order of its document"""
MOST_BODY_BYTES = 4_000_000
_TAGS = {
    "profiles": "People and accounts: search, one with all that is known and why, timelines, export, erasure.",
    "segments": "Who belongs where, now or at a past moment.",
    "broadcasts": "Newsletters: who would get one, starting, stopping, progress and results.",
    "lifecycles": "Stages with counts, over time, moves between them, and the rhythm of purchases.",
    "audience": "Trying out conditions before they are in a playbook.",
    "definitions": "The playbook: what is in force, what an edit would change, applying it.",
    "journeys": "Journeys with their figures, who is in them, and why a customer is at a step.",
    "messages": "What was decided and sent, exact copies, codes, and what stops sending.",
    "consent": "What customers agreed to, and addresses that nothing is sent to again.",
    "imports": "Files of events and traits.",
    "keys": "Keys for programs.",
    "audit": "Who changed what.",
    "maintenance": "Ticks, history, rebuilding the typed tables, compacting the files, and backups.",
    "operations": "Long work that was started with `Prefer: respond-async`: following it, cancelling it.",
    "health": "Watermarks, lag, readiness, and what the status page shows.",
}


def management(keys: KeyRing, clock: Callable[[], datetime], local_token: str = "") -> Router:
    """Every route under `/api/v1`. The application's state holds the `workspace` they work on."""
    return Router(
        PATH,
        route_handlers=[
            *endpoints(USE_CASES),
            receive_upload,
            watch_operation,
        ],
        guards=[secret_key_guard(keys, clock, local_token), known_parameters_guard],
        security=[{SCHEME: []}],
        request_max_body_size=MOST_BODY_BYTES,
    )


def options(version: str) -> dict[str, Any]:
    """Litestar's options for an application: problems as RFC 9457, and the OpenAPI document."""
    config = OpenAPIConfig(
        title="Keepers management API",
        version=version,
        summary="Profiles, segments, lifecycles, journeys, messages, consent and the playbook of one workspace.",
        description=(
            "Every request needs a secret key: `Authorization: Bearer km_…`. Errors are RFC 9457 problems. Listings "
            "continue with `cursor`. With `now`, an answer is as of that moment, from what was known then. Events are "
            "sent to the Segment-compatible `/v1/…`, which is described in docs/reference/endpoints.md."
        ),
        license=License(name="Apache-2.0", identifier="Apache-2.0"),
        servers=[Server(url="/", description="This server.")],
        tags=[Tag(name=name, description=description) for name, description in _TAGS.items()],
        components=Components(security_schemes={SCHEME: security_scheme()}),
        use_handler_docstrings=True,
        # Litestar adds a page for whatever is not found beneath this path, so it is the document's own.
        path=f"{PATH}/openapi.json",
        render_plugins=[JsonRenderPlugin(path="/")],
    )
    return {"openapi_config": config, "exception_handlers": exception_handlers(), "logging_config": None}
