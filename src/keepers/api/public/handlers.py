"""All public addresses of a workspace: `/e/…` for links in messages and webhooks, `/v1/…` for sites and apps."""

from __future__ import annotations

from litestar import Router
from litestar.types import ControllerRouterHandler

from keepers.api.public.answering import page_errors
from keepers.api.public.calls import MOST_BODY_BYTES, call_errors, preflight
from keepers.api.public.clicks import click_handlers
from keepers.api.public.confirm import confirm_handler
from keepers.api.public.copies import copy_handler
from keepers.api.public.desk import PublicDesk
from keepers.api.public.inbox import inbox_handlers
from keepers.api.public.preferences import preferences_handler
from keepers.api.public.providers import provider_handler
from keepers.api.public.push import push_handlers
from keepers.api.public.subscribe import subscribe_handler
from keepers.api.public.unsubscribe import unsubscribe_handler
from keepers.api.public.visits import MOST_FORM_BYTES

PREFIX = "/e"
"""what every link begins with, behind the public address"""


def public_handlers(desk: PublicDesk) -> list[ControllerRouterHandler]:
    """Handlers for `create_app`. None of them needs a login: links are signed, calls bring a key or a signature.

    `desk.links` must be made for the public address with `/e` behind it.
    """
    pages = Router(
        PREFIX,
        route_handlers=[
            *click_handlers(desk),
            unsubscribe_handler(desk),
            preferences_handler(desk),
            confirm_handler(desk),
            copy_handler(desk),
        ],
        exception_handlers=page_errors(desk),
        request_max_body_size=MOST_FORM_BYTES,
        include_in_schema=False,
    )
    calls = Router(
        "/v1",
        route_handlers=[
            preflight("/subscribe", "/inbox", "/inbox/{message:str}/read", "/push/key", "/push/subscriptions"),
            subscribe_handler(desk),
            *inbox_handlers(desk),
            *push_handlers(desk),
        ],
        exception_handlers=call_errors(),
        request_max_body_size=MOST_BODY_BYTES,
        include_in_schema=False,
    )
    webhooks = Router(PREFIX, route_handlers=[provider_handler(desk)], include_in_schema=False)
    return [pages, webhooks, calls]
