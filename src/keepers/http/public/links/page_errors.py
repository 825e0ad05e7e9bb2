"""Error pages of the public pages, in the visitor's language."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from litestar import Request, Response
from litestar.concurrency import sync_to_thread
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from keepers.app.public.rate_limit import TooManyError
from keepers.app.workspace.workspace import Workspace
from keepers.http.common.problems import kept_headers
from keepers.http.common.request_info import page_locale
from keepers.http.public.links.pages import PageLink, broken, draw, notice
from keepers.i18n.page_texts import page_text
from keepers.i18n.problems import problem_text
from keepers.model.errors import UserError

log = logging.getLogger("keepers")
T = TypeVar("T")


def page_errors(workspace: Workspace) -> ExceptionHandlersMap:
    """For Litestar's `exception_handlers`: a bad link is said to be one (404), our own failure to be ours (503)."""

    def answer(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        locale = page_locale(request)
        if isinstance(error, TooManyError):
            text = problem_text(error.problem, locale)
            page = notice("failed_title", [text], is_good=False, status=429)
            drawn = draw(page, locale, workspace.sending.company)
            drawn.headers.update(kept_headers(error))
            return drawn
        if isinstance(error, UserError):
            return draw(broken(locale, workspace.sending.company), locale, workspace.sending.company)
        status = error.status_code if isinstance(error, HTTPException) else 503
        if status < 500:
            page = notice("broken_title", [page_text("broken_text", locale)], is_good=False, status=status)
            return draw(page, locale, workspace.sending.company)
        # The path is not logged: it authorises acting for the customer.
        log.error("A public page failed: %s", type(error).__name__, exc_info=error)
        again = PageLink(f"?lang={locale}", page_text("again", locale))
        page = notice("failed_title", [page_text("failed_text", locale)], is_good=False, more=again, status=503)
        return draw(page, locale, workspace.sending.company)

    return {Exception: answer, HTTPException: answer}


async def in_thread(work: Callable[[], T]) -> T:
    """Runs blocking work in a thread."""
    return await sync_to_thread(work)
