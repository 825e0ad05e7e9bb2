"""The files of the status page and its login, put together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from msgspec.structs import replace

from keepers.app.access.page_access import PageAccess
from keepers.app.workspace.clock import clock
from keepers.app.workspace.workspace import Workspace
from keepers.http.status_page import status_handlers
from keepers.i18n.catalogues import languages
from workspaces import lay_out

NAME = "Tea {{words}} & <b>{{sign_in}}</b>"


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory, migrated_folder: Path) -> Iterator[Workspace]:
    workspace = Workspace.open(lay_out(tmp_path_factory.mktemp("named") / "shop", migrated_folder))
    shown = replace(workspace.settings.workspace, name=NAME)
    workspace.settings = replace(workspace.settings, workspace=shown)
    yield workspace
    workspace.close()


@pytest.mark.parametrize("locale", sorted(languages()))
def test_every_word_is_filled_in_once(locale: str, named: Workspace) -> None:
    access = named.part(PageAccess)
    with TestClient(Litestar(status_handlers(named))) as client:
        pages = [
            client.get("/login", params={"token": access.make_link(clock()), "lang": locale}).text,
            client.get(f"/?lang={locale}").text,
            client.get(f"/login?lang={locale}").text,
        ]
    shown = "Tea {{words}} &amp; &lt;b&gt;{{sign_in}}&lt;/b&gt;"
    for page in pages:
        assert f'<html lang="{locale}">' in page
        assert f"<title>{shown} · Keepers</title>" in page
        assert f"<h1>{shown}</h1>" in page
        assert re.findall(r'lang="(\w+)" aria-current="true"', page) == ([locale] if "languages" in page else [])
        assert "{{" not in page.replace(shown, "")
