"""The second yes of a double opt-in: a page with a button. A scanner that follows the link confirms nobody."""

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
from keepers.app.public.preferences import Given, confirm_topic
from keepers.app.public.public_workspace import PublicWorkspace
from keepers.http.common.request_info import page_locale
from keepers.http.public.links.page_errors import in_thread
from keepers.http.public.links.pages import Page, PageLink, broken, draw, notice
from keepers.i18n.page_texts import said


def confirm_handler(desk: PublicWorkspace) -> HTTPRouteHandler:
    """`/e/y/<token>`: GET and HEAD ask, POST confirms. Confirming twice is the same as once."""

    @route(f"{link_path('confirm')}{{token:str}}", http_method=["GET", "HEAD", "POST"], status_code=200)
    async def confirm(request: Request[Any, Any, Any], token: FromPath[str]) -> Response[bytes]:
        link = confirmation_link(desk, token)
        return await in_thread(lambda: _answer(desk, link.profile_id, link.channel, link.topic, request))

    return confirm


def _answer(
    desk: PublicWorkspace, profile_id: int, channel: str, topic_id: str, request: Request[Any, Any, Any]
) -> Response[bytes]:
    with desk.store.read() as connection:
        holder = of_profile(connection, profile_id, "", "")
    given = Given.at(desk)
    topic = given.topics.get(topic_id)
    if holder is None or topic is None:
        locale = page_locale(request)
        return draw(broken(locale, desk.company), locale, desk.company)
    traits = desk.traits(holder.profile_id)
    locale = page_locale(request, own_locale(traits, ""))
    name = name_of(topic, locale)
    if request.method == "POST":
        with desk.store.begin() as connection:
            is_subscribed = confirm_topic(connection, given, holder, traits, channel, topic.id)
        more = PageLink(desk.links.preferences(holder.profile_id, locale), said("manage", locale))
        if is_subscribed:
            lines = [said("confirmed_text", locale, name)]
            page = notice("confirmed_title", lines, is_good=True, more=more, is_answer=True)
        else:
            # Somebody who left since is not brought back by an old mail; the preference page can.
            page = notice(
                "broken_title", [said("stale_text", locale)], is_good=False, more=more, status=409, is_answer=True
            )
        return draw(page, locale, desk.company)
    reached = addresses(holder, traits, desk.country)
    found = [masked(one, to) for one, to in reached if one == channel]
    whom = [address for address in found if address][:1]
    return draw(Page("confirm", "confirm_title", {"topic": name, "whom": whom}), locale, desk.company)
