"""The status page at `/`: stages with counts over time, recent moves, lag. Has no login, so see `Visible`."""

from __future__ import annotations

from datetime import datetime, timedelta
from html import escape
from importlib import resources
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter
from msgspec import Struct

from keepers.api.desk import Desk
from keepers.api.local import is_local
from keepers.api.parameters import shown
from keepers.api.system import Health, health_of
from keepers.audience.definitions import Lifecycle
from keepers.measure import moves as measure_moves
from keepers.measure import stages as measure_stages
from keepers.model.definitions import LOCALES, text_in
from keepers.model.errors import NotFoundError

Visible = Literal["auto", "on", "off"]
"""who may see the page: this machine (over loopback, not through a proxy), whoever reaches the server, nobody"""
FILES = {"status.css": "text/css", "status.js": "text/javascript", "icon.svg": "image/svg+xml"}
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
MOVES_SHOWN = 12
MOVES_WITHIN = timedelta(days=7)
POINTS = 78
_LONGEST = timedelta(weeks=78)


class Named(Struct, frozen=True):
    id: str
    name: str


class StageNow(Struct, frozen=True):
    id: str
    name: str
    profiles: int


class Point(Struct, frozen=True):
    at: str
    profiles: tuple[int, ...]


class Latest(Struct, frozen=True):
    profile: str
    source: int
    target: int
    at: str


class MoveCount(Struct, frozen=True):
    source: int
    target: int
    profiles: int


class Shown(Struct, frozen=True):
    """One lifecycle as the page draws it. Stages are named by their place in `stages`, from 0; -1 is none."""

    id: str
    name: str
    of: str
    stages: tuple[StageNow, ...]
    history: tuple[Point, ...]
    moves: tuple[MoveCount, ...]
    latest: tuple[Latest, ...]
    moves_since: str


class Status(Struct, frozen=True):
    workspace: str
    as_of: str
    health: Health
    lifecycles: tuple[Named, ...]
    shown: Shown | None


def status_handlers(desk: Desk, visible: Visible) -> list[HTTPRouteHandler]:
    """`/`, `/status.json` and the page's files."""
    pages = _Pages()

    def check(request: Request[Any, Any, Any]) -> None:
        if visible == "on" or (visible == "auto" and is_local(request)):
            return
        raise HTTPException(
            'The status page is shown on the server\'s own machine only. Set page = "on" under [server] in '
            "keepers.toml to show it to whoever can reach this address.",
            status_code=403,
        )

    @get("/", include_in_schema=False, sync_to_thread=False)
    def page(
        request: Request[Any, Any, Any], lang: Annotated[str | None, QueryParameter(name="lang")] = None
    ) -> Response[str]:
        check(request)
        locale = chosen_locale(lang, request.headers.get("accept-language", ""))
        return Response(
            pages.html(locale, desk.name), media_type="text/html", headers={**SECURITY, "Vary": "Accept-Language"}
        )

    @get("/page/{name:str}", include_in_schema=False, sync_to_thread=False)
    def file(request: Request[Any, Any, Any], name: str) -> Response[bytes]:
        check(request)
        if name not in FILES:
            raise NotFoundError(f"There is no page file “{name}”.")
        return Response(pages.file(name), media_type=FILES[name], headers=SECURITY)

    @get("/status.json", include_in_schema=False, sync_to_thread=True)
    def status(
        request: Request[Any, Any, Any],
        lifecycle: Annotated[str | None, QueryParameter(name="lifecycle")] = None,
        lang: Annotated[str | None, QueryParameter(name="lang")] = None,
    ) -> Response[Status]:
        check(request)
        locale = chosen_locale(lang, request.headers.get("accept-language", ""))
        return Response(status_of(desk, lifecycle, locale), headers=SECURITY)

    return [page, file, status]


def status_of(desk: Desk, name: str | None, locale: str) -> Status:
    """What the page shows. Blocks. Raises NotFoundError for a lifecycle that is not in force."""
    standing = desk.standing()
    known = sorted(standing.definitions.lifecycles.values(), key=lambda x: (x.phases_of is not None, x.id))
    lifecycle: Lifecycle | None = None
    if name is not None:
        lifecycle = measure_stages.find_lifecycle(standing, name)
    elif known:
        lifecycle = known[0]
    now = desk.now()
    drawn = _drawn(desk, lifecycle, now, locale) if lifecycle is not None else None
    listed = tuple(Named(x.id, text_in(x.name, locale) or x.id) for x in known)
    return Status(desk.name, shown(now) or "", health_of(desk), listed, drawn)


def _drawn(desk: Desk, lifecycle: Lifecycle, now: datetime, locale: str) -> Shown:
    answerer, standing = desk.answerer, desk.standing()
    names = [text_in(s.name, locale) or s.id for s in lifecycle.stages]
    counts = measure_stages.current(answerer, standing, lifecycle)
    places = {s.id: n for n, s in enumerate(lifecycle.stages)} | {"": -1}
    since = now - MOVES_WITHIN
    recorded = measure_moves.recorded(answerer, standing, lifecycle, since, now, MOVES_SHOWN)
    return Shown(
        lifecycle.id,
        text_in(lifecycle.name, locale) or lifecycle.id,
        lifecycle.of,
        tuple(StageNow(c.stage, name, c.profiles) for c, name in zip(counts, names, strict=True)),
        _history(desk, lifecycle, now),
        tuple(MoveCount(places[m.source], places[m.target], m.profiles) for m in recorded.counts),
        tuple(Latest(m.profile, places[m.source], places[m.target], shown(m.at) or "") for m in recorded.latest),
        shown(since) or "",
    )


def _history(desk: Desk, lifecycle: Lifecycle, now: datetime) -> tuple[Point, ...]:
    """At most `POINTS` points since the first move, a year and a half back at the most."""
    first = measure_stages.first_change(desk.answerer, desk.standing(), lifecycle)
    if first is None or first >= now:
        return ()
    begin = max(first, now - _LONGEST)
    step = max((now - begin) / POINTS, timedelta(minutes=1))
    found = measure_stages.history(
        desk.answerer, desk.standing(), lifecycle, begin, now, f"{int(step.total_seconds())} seconds"
    )
    return tuple(Point(shown(p.at) or "", p.profiles) for p in found)


def chosen_locale(asked: str | None, accepted: str) -> str:
    """The language asked for, else the best one of an Accept-Language header that there is, else English."""
    if asked in LOCALES:
        return asked
    ranked: list[tuple[float, str]] = []
    for part in accepted.split(",")[:20]:
        name, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality or 1)
        except ValueError:
            continue
        if name[:2].lower() in LOCALES and weight > 0:
            ranked.append((-weight, name[:2].lower()))
    return min(ranked, key=lambda r: r[0])[1] if ranked else "en"


class _Pages:
    """The page's files, as they are in the package."""

    def __init__(self) -> None:
        folder = resources.files("keepers.api") / "pages"
        self._files = {name: (folder / name).read_bytes() for name in FILES}
        self._html = (folder / "status.html").read_text(encoding="utf-8")
        self._words: dict[str, dict[str, str]] = msgspec.json.decode((folder / "words.json").read_bytes())

    def file(self, name: str) -> bytes:
        return self._files[name]

    def html(self, locale: str, workspace: str) -> str:
        """The page in a language: `{{word}}` stands for the word."""
        words = {key: said[locale] for key, said in self._words.items()}
        # Inside a script element nothing but `</` could end it early.
        listed = msgspec.json.encode(words).decode().replace("</", "<\\/")
        html = self._html.replace("{{locale}}", locale).replace("{{words}}", listed)
        html = html.replace("{{workspace}}", escape(workspace))
        for key, said in words.items():
            html = html.replace("{{" + key + "}}", escape(said))
        return html
