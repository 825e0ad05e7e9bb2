"""Subscribe forms: `POST /v1/subscribe` takes an address for a topic; double opt-in asks the address itself first."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from litestar import Request, Response, post
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler

from keepers.app.public.public_workspace import PublicWorkspace
from keepers.app.public.rate_limit import Allowance
from keepers.app.public.subscriptions import SubscribeForm, _subscribe
from keepers.app.public.visitor_auth import key_of
from keepers.http.common.auth import sent_token
from keepers.http.common.request_info import client_address
from keepers.http.public.links.page_errors import in_thread
from keepers.http.public.site.json_api import body_of, said
from keepers.model.consent import network_address_hash

FORMS_PER_VISITOR = (20, timedelta(hours=1))
MAILS_PER_ADDRESS = (3, timedelta(hours=1))
"""so that a form is no way to fill somebody's inbox"""


def subscribe_handler(desk: PublicWorkspace) -> HTTPRouteHandler:
    """`POST /v1/subscribe`, with a write or server key: 202, or a problem (401, 403, 422, 429)."""
    visitors, mailed = Allowance(*FORMS_PER_VISITOR), Allowance(*MAILS_PER_ADDRESS)

    @post("/subscribe", status_code=202, include_in_schema=False)
    async def subscribe(request: Request[Any, Any, Any]) -> Response[bytes]:
        form = await body_of(request, SubscribeForm)

        def answer() -> Response[bytes]:
            key = key_of(desk, sent_token(request, form.writeKey))
            if key is None:
                raise HTTPException("Send a write key, as `writeKey` or by Basic authentication.", status_code=401)
            if key.kind == "secret":
                raise HTTPException("A management key may not be used in forms. Use a write key.", status_code=403)
            if key.kind == "write":
                visitor = network_address_hash(desk.secret, client_address(request.scope, desk.proxies))
                _allow(visitors, visitor, desk)
            return said(_subscribe(desk, key, form, mailed), 202)

        return await in_thread(answer)

    return subscribe


def _allow(visitors: Allowance, visitor: str, desk: PublicWorkspace) -> None:
    wait = visitors.take(visitor, desk.clock())
    if wait is not None:
        seconds = str(int(wait.total_seconds()) + 1)
        raise HTTPException("Too many forms from this address. Try again later.", status_code=429,
                            headers={"Retry-After": seconds})  # fmt: skip
