"""A language is one PO file: from a folder of the workspace it is everywhere that texts are for people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest
from litestar import Litestar, get
from litestar.params import QueryParameter
from litestar.testing import TestClient

from keepers.app.access.page_access import PageAccess
from keepers.app.workspace.clock import clock
from keepers.app.workspace.sending import Company
from keepers.app.workspace.workspace import Workspace
from keepers.conditions.parsing.conditions import parse_condition
from keepers.conditions.wording import describe
from keepers.http.common.parameters import known_parameters_guard
from keepers.http.common.problems import exception_handlers
from keepers.http.public.links.pages import broken, draw
from keepers.http.status_page import status_handlers
from keepers.i18n import catalogues
from keepers.i18n.catalogues import FILE, add_folder, gettext, languages, ngettext, plural_id, remove_folder, text_id
from keepers.i18n.page_texts import choose_locale
from keepers.i18n.reasons import reason_text
from keepers.i18n.timeline import line
from keepers.journeys.steps.registry import STEPS
from keepers.model.errors import UserError
from keepers.playbook.check import check
from keepers.playbook.load import load
from keepers.playbook.shipped.journeys import install_journeys, starters
from workspaces import lay_out, opened

HEAD = """msgid ""
msgstr ""
"Language: de\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\\n"
"""
GERMAN = (
    HEAD
    + """
msgctxt "status page"
msgid "Stages"
msgstr "Phasen"

msgctxt "public page"
msgid "This link does not work"
msgstr "Dieser Link funktioniert nicht"

msgctxt "operator"
msgid "is {0}"
msgstr "ist {0}"

msgctxt "condition"
msgid "at least {number} time"
msgid_plural "at least {number} times"
msgstr[0] "mindestens {number} Mal"
msgstr[1] "mindestens {number} Male"

msgctxt "reason"
msgid "the limit of messages is reached ({0})"
msgstr "die Höchstzahl an Nachrichten ist erreicht ({0})"

msgctxt "timeline"
msgid "{number} time so far"
msgid_plural "{number} times so far"
msgstr[0] "bisher {number} Mal"
msgstr[1] "bisher {number} Male"

msgctxt "step"
msgid "Set traits of the customer"
msgstr "Merkmale des Kunden setzen"

msgctxt "starter winback_hello.subject"
msgid "It has been a while"
msgstr "Lange nicht gesehen: „hallo“"

msgctxt "starter win-back.name"
msgid "Win-back"
msgstr "Rückgewinnung"

msgctxt "starter signoff.content"
msgid "Warmly,<br><strong>{{ company.name }}</strong>"
msgstr "Herzlich,<br><strong>{{ company.name }}</strong>"

msgctxt "starter footer.content"
msgid "You are getting this e-mail as a customer or subscriber of {{ company.name }}."
msgstr "Sie erhalten diesen Brief von {{ company.name }}."

msgctxt "starter footer.content"
msgid ""
"<a href=\\"{{ links.preferences }}\\">Choose what we send</a> &nbsp;·&nbsp; "
"<a href=\\"{{ links.unsubscribe }}\\">Unsubscribe</a>"
msgstr ""
"<a href=\\"{{ links.preferences }}\\">Themen wählen</a> &nbsp;·&nbsp; "
"<a href=\\"{{ links.unsubscribe }}\\">Abmelden</a>"

msgctxt "starter footer.content"
msgid "{{ company.name }}{% if company.address %}, {{ company.address }}{% endif %}"
msgstr "{{ company.name }}{% if company.address %}, {{ company.address }}{% endif %}"

#, fuzzy
msgctxt "reason"
msgid "the customer has unsubscribed"
msgstr "der Kunde hat sich angemeldet"
"""
)


def written(folder: Path, text: str, language: str = "de") -> Path:
    path = folder / language / FILE
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def german(tmp_path: Path) -> Iterator[Path]:
    folder = written(tmp_path / "locale", GERMAN)
    add_folder(folder)
    yield folder
    remove_folder(folder)


@pytest.mark.usefixtures("german")
def test_it_is_offered_and_spoken() -> None:
    assert languages() == ("en", "de", "it", "pl", "ru", "zh")
    assert choose_locale("de-AT", "", "") == "de"
    assert choose_locale("", "", "fr, de;q=0.5, pl;q=0.4") == "de"


@pytest.mark.usefixtures("german")
def test_the_status_page_is_in_it(tmp_path: Path, migrated_folder: Path) -> None:
    with opened(lay_out(tmp_path / "shop", migrated_folder)) as workspace:
        token = workspace.part(PageAccess).make_link(clock())
        with TestClient(Litestar(status_handlers(workspace))) as client:
            client.get("/login", params={"token": token})
            html = client.get("/?lang=de").text
    assert '<html lang="de">' in html
    assert ">Phasen</h2>" in html
    assert '<a href="?lang=de" lang="de" hreflang="de" aria-current="true">Deutsch</a>' in html
    assert ">Latest moves</h2>" in html, "what is not translated is English"


@pytest.mark.usefixtures("german")
def test_public_pages_are_in_it() -> None:
    company = Company(name="Laden")
    page = draw(broken("de", company), "de", company).content.decode()
    assert "<h1>Dieser Link funktioniert nicht</h1>" in page
    assert '<a href="?lang=de" lang="de" hreflang="de" aria-current="true">Deutsch</a>' in page


@pytest.mark.usefixtures("german")
def test_sentences_are_in_it() -> None:
    assert describe(parse_condition({"trait": "plan", "eq": "pro"}), "de") == "plan ist “pro”"
    assert describe(parse_condition({"did": "Kauf", "count": {"gte": 1}}), "de") == "did Kauf, mindestens 1 Mal"
    assert describe(parse_condition({"did": "Kauf", "count": {"gte": 3}}), "de-CH") == "did Kauf, mindestens 3 Male"
    assert reason_text("cap.email.1d", "de") == "die Höchstzahl an Nachrichten ist erreicht (email.1d)"
    assert line("times", "de", number=4) == "bisher 4 Male"
    assert gettext(STEPS["update"].summary, "de") == "Merkmale des Kunden setzen"


@pytest.mark.usefixtures("german")
def test_the_api_takes_it_and_refuses_what_nobody_wrote() -> None:
    @get("/said", sync_to_thread=False)
    def handler(locale: Annotated[str, QueryParameter(name="locale")] = "en") -> str:
        return reason_text("cap.email.1d", locale)

    app = Litestar([handler], guards=[known_parameters_guard], exception_handlers=exception_handlers())
    with TestClient(app) as client:
        assert client.get("/said?locale=de").text == "die Höchstzahl an Nachrichten ist erreicht (email.1d)"
        refused = client.get("/said?locale=fr")
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid")
    assert refused.json()["detail"] == "There are no texts in “fr”; use en, de, it, pl, ru, zh."


@pytest.mark.usefixtures("german")
def test_starter_journeys_are_written_in_it(tmp_path: Path) -> None:
    install_journeys(tmp_path / "playbook", ["win-back"])
    playbook = load(tmp_path / "playbook")
    name = playbook.journeys["win-back"].name
    assert isinstance(name, dict)
    assert (name["de"], name["it"]) == ("Rückgewinnung", "Riconquista")
    assert starters()["win-back"].name == name
    signoff, footer = (playbook.snippets[one].content for one in ("signoff", "footer"))
    assert signoff["de"] == "Herzlich,<br><strong>{{ company.name }}</strong>"
    assert footer["de"] == footer["en"].replace(
        "You are getting this e-mail as a customer or subscriber of", "Sie erhalten diesen Brief von"
    ).replace("Choose what we send", "Themen wählen").replace("Unsubscribe", "Abmelden")
    hello = playbook.messages["winback_hello"].content
    assert list(hello) == ["en", "it", "pl", "ru", "zh"], "a message that is translated in part is left to English"
    assert [finding for finding in check(playbook) if finding.level == "error"] == []


@pytest.mark.usefixtures("german")
def test_a_fuzzy_translation_is_left_out() -> None:
    assert reason_text("unsubscribed", "de") == "the customer has unsubscribed"


def test_a_workspace_brings_its_own_languages_and_its_own_wording(tmp_path: Path) -> None:
    (tmp_path / "keepers.toml").write_text('[workspace]\nname = "Laden"\n', encoding="utf-8")
    written(tmp_path / "locale", GERMAN)
    written(tmp_path / "locale", HEAD + '\nmsgctxt "reason"\nmsgid "reached the goal"\nmsgstr "gol!"\n', "pl")
    assert "de" not in languages()
    Workspace.open(tmp_path)
    try:
        assert "de" in languages()
        assert reason_text("goal", "pl") == "gol!"
        assert reason_text("merged", "pl") != reason_text("merged", "en")
    finally:
        remove_folder(tmp_path / "locale")
    assert "de" not in languages()
    assert reason_text("goal", "pl") == "cel osiągnięty"


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (
            'msgctxt "reason"\nmsgid "the limit of messages is reached ({0})"\nmsgstr "erreicht ({limit})"\n',
            "placeholder",
        ),
        ('msgctxt "x"\nmsgid "{number} a"\nmsgid_plural "{number} b"\nmsgstr[0] "{number} c"\n', "2 plural forms"),
        ('msgctxt "x"\nmsgid "a"\nmsgstr "{"\n', "cannot be read"),
        ('msgctxt "starter x.body"\nmsgid "For {{ customer.first_name }}"\nmsgstr "{{ x.y }}"\n', "placeholder"),
        ('msgctxt "starter x.body"\nmsgid "For {{ x }}"\nmsgstr "{{ x"\n', "cannot be read"),
        ("msgid \n", "cannot be read"),
    ],
)
def test_a_catalogue_that_cannot_be_used_is_refused_by_name(tmp_path: Path, entry: str, says: str) -> None:
    folder = written(tmp_path / "locale", f"{HEAD}\n{entry}")
    with pytest.raises(UserError, match=says) as caught:
        add_folder(folder)
    assert str(folder / "de" / FILE) in caught.value.message
    assert folder not in catalogues.folders()


def test_a_language_nobody_wrote_reads_english() -> None:
    text = text_id("reason", "reached the goal")
    assert gettext(text, "tlh") == gettext(text) == "reached the goal"
    counted = plural_id("test", "{number} day", "{number} days")
    assert [ngettext(counted, n, "ru").format(number=n) for n in (1, 2)] == ["1 day", "2 days"]
