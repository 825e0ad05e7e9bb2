"""The public pages as HTML: Liquid templates that escape all they are given, under a policy that lets nothing in."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Any

from liquid import DictLoader, Environment, StrictUndefined
from litestar import Response
from markupsafe import Markup
from msgspec import Struct

from keepers.app.workspace.sending import Company
from keepers.i18n.catalogues import languages
from keepers.i18n.locales import own_name
from keepers.i18n.page_texts import page_text
from keepers.model.fields import is_web

TEMPLATES = ("page", "notice", "unsubscribe", "preferences", "confirm", "copy")
ALWAYS = {"X-Robots-Tag": "noindex, nofollow"}
"""headers of every page, besides those of every answer: the URLs authorise acting for a customer"""
COPY_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src http: https: data:; "
    "style-src 'unsafe-inline' https:; font-src https: data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""for a message's own HTML: pictures and styles as in a mail program, no scripts, no forms, no origin"""


class Page(Struct, frozen=True):
    """A page before it is drawn: one of the templates, the key of its title, and what the template shows.

    Shown under its own `title` where it has one. One that `is_answer` to a form has no links to other languages:
    they would lead back to the form.
    """

    template: str
    title: str
    shown: Mapping[str, Any]
    status: int = 200
    is_answer: bool = False


class PageLink(Struct, frozen=True):
    """A link below a notice. Empty ones are not shown."""

    href: str = ""
    text: str = ""


def notice(
    title: str,
    lines: Sequence[str],
    *,
    is_good: bool,
    more: PageLink | None = None,
    status: int = 200,
    is_answer: bool = False,
) -> Page:
    """A page that says how something went, in lines that are words already."""
    shown = {"lines": list(lines), "is_good": is_good, "more": _link(more or PageLink())}
    return Page("notice", title, shown, status, is_answer)


def broken(locale: str, company: Company) -> Page:
    """For a link that is forged, cut short or too old."""
    return notice(
        "broken_title", [page_text("broken_text", locale)], is_good=False, more=home(locale, company), status=404
    )


def home(locale: str, company: Company) -> PageLink:
    """A link to the business's own site, if it is known and safe to follow."""
    return PageLink(company.url, page_text("visit", locale)) if is_web(company.url) else PageLink()


def draw(page: Page, locale: str, company: Company) -> Response[bytes]:
    """The page as a response. `locale` is one of `languages`."""
    environment = _environment(locale)
    title = str(page.shown.get("title") or page_text(page.title, locale))
    body = environment.get_template(page.template).render(**{**page.shown, "title": title})
    html = environment.get_template("page").render(
        locale=locale,
        title=title,
        body=Markup(body),
        company={"name": company.name, "address": company.address},
        initial=company.name.strip()[:1].upper(),
        languages=[] if page.is_answer else language_links(),
        css=Markup(_style()),
    )
    return Response(
        html.encode(),
        media_type="text/html",
        status_code=page.status,
        headers={**ALWAYS, "Content-Security-Policy": policy(), "Content-Language": locale},
    )


@cache
def policy() -> str:
    """The content security policy of our own pages: one style sheet by its hash, forms to where they came from."""
    digest = b64encode(sha256(_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    )


def language_links() -> list[dict[str, str]]:
    """Every language, for a list to choose from."""
    return [{"locale": locale, "name": own_name(locale), "href": f"?lang={locale}"} for locale in languages()]


def _link(link: PageLink) -> dict[str, str]:
    return {"href": link.href, "text": link.text}


def _file(name: str) -> str:
    return (resources.files("keepers.http.public.links") / "templates" / name).read_text(encoding="utf-8")


@cache
def _style() -> str:
    return _file("public.css")


@cache
def _environment(locale: str) -> Environment:
    loader = DictLoader({name: _file(f"{name}.html") for name in TEMPLATES})
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)

    def filled(key: str, *values: object) -> str:
        return page_text(str(key), locale, *values)

    environment.filters["said"] = filled
    return environment
