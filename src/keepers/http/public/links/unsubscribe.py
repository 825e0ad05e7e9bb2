"""Unsubscribing: at once by a mail program's one-click POST (RFC 8058), or by a page; a GET changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from keepers.app.public.link_owner import (
    LinkOwner,
    always_sent,
    channels_of,
    link_path,
    message_key,
    name_of,
    of_message,
    own_locale,
)
from keepers.app.public.preferences import REASONS, PreferenceContext, stop_all, stop_topic
from keepers.app.public.public_workspace import PublicWorkspace
from keepers.http.common.request_info import form_of, page_locale
from keepers.http.public.links.page_errors import in_thread
from keepers.http.public.links.pages import ALWAYS, Page, PageLink, broken, draw, notice
from keepers.i18n.page_texts import channel_name, join_names, page_text
from keepers.model.consent import Topic

SOURCE = "unsubscribe page"
ONE_CLICK = ("List-Unsubscribe", "One-Click")
"""the field a mail program posts (RFC 8058 §3.1)"""


def unsubscribe_handler(workspace: PublicWorkspace) -> HTTPRouteHandler:
    """`/e/u/<token>`: GET and HEAD show the page, POST unsubscribes."""

    @route(f"{link_path('unsubscribe')}{{token:str}}", http_method=["GET", "HEAD", "POST"], status_code=200)
    async def unsubscribe(request: Request[Any, Any, Any], token: FromPath[str]) -> Response[bytes]:
        key = message_key(workspace, "unsubscribe", token)
        if request.method != "POST":
            return await in_thread(lambda: _asked(workspace, key, request))
        form = await form_of(request)
        field, value = ONE_CLICK
        if any(v.strip().lower() == value.lower() for v in form.get(field, ())):
            await in_thread(lambda: _one_click(workspace, key))
            # Whatever the token led to: a mail program shows success or failure, and there is nothing left to send.
            return Response(b"", status_code=200, media_type="text/plain", headers=ALWAYS)
        scope = form.get("scope", [""])[0]
        if scope not in ("topic", "all"):
            return await in_thread(lambda: _asked(workspace, key, request))
        reason = next((r for r in form.get("reason", ()) if r in REASONS), "")
        return await in_thread(lambda: _done(workspace, key, scope, reason, request))

    return unsubscribe


def _one_click(workspace: PublicWorkspace, key: str) -> None:
    given = PreferenceContext.at(workspace)
    with workspace.store.begin() as connection:
        owner = of_message(connection, key)
        if owner is not None:
            stop_topic(connection, given, owner, "one-click")


def _asked(workspace: PublicWorkspace, key: str, request: Request[Any, Any, Any]) -> Response[bytes]:
    owner, _, locale = _owner_of(workspace, key, request)
    if owner is None:
        return draw(broken(locale, workspace.company), locale, workspace.company)
    return draw(_page(workspace, owner, locale), locale, workspace.company)


def _done(
    workspace: PublicWorkspace, key: str, scope: str, reason: str, request: Request[Any, Any, Any]
) -> Response[bytes]:
    owner, traits, locale = _owner_of(workspace, key, request)
    if owner is None:
        return draw(broken(locale, workspace.company), locale, workspace.company)
    given = PreferenceContext.at(workspace)
    topic = _topic_of(given.topics, owner, locale)
    source = f"{SOURCE}: {reason}" if reason else SOURCE
    with workspace.store.begin() as connection:
        if scope == "topic":
            stop_topic(connection, given, owner, source)
        else:
            stop_all(connection, given, owner, traits, source)
    stopped = page_text("done_topic", locale, topic) if scope == "topic" and topic else page_text("done_all", locale)
    lines = [stopped, page_text("done_way", locale)]
    more = PageLink(_preferences(workspace, owner, locale), page_text("changed_mind", locale))
    return draw(notice("done_title", lines, is_good=True, more=more, is_answer=True), locale, workspace.company)


def _owner_of(
    workspace: PublicWorkspace, key: str, request: Request[Any, Any, Any]
) -> tuple[LinkOwner | None, Mapping[str, Any], str]:
    with workspace.store.read() as connection:
        owner = of_message(connection, key)
    traits = workspace.traits(owner.profile_id) if owner is not None else {}
    # The page follows the letter it was opened from.
    own = owner.locale or own_locale(traits, "") if owner is not None else ""
    return owner, traits, page_locale(request, own)


def _page(workspace: PublicWorkspace, owner: LinkOwner, locale: str) -> Page:
    topics = workspace.topics()
    shown = {
        "whom": [owner.whom] if owner.whom else [],
        "topic": _topic_of(topics, owner, locale),
        "channels": join_names((channel_name(channel, locale) for channel in channels_of(topics)), locale),
        "reasons": [{"value": r, "text": page_text(f"reason_{r}", locale)} for r in REASONS],
        "still": join_names(always_sent(topics, locale), locale),
        "preferences": _preferences(workspace, owner, locale),
    }
    return Page("unsubscribe", "unsubscribe_title", shown)


def _topic_of(topics: Mapping[str, Topic], owner: LinkOwner, locale: str) -> str:
    """The name of the topic that can be left; empty where the message has none."""
    topic = topics.get(owner.topic)
    return name_of(topic, locale) if topic is not None and topic.kind == "marketing" else ""


def _preferences(workspace: PublicWorkspace, owner: LinkOwner, locale: str) -> str:
    key = owner.message.key if owner.message is not None else ""
    return workspace.links.preferences(owner.profile_id, locale, key)
