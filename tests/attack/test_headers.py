"""Every route answers with the headers that keep browsers from embedding, guessing and keeping it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.routes import HTTPRoute
from litestar.testing import TestClient

from keepers.app.access.page_access import PageAccess
from keepers.app.operations.events import EventIntake
from keepers.app.workspace.clock import clock
from keepers.app.workspace.workspace import Workspace
from keepers.http.application import create_app
from keepers.http.common.auth import SESSION_COOKIE
from keepers.http.common.security_headers import BY_PATH, SecurityHeaders
from keepers.http.management.router import management, options
from keepers.http.public.router import public_handlers
from keepers.http.status_page import status_handlers
from keepers.store import keys
from workspaces import lay_out


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, migrated_folder: Path) -> Iterator[tuple[TestClient, str, str]]:
    """A client of all that a server serves, a secret key and a session."""
    workspace = Workspace.open(lay_out(tmp_path_factory.mktemp("headers") / "shop", migrated_folder))
    with workspace.store.begin() as connection:
        token = keys.create(connection, "secret", "s", clock())[1]
    access = workspace.part(PageAccess)
    ring = workspace.key_ring
    handlers: list[Any] = [management(ring, clock), *status_handlers(workspace), *public_handlers(workspace)]
    app = create_app(
        EventIntake(workspace.store, keys=ring), clock=clock, handlers=handlers, access=access, is_https=True,
        state=_state(workspace), **options("0"),
    )  # fmt: skip
    with TestClient(app) as client:
        session = access.sign_in_by_link(access.make_link(clock()), "", clock())
        assert session is not None
        yield client, token, session
    workspace.close()


def _state(workspace: Workspace) -> Any:
    from litestar.datastructures import State

    return State({"workspace": workspace, "management_path": "/api/v1"})


def _paths(app: Any) -> Iterator[tuple[str, str]]:
    for route in app.routes:
        methods = sorted(route.methods) if isinstance(route, HTTPRoute) else ["POST", "OPTIONS", "GET"]
        path = re.sub(r"\{\w+:int\}", "1", re.sub(r"\{\w+:(str|path)\}", "x", route.path))
        yield from ((method, path) for method in methods)
    yield from (("GET", "/nowhere"), ("GET", "/page/status.css"), ("PATCH", "/"), ("GET", "/api/v1/nowhere"))


def test_every_answer_of_every_route_has_them(served: tuple[TestClient, str, str]) -> None:
    client, token, session = served
    walked = 0
    pages = set()
    for method, path in _paths(client.app):
        for headers in ({}, {"Authorization": f"Bearer {token}"}, {"Cookie": f"{SESSION_COOKIE}={session}"}):
            answer = client.request(method, path, headers=headers, follow_redirects=False)
            where = f"{method} {path} {answer.status_code}"
            found = answer.headers
            assert found.get_list("x-content-type-options") == ["nosniff"], where
            assert found.get_list("referrer-policy") == ["no-referrer"], where
            assert found.get_list("strict-transport-security") == ["max-age=31536000"], where
            assert found.get_list("cache-control") == ["no-cache" if path.startswith("/page/") else "no-store"], where
            (policy,) = found.get_list("content-security-policy")
            for part in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"):
                assert part in policy, where
            script = re.search(r"script-src [^;]*", policy)
            assert script is None or script[0] == "script-src 'self'", where
            if found.get("content-type", "").startswith("text/html"):
                pages.add(path)
                if path not in ("/", "/login"):
                    assert script is None, where
                assert "<script>" not in answer.text, where
                assert " on" + "click=" not in answer.text, where
            walked += 1
    assert walked > 300
    assert {"/", "/login", "/e/p/x", "/e/u/x"} <= pages


def test_without_https_browsers_are_not_told_to_insist_on_it() -> None:
    plain, secure = SecurityHeaders(is_https=False), SecurityHeaders(is_https=True)
    for path in ("/x", *BY_PATH):
        assert b"strict-transport-security" not in dict(plain.of(path))
        assert dict(secure.of(path))[b"strict-transport-security"].startswith(b"max-age=")


def test_the_table_is_of_paths_not_of_what_begins_like_them() -> None:
    table = SecurityHeaders(is_https=False)
    usual = table.of("/api/v1/profiles")
    for path in ("/loginx", "/login/x", "/page", "/pagex", "//", "/api/v1/page/x"):
        assert table.of(path) == usual, path
