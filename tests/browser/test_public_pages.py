"""The pages customers see, in a real browser with its rules: headless Chromium, driven by its command line."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from keepers.app.public.unsubscribing import REASONS
from keepers.i18n.catalogues import gettext, languages
from keepers.i18n.page_texts import TEXTS, choose_locale, join_names, page_text
from keepers.model.consent import Consent
from keepers.model.message import Content
from keepers.store.database import Store
from keepers.store.profiles import consents
from public_shop import BEGAN, Shop, app_of, opened

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or ""
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed (apt-get install chromium)")
PACKAGE = Path(__file__).resolve().parents[2] / "src" / "keepers" / "http" / "public" / "links"


class Served:
    """A shop that is served, with one customer who reads Polish and got a message."""

    def __init__(self, shop: Shop, address: str) -> None:
        self.links = shop.sending.links
        self.address = address
        self.anna = shop.add_customer("anna", email="anna@example.com", phone="+48123456789", locale="pl")
        html = "<html><body><h1>Hello</h1><script>document.body.innerHTML = 'taken over'</script></body></html>"
        self.preferences = shop.preferences(self.anna)
        self.key = shop.add_message(self.anna, "anna@example.com", Content(subject="Hi", html=html), locale="pl")
        with shop.store.begin() as connection:
            wish = Consent(self.anna, "email", "newsletter", "subscribed", BEGAN, "form", holds_for="person")
            consents.record(connection, [wish], BEGAN)


@pytest.fixture
def served(sqlite_store: Store, tmp_path: Path) -> Iterator[Served]:
    listening = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{listening.getsockname()[1]}"
    with opened(sqlite_store, tmp_path / "shop", address) as shop:
        server = uvicorn.Server(uvicorn.Config(app_of(shop, shop.clock), log_level="warning"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield Served(shop, address)
        server.should_exit = True
        thread.join(20)


def seen(address: str, profile: Path, *options: str) -> tuple[str, str]:
    """The document as the browser has it, and what its console says."""
    done = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", f"--user-data-dir={profile}", "--enable-logging=stderr", *options,
            "--virtual-time-budget=3000", "--dump-dom", address,
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )  # fmt: skip
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


@needs_chromium
@pytest.mark.parametrize("locale", languages())
def test_pages_are_drawn_under_their_own_policy(served: Served, tmp_path: Path, locale: str) -> None:
    html, console = seen(f"{served.preferences}?lang={locale}", tmp_path / "a")
    assert console == ""
    assert f'<html lang="{locale}">' in html
    for key in ("preferences_title", "save", "none_button", "language_title", "always_title"):
        assert f">{page_text(key, locale)}<" in html
    html, console = seen(f"{served.links.unsubscribe(served.key)}?lang={locale}", tmp_path / "b")
    assert console == ""
    assert f">{page_text('unsubscribe_button', locale)}<" in html


@needs_chromium
def test_a_messages_script_does_not_run_in_its_copy(served: Served, tmp_path: Path) -> None:
    html, console = seen(served.links.view(served.key), tmp_path)
    assert "<h1>Hello</h1>" in html
    assert "Blocked script execution" in console


@needs_chromium
def test_a_browser_posts_the_form_and_is_shown_what_was_saved(served: Served, tmp_path: Path) -> None:
    where = served.preferences
    fields = [("shown", "email:newsletter"), ("shown", "email:offers"), ("on", "email:offers"), ("action", "save")]
    inputs = "".join(f'<input name="{name}" value="{value}">' for name, value in fields)
    page = tmp_path / "post.html"
    page.write_text(f'<form method="post" action="{where}">{inputs}</form><script>document.forms[0].submit()</script>')
    html, _ = seen(page.as_uri(), tmp_path / "profile")
    assert "Zapisano." in html
    assert re.search(r'value="email:offers" checked', html)
    assert not re.search(r'value="email:newsletter" checked', html)


def test_pages_are_small_and_ask_for_nothing_else(served: Served) -> None:
    for url in (served.preferences, served.links.unsubscribe(served.key), f"{served.address}/e/u/x"):
        page = httpx.get(url)
        assert len(page.content) < 16_000
        assert not re.search(r"<(script|img|iframe|object|video)|@import|url\(", page.text)


def test_forms_can_be_used_by_keyboard_and_by_screen_readers(served: Served) -> None:
    for url in (served.preferences, served.links.unsubscribe(served.key)):
        html = httpx.get(url).text
        controls = re.findall(r"<(?:input|select)[^>]*>", html)
        shown = [control for control in controls if 'type="hidden"' not in control]
        assert shown
        labelled = set(re.findall(r'<label[^>]* for="(\w+)"', html))
        for control in shown:
            named = re.search(r' id="(\w+)"', control)
            wrapped = re.search(r"<label[^>]*>" + re.escape(control), html)
            assert wrapped or (named and named[1] in labelled), control
        assert "tabindex" not in html
        assert html.count("<h1>") == 1
        assert html.count("<main>") == 1
    style = (PACKAGE / "templates" / "public.css").read_text(encoding="utf-8")
    assert ":focus-visible" in style
    assert "prefers-color-scheme: dark" in style
    assert "outline: 0" not in style


def test_every_word_is_there_in_every_language() -> None:
    words = TEXTS
    code = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.glob("*.py"))
    templates = "\n".join(path.read_text(encoding="utf-8") for path in (PACKAGE / "templates").glob("*.html"))
    used = set(re.findall(r'"(\w+)" \| said', templates)) | set(re.findall(r'page_text\("(\w+)"', code))
    used |= set(re.findall(r'(?:notice|Page)\((?:"\w+", )?"(\w+_title)"', code)) | {f"reason_{r}" for r in REASONS}
    assert used <= words.keys()
    assert words.keys() - used <= {key for key in words if key.startswith("channel_")}
    for key, text in words.items():
        texts = {locale: gettext(text, locale) for locale in languages()}
        assert len({json.dumps(sorted(re.findall(r"\{\d\}", one))) for one in texts.values()}) == 1, key
        assert all(one == one.strip() and one for one in texts.values()), key
        for locale in ("en", "pl", "it"):
            assert not re.search(r"[Ѐ-ӿ一-鿿]", texts[locale]), (key, locale)
        assert not re.search(r"[A-Za-z]", texts["ru"].replace("SMS", "")), key
        assert not re.search(r"[A-Za-z]", texts["zh"]), key


@pytest.mark.parametrize(
    ("asked", "own", "accepted", "expected"),
    [
        ("ru", "pl", "it", "ru"),
        ("", "pl_PL", "it", "pl"),
        ("xx", "zh-Hans-CN", "", "zh"),
        ("", "de", "fr, it;q=0.4, ru;q=0.6", "ru"),
        ("", "", "en;q=0, it;q=0.1", "it"),
        ("", "", ";;,,q=;" * 1000, "en"),
    ],
)
def test_the_language_is_chosen(asked: str, own: str, accepted: str, expected: str) -> None:
    assert choose_locale(asked, own, accepted) == expected


def test_lists_read_as_the_language_has_it() -> None:
    assert join_names(["短信", "电子邮件"], "zh") == "短信、电子邮件"
    assert join_names(["SMS", "E-mail"], "pl") == "SMS, E-mail"
