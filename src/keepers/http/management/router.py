"""The management API put together: `/api/v1` behind secret keys, described by its OpenAPI document."""

from __future__ import annotations

from typing import Any

from litestar import Router
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, License, Server, Tag

from keepers.app.customers.profiles import list_profiles, read_profile, read_timeline
from keepers.app.customers.segments import list_members, list_segments, read_segment
from keepers.app.operations.keys import KeyRing
from keepers.app.operations.operations import cancel_operation, read_operation
from keepers.app.workspace.desk import WorkspaceApi
from keepers.app.workspace.use_case import UseCase
from keepers.http.common.auth import SCHEME, secret_key_guard, security_scheme
from keepers.http.common.parameters import known_parameters_guard
from keepers.http.common.problems import exception_handlers
from keepers.http.management.customers.conditions import ConditionEndpoints
from keepers.http.management.customers.consents import ConsentController
from keepers.http.management.customers.lifecycles import Lifecycles
from keepers.http.management.customers.suppressions import Suppressions
from keepers.http.management.customers.why import Reasons
from keepers.http.management.endpoints import endpoints
from keepers.http.management.messaging.broadcasts import Broadcasts
from keepers.http.management.messaging.coupons import Coupons
from keepers.http.management.messaging.journeys import Journeys
from keepers.http.management.messaging.messages import Messages
from keepers.http.management.messaging.sending import Switches
from keepers.http.management.operations.health import System
from keepers.http.management.operations.imports import Imports
from keepers.http.management.operations.playbook import PlaybookEndpoints

PATH = "/api/v1"
USE_CASES: tuple[UseCase[Any, Any], ...] = (
    *(list_profiles, read_profile, read_timeline, list_segments, read_segment, list_members),
    *(read_operation, cancel_operation),
)
"""what the management API offers, in the order of its document"""
MOST_BODY_BYTES = 4_000_000
_TAGS = {
    "profiles": "People and accounts: search, one with all that is known and why, timelines.",
    "segments": "Who belongs where, now or at a past moment.",
    "broadcasts": "Newsletters: who would get one, starting, stopping, what became of it.",
    "lifecycles": "Stages with counts, over time, and moves between them.",
    "audience": "Conditions tried out before they are in a playbook.",
    "definitions": "The playbook: what is in force, what an edit would change, applying it.",
    "journeys": "Journeys with their figures, who is in them, and why somebody is where they are.",
    "messages": "What was decided and sent, exact copies, codes, and what stops sending.",
    "consent": "What customers agreed to, and addresses never to be written to again.",
    "imports": "Files of events and traits.",
    "operations": "Long work that was started with `Prefer: respond-async`: how far it is, cancelling it.",
    "health": "Watermarks, lag, readiness.",
}


def management(desk: WorkspaceApi, keys: KeyRing, local_token: str = "") -> Router:
    """Every route under `/api/v1`."""
    return Router(
        PATH,
        route_handlers=[
            *endpoints(USE_CASES),
            *(Lifecycles, ConditionEndpoints, PlaybookEndpoints, Imports, System),
            *(Broadcasts, Journeys, Reasons, Messages, ConsentController, Suppressions, Coupons, Switches),
        ],
        dependencies={"desk": Provide(lambda: desk, sync_to_thread=False, use_cache=True)},
        guards=[secret_key_guard(keys, desk.clock, local_token), known_parameters_guard],
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
            "Every request carries a secret key: `Authorization: Bearer km_…`. Errors are RFC 9457 problems. Listings "
            "go on with `cursor`. With `now`, any answer is as of that moment, over what was known by then. Events are "
            "sent to the Segment-compatible `/v1/…`, which is described in docs/reference/tracking.md."
        ),
        license=License(name="Apache-2.0", identifier="Apache-2.0"),
        servers=[Server(url="/", description="This server.")],
        tags=[Tag(name=name, description=said) for name, said in _TAGS.items()],
        components=Components(security_schemes={SCHEME: security_scheme()}),
        use_handler_docstrings=True,
        # Litestar adds a page for whatever is not found beneath this path, so it is the document's own.
        path=f"{PATH}/openapi.json",
        render_plugins=[JsonRenderPlugin(path="/")],
    )
    return {"openapi_config": config, "exception_handlers": exception_handlers(), "logging_config": None}
