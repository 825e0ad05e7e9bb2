"""The preference page: topics by channel, language, and leaving everything. Signed link, no login, no script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Request, Response, route
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath
from msgspec import Struct

from keepers.app.public.link_owner import (
    LinkOwner,
    addresses,
    always_sent,
    link_path,
    marketing,
    masked,
    name_of,
    of_profile,
    own_locale,
    preferences_link,
)
from keepers.app.public.preferences import Choices, PreferenceContext, choices_of, choose, speak, stop_all
from keepers.app.public.public_workspace import PublicWorkspace
from keepers.http.common.request_info import form_of, page_locale
from keepers.http.public.links.page_errors import in_thread
from keepers.http.public.links.pages import ALWAYS, Page, broken, draw, language_links
from keepers.i18n.catalogues import languages
from keepers.i18n.page_texts import channel_name, choose_locale, page_text
from keepers.model.consent import Topic
from keepers.model.texts import text_in

SOURCE = "preference page"


class _Opened(Struct, frozen=True):
    owner: LinkOwner
    traits: Mapping[str, Any]
    own: str
    """the language they are written to in"""


def preferences_handler(workspace: PublicWorkspace) -> HTTPRouteHandler:
    """`/e/p/<token>`: GET and HEAD show the page, POST saves and shows it again."""

    @route(f"{link_path('preferences')}{{token:str}}", http_method=["GET", "HEAD", "POST"], status_code=200)
    async def preferences(request: Request[Any, Any, Any], token: FromPath[str]) -> Response[bytes]:
        payload = preferences_link(workspace, token)
        form = await form_of(request) if request.method == "POST" else None

        def answer() -> Response[bytes]:
            opened = _open(workspace, payload.profile_id, payload.key, payload.locale)
            locale = page_locale(request, opened.own if opened is not None else payload.locale)
            if opened is None:
                return draw(broken(locale, workspace.company), locale, workspace.company)
            if form is None:
                return draw(_page(workspace, opened, locale, request.query_params.dict()), locale, workspace.company)
            return _saved(workspace, opened, form, locale)

        return await in_thread(answer)

    return preferences


def _open(workspace: PublicWorkspace, profile_id: int, key: str, locale: str) -> _Opened | None:
    with workspace.store.read() as connection:
        owner = of_profile(connection, profile_id, key, locale)
    if owner is None:
        return None
    traits = workspace.traits(owner.profile_id)
    return _Opened(owner, traits, own_locale(traits, locale or owner.locale))


def _saved(workspace: PublicWorkspace, opened: _Opened, form: Mapping[str, list[str]], locale: str) -> Response[bytes]:
    owner = opened.owner
    is_leaving = "none" in form.get("action", ())
    shown, on = (
        [(channel, topic) for value in form.get(name, ()) for channel, _, topic in [value.partition(":")]]
        for name in ("shown", "on")
    )
    language = form.get("language", [""])[0]
    given = PreferenceContext.at(workspace)
    with workspace.store.begin() as connection:
        if is_leaving:
            stop_all(connection, given, owner, opened.traits, SOURCE)
        else:
            choose(connection, given, owner, opened.traits, shown, set(on), SOURCE)
            if language in languages() and language != choose_locale(None, opened.own, ""):
                speak(connection, given, owner, language)
                locale = language
    # Shown by GET, so that reloading the page saves nothing twice.
    where = f"?lang={locale}&done={'none' if is_leaving else 'saved'}&in={language if language in languages() else ''}"
    return Response(b"", status_code=303, headers={**ALWAYS, "Location": where})


def _page(workspace: PublicWorkspace, opened: _Opened, locale: str, asked: Mapping[str, list[str]]) -> Page:
    owner = opened.owner
    given = PreferenceContext.at(workspace)
    with workspace.store.read() as connection:
        choices = choices_of(connection, given, owner, opened.traits)
    found = addresses(owner, opened.traits, workspace.country)
    whom = list(dict.fromkeys(m for channel, to in found if (m := masked(channel, to))))
    blocked = [
        masked(channel, to) or channel_name(channel, locale) for channel, to in found if channel in choices.blocked
    ]
    notes = {"saved": page_text("saved", locale), "none": page_text("done_all", locale)}
    # What was just saved is a trait only after the next tick.
    written = (asked.get("in") or [""])[0]
    shown = {
        "whom": whom,
        "note": notes.get((asked.get("done") or [""])[0], ""),
        "blocked": list(dict.fromkeys(blocked)),
        "topics": _topics(given.topics, choices, locale),
        "languages": language_links(),
        "spoken": choose_locale(written, opened.own, locale),
        "always": always_sent(given.topics, locale),
    }
    return Page("preferences", "preferences_title", shown)


def _topics(topics: Mapping[str, Topic], choices: Choices, locale: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name_of(topic, locale),
            "description": text_in(topic.description, locale),
            "choices": [
                {
                    "value": f"{channel}:{topic.id}",
                    "channel": channel_name(channel, locale),
                    "is_on": choices.is_on((channel, topic.id)),
                    "is_pending": choices.states.get((channel, topic.id)) == "pending",
                }
                for channel in topic.channels
            ],
        }
        for topic in marketing(topics)
    ]
