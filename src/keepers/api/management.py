"""The management API put together: `/api/v1` behind secret keys, described by its OpenAPI document."""

from __future__ import annotations

from typing import Any

from litestar import Router
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, License, Server, Tag

from keepers.api.audience import Audience
from keepers.api.auth import SCHEME, secret_key_guard, security_scheme
from keepers.api.broadcasts import Broadcasts
from keepers.api.consents import ConsentController
from keepers.api.coupons import Coupons
from keepers.api.definitions import Definitions
from keepers.api.desk import Desk
from keepers.api.imports import Imports
from keepers.api.journeys import Journeys
from keepers.api.lifecycles import Lifecycles
from keepers.api.messages import Messages
from keepers.api.parameters import known_parameters_guard
from keepers.api.problems import exception_handlers
from keepers.api.profiles import Profiles
from keepers.api.segments import Segments
from keepers.api.suppressions import Suppressions
from keepers.api.switches import Switches
from keepers.api.system import System
from keepers.api.why import Reasons
from keepers.store.keys import KeyRing

PATH = "/api/v1"
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
    "health": "Watermarks, lag, readiness.",
}


def management(desk: Desk, keys: KeyRing) -> Router:
    """Every route under `/api/v1`."""
    return Router(
        PATH,
        route_handlers=[
            *(Profiles, Segments, Lifecycles, Audience, Definitions, Imports, System),
            *(Broadcasts, Journeys, Reasons, Messages, ConsentController, Suppressions, Coupons, Switches),
        ],
        dependencies={"desk": Provide(lambda: desk, sync_to_thread=False, use_cache=True)},
        guards=[secret_key_guard(keys, desk.clock), known_parameters_guard],
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
