"""The status page in a real browser: headless Chromium, driven by its command line."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from keepers.i18n.catalogues import languages
from keepers.i18n.page_texts import choose_locale
from keepers.i18n.status_texts import status_texts
from serving import Serving, keepers, serving

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or ""
FILLED = {"languages", "locale", "words", "workspace", "target", "hidden", "wrong"}
"""places of the pages that stand for no word"""
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed (apt-get install chromium)")
PAGES = Path(__file__).resolve().parents[2] / "src" / "keepers" / "http" / "pages"


def drawn(address: str, profile: Path, *options: str) -> str:
    """The page's document after its script has run."""
    return subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={profile}",
            "--virtual-time-budget=3000",
            *options,
            "--dump-dom",
            address,
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    ).stdout


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("empty") / "shop"
    keepers(folder, "init", str(folder), "--lifecycle", "value", "--name", "<b>Nobody & co</b>")
    with serving(folder) as server:
        yield server


@needs_chromium
def test_stages_history_and_moves_are_drawn(running: Serving, tmp_path: Path) -> None:
    html = drawn(running.page("lifecycle=value&lang=en"), tmp_path)
    counts = httpx.get(f"{running.address}/status.json?lifecycle=value", headers=running.key).json()["shown"]["stages"]
    stages = html.partition('id="stages"')[2].partition("</ol>")[0]
    for stage in counts:
        assert f"<b>{stage['name']}</b><span>{stage['profiles']}</span>" in stages
    assert html.count("<path class=") == len(counts)
    assert 'aria-selected="true"' in html
    assert '<span id="state">Not ticking</span>' in html
    assert html.partition('id="history"')[2].partition("</table>")[0].count("<tr>") > 10


@needs_chromium
@pytest.mark.parametrize("locale", ["ru", "zh", "pl"])
def test_the_page_speaks_the_language_asked_for(running: Serving, tmp_path: Path, locale: str) -> None:
    html = drawn(running.page(f"lifecycle=value&lang={locale}"), tmp_path)
    words = status_texts(locale)
    status = httpx.get(f"{running.address}/status.json?lifecycle=value&lang={locale}", headers=running.key).json()
    for text in (
        *(stage["name"] for stage in status["shown"]["stages"]),
        words["stages"],
        words["over_time"],
        words["latest"],
    ):
        assert text in html
    assert f'<html lang="{locale}">' in html


@needs_chromium
def test_a_workspace_without_data_says_what_to_do(empty: Serving, tmp_path: Path) -> None:
    html = drawn(empty.page("lang=en"), tmp_path)
    assert re.search(r'id="empty">', html)
    assert re.search(r'id="board" hidden', html)
    assert f"curl {empty.address}/v1/track" in html
    assert "&lt;b&gt;Nobody &amp; co&lt;/b&gt;" in html
    assert "<b>Nobody" not in html


def test_every_word_is_there_in_every_language() -> None:
    words = status_texts("en")
    html = "".join(path.read_text(encoding="utf-8") for path in PAGES.glob("*.html"))
    script = (PAGES / "status.js").read_text(encoding="utf-8")
    used = set(re.findall(r"\{\{(\w+)\}\}", html)) - {
        "languages",
        "locale",
        "words",
        "workspace",
        "target",
        "hidden",
        "wrong",
    }
    used |= set(re.findall(r"words\.(\w+)", script)) | set(re.findall(r'said\("(\w+)"', script))
    used |= set(re.findall(r'pill\("(\w+)"', script))
    assert used <= words.keys()
    for locale in languages():
        said = status_texts(locale)
        assert said.keys() == words.keys()
        assert all(said[key].count("{0}") == words[key].count("{0}") for key in words)
        assert all(said.values())


@pytest.mark.parametrize(
    ("asked", "accepted", "expected"),
    [
        ("ru", "en", "ru"),
        ("", "pl-PL,pl;q=0.9,en;q=0.8", "pl"),
        ("", "de,it;q=0.4,zh;q=0.6", "zh"),
        ("xx", "", "en"),
        ("", "*;q=x,,;q=", "en"),
    ],
)
def test_the_language_is_the_one_asked_for_or_understood(asked: str, accepted: str, expected: str) -> None:
    assert choose_locale(asked, "", accepted) == expected


def test_the_page_and_the_api_show_the_same_figures(running: Serving) -> None:
    shown = httpx.get(f"{running.address}/status.json?lifecycle=value&lang=it", headers=running.key).json()
    with running.api() as api:
        assert api.get("/overview", params={"lifecycle": "value", "locale": "it"}).json() == shown


def test_what_is_not_there_is_said_so(running: Serving) -> None:
    assert httpx.get(f"{running.address}/page/../status.py").status_code == 404
    assert httpx.get(f"{running.address}/status.json?lifecycle=nowhere", headers=running.key).status_code == 404
