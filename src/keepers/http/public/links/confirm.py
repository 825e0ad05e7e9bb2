"""Confirmation of a double opt-in: a page with a button, so that link scanners confirm nothing."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from keepers.app.public.link_owner import (
    addresses,
    confirmation_link,
    link_path,
    masked,
    name_of,
    of_profile,
    own_locale,
)
from keepers.app.public.preferences import PreferenceContext, confirm_topic
from keepers.app.public.public_workspace import PublicWorkspace
from keepers.http.common.request_info import page_locale
from keepers.http.public.links.page_errors import in_thread
from keepers.http.public.links.pages import Page, PageLink, broken, draw, notice
from keepers.i18n.page_texts import page_text


def confirm_handler(workspace: PublicWorkspace) -> HTTPRouteHandler:
    """`/e/y/<token>`: GET and HEAD ask, POST confirms. Confirming twice is the same as once."""

    @route(f"{link_path('confirm')}{{token:str}}", http_method=["GET", "HEAD", "POST"], status_code=200)
    async def confirm(request: Request[Any, Any, Any], token: FromPath[str]) -> Response[bytes]:
        link = confirmation_link(workspace, token)
        return await in_thread(lambda: _answer(workspace, link.profile_id, link.channel, link.topic, request))

    return confirm


def _answer(
    workspace: PublicWorkspace, profile_id: int, channel: str, topic_id: str, request: Request[Any, Any, Any]
) -> Response[bytes]:
    with workspace.store.read() as connection:
        owner = of_profile(connection, profile_id, "", "")
    given = PreferenceContext.at(workspace)
    topic = given.topics.get(topic_id)
    if owner is None or topic is None:
        locale = page_locale(request)
        return draw(broken(locale, workspace.company), locale, workspace.company)
    traits = workspace.traits(owner.profile_id)
    locale = page_locale(request, own_locale(traits, ""))
    name = name_of(topic, locale)
    if request.method == "POST":
        with workspace.store.begin() as connection:
            is_subscribed = confirm_topic(connection, given, owner, traits, channel, topic.id)
        more = PageLink(workspace.links.preferences(owner.profile_id, locale), page_text("manage", locale))
        if is_subscribed:
            lines = [page_text("confirmed_text", locale, name)]
            page = notice("confirmed_title", lines, is_good=True, more=more, is_answer=True)
        else:
            # An old e-mail does not subscribe a customer who has left since; the preference page can.
            page = notice(
                "broken_title", [page_text("stale_text", locale)], is_good=False, more=more, status=409, is_answer=True
            )
        return draw(page, locale, workspace.company)
    reached = addresses(owner, traits, workspace.country)
    found = [masked(one, to) for one, to in reached if one == channel]
    whom = [address for address in found if address][:1]
    return draw(Page("confirm", "confirm_title", {"topic": name, "whom": whom}), locale, workspace.company)
