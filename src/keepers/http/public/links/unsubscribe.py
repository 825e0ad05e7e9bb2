"""Unsubscribing: at once by a mail program's one-click POST (RFC 8058), or by a page; a GET changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from keepers.app.public.link_owner import (
    Holder,
    always_sent,
    channels_of,
    link_path,
    message_key,
    name_of,
    of_message,
    own_locale,
)
from keepers.app.public.preferences import REASONS, Given, stop_all, stop_topic
from keepers.app.public.public_workspace import PublicWorkspace
from keepers.http.common.request_info import form_of, page_locale
from keepers.http.public.links.page_errors import in_thread
from keepers.http.public.links.pages import ALWAYS, Page, PageLink, broken, draw, notice
from keepers.i18n.page_texts import channel_name, listed, said
from keepers.model.consent import Topic

SOURCE = "unsubscribe page"
ONE_CLICK = ("List-Unsubscribe", "One-Click")
"""the field a mail program posts (RFC 8058 §3.1)"""


def unsubscribe_handler(desk: PublicWorkspace) -> HTTPRouteHandler:
    """`/e/u/<token>`: GET and HEAD show the page, POST unsubscribes."""

    @route(f"{link_path('unsubscribe')}{{token:str}}", http_method=["GET", "HEAD", "POST"], status_code=200)
    async def unsubscribe(request: Request[Any, Any, Any], token: FromPath[str]) -> Response[bytes]:
        key = message_key(desk, "unsubscribe", token)
        if request.method != "POST":
            return await in_thread(lambda: _asked(desk, key, request))
        form = await form_of(request)
        field, value = ONE_CLICK
        if any(v.strip().lower() == value.lower() for v in form.get(field, ())):
            await in_thread(lambda: _one_click(desk, key))
            # Whatever the token led to: a mail program shows success or failure, and there is nothing left to send.
            return Response(b"", status_code=200, media_type="text/plain", headers=ALWAYS)
        scope = form.get("scope", [""])[0]
        if scope not in ("topic", "all"):
            return await in_thread(lambda: _asked(desk, key, request))
        reason = next((r for r in form.get("reason", ()) if r in REASONS), "")
        return await in_thread(lambda: _done(desk, key, scope, reason, request))

    return unsubscribe


def _one_click(desk: PublicWorkspace, key: str) -> None:
    given = Given.at(desk)
    with desk.store.begin() as connection:
        holder = of_message(connection, key)
        if holder is not None:
            stop_topic(connection, given, holder, "one-click")


def _asked(desk: PublicWorkspace, key: str, request: Request[Any, Any, Any]) -> Response[bytes]:
    holder, _, locale = _holder(desk, key, request)
    if holder is None:
        return draw(broken(locale, desk.company), locale, desk.company)
    return draw(_page(desk, holder, locale), locale, desk.company)


def _done(desk: PublicWorkspace, key: str, scope: str, reason: str, request: Request[Any, Any, Any]) -> Response[bytes]:
    holder, traits, locale = _holder(desk, key, request)
    if holder is None:
        return draw(broken(locale, desk.company), locale, desk.company)
    given = Given.at(desk)
    topic = _topic_of(given.topics, holder, locale)
    source = f"{SOURCE}: {reason}" if reason else SOURCE
    with desk.store.begin() as connection:
        if scope == "topic":
            stop_topic(connection, given, holder, source)
        else:
            stop_all(connection, given, holder, traits, source)
    stopped = said("done_topic", locale, topic) if scope == "topic" and topic else said("done_all", locale)
    lines = [stopped, said("done_way", locale)]
    more = PageLink(_preferences(desk, holder, locale), said("changed_mind", locale))
    return draw(notice("done_title", lines, is_good=True, more=more, is_answer=True), locale, desk.company)


def _holder(
    desk: PublicWorkspace, key: str, request: Request[Any, Any, Any]
) -> tuple[Holder | None, Mapping[str, Any], str]:
    with desk.store.read() as connection:
        holder = of_message(connection, key)
    traits = desk.traits(holder.profile_id) if holder is not None else {}
    # The page follows the letter it was opened from.
    own = holder.locale or own_locale(traits, "") if holder is not None else ""
    return holder, traits, page_locale(request, own)


def _page(desk: PublicWorkspace, holder: Holder, locale: str) -> Page:
    topics = desk.topics()
    shown = {
        "whom": [holder.whom] if holder.whom else [],
        "topic": _topic_of(topics, holder, locale),
        "channels": listed((channel_name(channel, locale) for channel in channels_of(topics)), locale),
        "reasons": [{"value": r, "text": said(f"reason_{r}", locale)} for r in REASONS],
        "still": listed(always_sent(topics, locale), locale),
        "preferences": _preferences(desk, holder, locale),
    }
    return Page("unsubscribe", "unsubscribe_title", shown)


def _topic_of(topics: Mapping[str, Topic], holder: Holder, locale: str) -> str:
    """The name of the topic that can be left; empty where the message has none."""
    topic = topics.get(holder.topic)
    return name_of(topic, locale) if topic is not None and topic.kind == "marketing" else ""


def _preferences(desk: PublicWorkspace, holder: Holder, locale: str) -> str:
    key = holder.message.key if holder.message is not None else ""
    return desk.links.preferences(holder.profile_id, locale, key)
