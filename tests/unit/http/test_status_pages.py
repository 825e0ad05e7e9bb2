"""The files of the status page and its login, put together."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any, cast

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from keepers.app.operations.page_access import PageAccess
from keepers.app.workspace.clock import clock
from keepers.http.common.auth import SESSION_COOKIE
from keepers.http.status_page import status_handlers
from keepers.i18n.catalogues import languages

NAME = "Tea {{words}} & <b>{{sign_in}}</b>"


@pytest.mark.parametrize("locale", sorted(languages()))
def test_every_word_is_filled_in_once(locale: str) -> None:
    access = PageAccess(cast(Any, SimpleNamespace(secret=bytes(32))))
    settings = SimpleNamespace(workspace=SimpleNamespace(name=NAME))
    site = cast(Any, SimpleNamespace(settings=settings, clock=clock, part=lambda _: access))
    cookie = {"Cookie": f"{SESSION_COOKIE}={access.begin_session(clock())}"}
    with TestClient(Litestar(status_handlers(site))) as client:
        pages = [
            client.get(f"/?lang={locale}", headers=cookie).text,
            client.get(f"/login?lang={locale}").text,
            client.get("/login", params={"token": access.make_link(clock()), "lang": locale}).text,
        ]
    shown = "Tea {{words}} &amp; &lt;b&gt;{{sign_in}}&lt;/b&gt;"
    for page in pages:
        assert f'<html lang="{locale}">' in page
        assert f"<title>{shown} · Keepers</title>" in page
        assert f"<h1>{shown}</h1>" in page
        assert re.findall(r'lang="(\w+)" aria-current="true"', page) == ([locale] if "languages" in page else [])
        assert "{{" not in page.replace(shown, "")
