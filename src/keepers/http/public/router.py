"""All public addresses of a workspace: `/e/…` for links in messages and webhooks, `/v1/…` for sites and apps."""

from __future__ import annotations

from litestar import Router
from litestar.types import ControllerRouterHandler

from keepers.app.workspace.sending import PREFIX
from keepers.app.workspace.workspace import Workspace
from keepers.http.common.request_info import MOST_FORM_BYTES
from keepers.http.public.links.clicks import click_handlers
from keepers.http.public.links.confirm import confirm_handler
from keepers.http.public.links.copies import copy_handler
from keepers.http.public.links.page_errors import page_errors
from keepers.http.public.links.preferences import preferences_handler
from keepers.http.public.links.unsubscribe import unsubscribe_handler
from keepers.http.public.network_guard import network_guard
from keepers.http.public.provider_webhooks import provider_handler
from keepers.http.public.site.inbox import inbox_handlers
from keepers.http.public.site.json_api import MOST_BODY_BYTES, call_errors, preflight
from keepers.http.public.site.push import push_handlers
from keepers.http.public.site.subscribe import subscribe_handler


def public_handlers(workspace: Workspace) -> list[ControllerRouterHandler]:
    """Handlers for `create_app`. None of them needs a login: links are signed, calls bring a key or a signature."""
    guards = [network_guard(workspace)]
    pages = Router(
        PREFIX,
        guards=guards,
        route_handlers=[
            *click_handlers(workspace),
            unsubscribe_handler(workspace),
            preferences_handler(workspace),
            confirm_handler(workspace),
            copy_handler(workspace),
        ],
        exception_handlers=page_errors(workspace),
        request_max_body_size=MOST_FORM_BYTES,
        include_in_schema=False,
    )
    calls = Router(
        "/v1",
        guards=guards,
        route_handlers=[
            preflight("/subscribe", "/inbox", "/inbox/{message:str}/read", "/push/key", "/push/subscriptions"),
            subscribe_handler(workspace),
            *inbox_handlers(workspace),
            *push_handlers(workspace),
        ],
        exception_handlers=call_errors(),
        request_max_body_size=MOST_BODY_BYTES,
        include_in_schema=False,
    )
    webhooks = Router(PREFIX, route_handlers=[provider_handler(workspace)], include_in_schema=False)
    return [pages, webhooks, calls]
