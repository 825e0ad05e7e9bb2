"""The starter journeys: they parse, check clean, and every message can be sent in five languages as it stands."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from keepers.conditions.parsing.definitions import parse_segment
from keepers.contact.rules import parse_contact
from keepers.journeys.definition import Journey
from keepers.journeys.graph import check
from keepers.journeys.parse import parse_journey
from keepers.journeys.steps.actions.message import Message
from keepers.model.consent import Topic, parse_topic
from keepers.model.coupons import parse_coupon_pool
from keepers.model.message import Content
from keepers.playbook.check import check as check_playbook
from keepers.playbook.load import load
from keepers.playbook.references import references
from keepers.playbook.shipped import lifecycles
from keepers.playbook.shipped.journeys import STARTERS, starter_files
from keepers.playbook.yaml_nodes import read_document
from keepers.render.check import check_message
from keepers.render.definition import MessageTemplate, Snippet, parse_message, parse_snippet
from keepers.render.renderer import Renderer
from keepers.scores.rhythm import NAMES as RHYTHM_TRAITS

FILES = starter_files()
"""the files as `init` writes them, by name"""
JOURNEYS = [
    *("browse-abandonment", "cart-abandonment", "lead-nurturing", "loyalty-thanks", "order-confirmed"),
    *("order-delivered", "order-shipped", "referral-invitation", "replenishment", "review-request"),
    *("second-purchase", "sunset", "trial-ending", "upsell", "welcome", "win-back"),
]
LOCALES = ("en", "it", "pl", "ru", "zh")
"""what the content is written in, in that order"""
OF_THE_DEMO = ("welcome", "second-purchase", "win-back")
ONLY_ANSWERS = {"winback_why"}
"""messages whose links are the answers to a question: they have no button"""
ARRIVES_BY_ITSELF = {"Email Link Clicked", "Email Sent"}
SENT_BY_FORMS = {"confirm_subscription"}
"""messages no journey sends: the subscribe form does"""
NO_WORD_FOR = {"Order Shipped", "Content Downloaded"}
"""events with one name in practice, or of little use elsewhere: no word of the vocabulary is made of them"""
HOSTS = ("shop.example", "i.example", "k.example")
COMPANY = {"name": "Ada & Co", "address": "1 Mill Lane, Leeds", "url": "https://shop.example"}
PRODUCTS = [
    {
        "name": "Shirt <S>",
        "price": 59,
        "quantity": 1,
        "url": "https://shop.example/1",
        "image_url": "https://i.example/1",
    },
    {"name": "Socks", "price": "11.50", "quantity": 2},
]
EVERYTHING: dict[str, Any] = {
    "customer": {
        "id": 7,
        "first_name": "Ana <b>",
        "referral_code": "ANA7",
        "referral_url": "https://shop.example/r/7",
        "trial_ends_at": "2026-12-01",
        "plans_url": "https://shop.example/plans",
    },
    "trigger": {
        "event": "Order Completed",
        "order_id": "10482",
        "total": 82,
        "currency": "EUR",
        "products": PRODUCTS,
        "expected_at": "2026-11-26",
        "carrier": "DHL",
        "tracking_number": "JD014",
        "topic": "Club X",
        "url": "https://shop.example/confirm",
        **{f"{name}_url": f"https://shop.example/{name}" for name in ("order", "tracking", "review", "cart")},
    },
    "offer": {"code": "GIFT-7Q4K"},
}
NOTHING: dict[str, Any] = {"customer": {"id": 7}, "trigger": {}, "offer": {}}


class Links:
    """Stands for the signed links of one message."""

    unsubscribe = "https://k.example/unsubscribe"
    preferences = "https://k.example/preferences"
    view = "https://k.example/view"
    open_pixel = ""

    def click(self, url: str) -> str:
        return url


class Page(HTMLParser):
    """Words a reader sees, links, and how often a button stands in the page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.buttons = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.buttons += "button" in (attributes.get("class") or "").split()
        if tag == "a":
            self.links.append(attributes.get("href") or "")


def _entries(section: str) -> Iterator[tuple[str, Any]]:
    for name, text in FILES.items():
        for entry in read_document(text.encode(), name).data.get(section) or ():
            yield name.removesuffix(".yaml"), entry


@cache
def messages() -> Mapping[str, MessageTemplate]:
    return {m.id: m for m in (parse_message(entry, None, where) for where, entry in _entries("messages"))}


@cache
def snippets() -> Mapping[str, Snippet]:
    return {s.id: s for s in (parse_snippet(entry, None, where) for where, entry in _entries("snippets"))}


@cache
def topics() -> Mapping[str, Topic]:
    return {t.id: t for t in (parse_topic(entry, None, where) for where, entry in _entries("topics"))}


@cache
def journeys() -> Mapping[str, Journey]:
    return {j.id: j for j in (parse_journey(entry, None, where) for where, entry in _entries("journeys"))}


@cache
def renderer() -> Renderer:
    return Renderer(messages(), snippets(), shared={"company": COMPANY}, link_hosts=HOSTS, clock=lambda: 0.0)


@cache
def rendered(message: str, locale: str, has_data: bool) -> Content:
    return renderer().render(message, EVERYTHING if has_data else NOTHING, [locale], Links())


def all_rendered() -> Iterator[tuple[str, str, Content]]:
    for message in messages():
        for locale in LOCALES:
            for has_data in (True, False):
                yield message, locale, rendered(message, locale, has_data)


def _steps(journey: Journey) -> list[Message]:
    return [step for step in journey.steps.values() if isinstance(step, Message)]


@pytest.mark.parametrize("locale", LOCALES)
def test_the_second_yes_is_asked_for_without_counting_clicks(locale: str) -> None:
    tracked: list[str] = []

    class Counting(Links):
        def click(self, url: str) -> str:
            tracked.append(url)
            return url

    url = EVERYTHING["trigger"]["url"]
    assert url in renderer().render("confirm_subscription", EVERYTHING, [locale], Counting()).html
    assert url not in tracked


def test_every_journey_is_there_once() -> None:
    ids = [entry["id"] for _, entry in _entries("journeys")]
    assert sorted(ids) == JOURNEYS
    for section in ("messages", "snippets", "topics", "segments", "coupons"):
        named = [entry["id"] for _, entry in _entries(section)]
        assert len(named) == len(set(named)), section


@pytest.mark.parametrize("name", JOURNEYS)
def test_a_journey_checks_clean_and_knows_its_messages(name: str) -> None:
    pools = {parse_coupon_pool(entry).id for _, entry in _entries("coupons")}
    assert check(journeys()[name], messages(), journeys(), pools) == []


def test_all_together_and_the_vocabulary_check_clean(tmp_path: Path) -> None:
    shutil.copy(lifecycles.FOLDER / lifecycles.VOCABULARY, tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    playbook = load(tmp_path)
    assert check_playbook(playbook) == []
    assert sorted(playbook.journeys) == JOURNEYS


def test_every_message_is_sent_by_a_journey_of_its_own_file() -> None:
    for name, text in FILES.items():
        data = read_document(text.encode(), name).data
        sent = {s.message for entry in data.get("journeys", ()) for s in _steps(journeys()[entry["id"]])}
        assert sent == {entry["id"] for entry in data.get("messages", ())} - SENT_BY_FORMS, name


def test_a_message_goes_by_its_journeys_priority_and_its_topics_layout() -> None:
    for journey in journeys().values():
        for step in _steps(journey):
            message = messages()[step.message]
            is_transactional = topics()[message.topic].kind == "transactional"
            assert message.priority == journey.priority, message.id
            assert (message.priority == "service") == is_transactional, message.id
            assert message.layout == ("service" if is_transactional else "letter"), message.id


def test_no_code_in_the_first_letter_and_a_way_on_without_one() -> None:
    for journey in journeys().values():
        steps = _steps(journey)
        assert steps[0].coupon is None, journey.id
        for step in steps:
            if step.coupon:
                following = journey.steps[journey.routes[step.id]["otherwise"] or ""]
                assert isinstance(following, Message), journey.id
                assert (following.message, following.coupon) == (step.message, None)


def _conditions(name: str) -> Iterator[Any]:
    entry = next(e for _, e in _entries("journeys") if e["id"] == name)
    yield entry.get("if")
    yield (entry.get("goal") or {}).get("when")
    yield from (leaving["when"] for leaving in entry.get("exits") or ())
    for step in journeys()[name].steps.values():
        yield from (written for _, written, _ in step.conditions())


def _names_used(name: str, role: str) -> set[str]:
    found = {r.name for c in _conditions(name) for r in references(c, "person", "") if r.role == role}
    entry = next(e for _, e in _entries("journeys") if e["id"] == name)
    found |= {way[role] for way in entry["enter"] if role in way}
    return found


@pytest.mark.parametrize("name", JOURNEYS)
def test_a_journey_asks_about_words_and_segments_that_ship(name: str) -> None:
    vocabulary = lifecycles.shipped()
    own = {entry["id"] for _, entry in _entries("segments")}
    assert _names_used(name, "segment") <= set(vocabulary.segments) | own
    assert not _names_used(name, "stage"), "whichever lifecycle a workspace has chosen"
    sources = [s for word in vocabulary.events.values() for s in word.sources]
    words = (
        {s.event for s in sources} | {e for s in sources if s.unless for e in s.unless.events} | set(vocabulary.events)
    )
    assert _names_used(name, "event") <= words | ARRIVES_BY_ITSELF | NO_WORD_FOR


def test_the_journeys_of_the_demo_work_with_purchases_alone() -> None:
    for name in OF_THE_DEMO:
        assert _names_used(name, "segment") <= {"active", "slipping", "lost"}
        assert _names_used(name, "event") <= {"purchase", "complaint", "Signed Up", "Email Link Clicked"}
        assert _names_used(name, "trait") <= {*RHYTHM_TRAITS}
        assert any("segment" in way for _, e in _entries("journeys") if e["id"] == name for way in e["enter"])


def test_own_segments_read_and_ask_about_what_ships() -> None:
    vocabulary = lifecycles.shipped()
    for where, entry in _entries("segments"):
        assert parse_segment(entry, None, where).id not in vocabulary.segments
        for reference in references(entry["who"], "person", "who"):
            known: dict[str, set[str]] = {
                "event": {*vocabulary.events, *ARRIVES_BY_ITSELF},
                "segment": {*vocabulary.segments},
                "trait": {*RHYTHM_TRAITS},
            }
            assert reference.name in known[reference.role], where


def test_the_contact_rules_written_out_are_the_defaults() -> None:
    written = read_document(FILES["contact.yaml"].encode(), "contact.yaml").data["contact"]
    assert parse_contact(written) == parse_contact({})


def test_starter_journeys_are_no_part_of_the_lifecycle_templates() -> None:
    assert not any("journeys/" in file for file, _ in lifecycles.shipped().sources.values())


def test_both_layouts_are_the_same_but_for_the_footer() -> None:
    marketing, service = snippets()["letter"].content, snippets()["service"].content
    assert isinstance(marketing, str)
    assert marketing.replace("{% render 'footer' %}", "{% render 'service-footer' %}") == service


def test_snippets_are_written_in_all_languages() -> None:
    for snippet in snippets().values():
        assert isinstance(snippet.content, str) or tuple(snippet.content) == LOCALES, snippet.id


@pytest.mark.parametrize("message", list(messages()))
def test_a_message_is_written_in_five_languages_and_checks_clean(message: str) -> None:
    found = messages()[message]
    assert tuple(found.content) == LOCALES
    assert check_message(found, snippets(), topics=topics()) == []


def test_subjects_fit_a_telephone_and_preheaders_say_something_else() -> None:
    for message, locale, content in all_rendered():
        assert 2 < len(content.subject) <= 50, (message, locale, content.subject)
        assert not content.subject.endswith(("!", ".", "。")), (message, locale)
        preheader = messages()[message].content[locale].preheader
        assert preheader not in ("", content.subject), (message, locale)
        assert len(re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "", preheader)) <= 130, (message, locale)


def test_letters_are_complete_with_and_without_data() -> None:
    for message, locale, content in all_rendered():
        where = f"{message} {locale}"
        for text in (content.subject, content.html, content.text):
            assert not re.search(r"\{\{|\{%|None", text), where
        assert f'lang="{locale}"' in content.html, where
        assert len(content.html) < 60_000, where
        assert not re.search("<b>|Shirt <S>", content.html), where
        shown = content.text.replace("Ana <b>", "Ana")
        assert not re.search(r"\s[,.!?，。！]| {2}\S|\(\)|\(https?://\S* \S*\)|^,", shown), where


def test_a_letter_has_one_button_and_a_way_out_where_it_is_marketing() -> None:
    for message, locale, content in all_rendered():
        page = Page(content.html)
        assert page.buttons == (0 if message in ONLY_ANSWERS else 1), (message, locale)
        assert all(link.startswith("https://") for link in page.links), (message, locale, page.links)
        for text in (content.html, content.text):
            for link in (Links.unsubscribe, Links.preferences):
                assert (link in text) == (messages()[message].layout == "letter"), (message, locale)
        assert COMPANY["address"] in content.text


def test_codes_stand_beside_the_note_on_prices() -> None:
    remark = {
        "en": "last 30 days",
        "ru": "последние 30 дней",
        "pl": "ostatnich 30 dni",
        "zh": "近 30 天",
        "it": "ultimi 30 giorni",
    }
    with_code = {s.message for j in journeys().values() for s in _steps(j) if s.coupon}
    assert with_code
    for message in messages():
        for locale in LOCALES:
            has_code = "GIFT-7Q4K" in rendered(message, locale, True).text
            assert has_code == (message in with_code), (message, locale)
            assert (remark[locale] in rendered(message, locale, True).text) == has_code, (message, locale)
            assert remark[locale] not in rendered(message, locale, False).text, (message, locale)


def _words(content: Content) -> str:
    text = re.sub(
        r"\(?https?://\S+\)?|GIFT-7Q4K|Ada & Co|Ana <b>|ANA7|DHL|JD014|Club X|Shirt <S>|Socks|1 Mill Lane, Leeds",
        "",
        content.text,
    )
    return content.subject + "\n" + re.sub(r"€|EUR|×", "", text)


def test_every_letter_speaks_its_own_language() -> None:
    for message, locale, content in all_rendered():
        words, where = _words(content), f"{message} {locale}"
        assert bool(re.search("[а-яё]", words)) == (locale == "ru"), where
        assert bool(re.search("[\u4e00-\u9fff]", words)) == (locale == "zh"), where
        if locale in ("ru", "zh"):
            assert not re.search("[A-Za-z]", words), where
    for message in messages():
        assert len({rendered(message, locale, False).subject for locale in LOCALES}) == len(LOCALES), message


GENDERED = {
    "pl": r"\b\w+(łeś|łaś|łbyś|łabyś)\b|Drog[ia] Klien",
    "ru": r"\b[Вв]ы\s+(\w+\s+)?\w+(л|ла)(сь|ся)?\b|Уважаем",
    "it": r"\b(sei|eri) (stat|andat|tornat|arrivat|rimast)[oa]\b|[Bb]envenut[oa]\b|[oa]/[oa]\b|Gentile|Car[oa] ",
    "en": r"Dear |Hi there|Hi,|Hello,\n.*\n\Z",
    "zh": r"尊敬的|亲爱的",
}
HURRY = re.compile(
    r"last chance|hurry up|don.t miss|only today|act now|final hours|успей|только сегодня|последний шанс"
    r"|ostatnia szansa|tylko dziś|pospiesz|最后机会|仅限今日|赶快|ultima occasione|solo oggi|affrettati",
    re.IGNORECASE,
)


def test_nobody_is_given_a_gender_a_wrong_case_or_a_hurry() -> None:
    for message, locale, content in all_rendered():
        words = content.subject + "\n" + content.text
        assert not re.search(GENDERED[locale], words), (message, locale, re.search(GENDERED[locale], words))
        assert not HURRY.search(words), (message, locale)
        assert ("Ana <b>" in words) == (locale != "pl" and "Ana &lt;b&gt;" in content.html), (message, locale)
        assert words.count("!") + words.count("！") <= 3, (message, locale)


@pytest.mark.parametrize("name", FILES)
def test_no_file_is_longer_than_a_person_reads(name: str) -> None:
    assert len(FILES[name].splitlines()) <= 500


@pytest.mark.parametrize("name", FILES)
def test_a_shipped_file_holds_english_alone_and_is_a_playbook_by_itself(name: str) -> None:
    shipped = (STARTERS / name).read_text(encoding="utf-8")
    assert not re.search("[\u0400-\u04ff\u4e00-\u9fffąęłśżźćńàèìòùé]", shipped.replace("MSung", ""))
    assert _in_english(read_document(FILES[name].encode(), name).data) == read_document(shipped.encode(), name).data


def _in_english(value: Any) -> Any:
    """Plain data with the English of every text in several languages, written as the shipped files write it."""
    match value:
        case {"en": str(english), "ru": str()}:
            return english
        case {"content": {"en": english, "ru": _}}:
            return {k: {"en": english} if k == "content" else _in_english(v) for k, v in value.items()}
        case dict():
            return {k: _in_english(v) for k, v in value.items()}
        case list():
            return [_in_english(one) for one in value]
        case _:
            return value


def test_what_people_read_in_lists_is_there_in_five_languages() -> None:
    for section in ("journeys", "messages", "topics", "segments", "coupons"):
        for where, entry in _entries(section):
            for field in ("name", "description"):
                if field in entry or field == "name":
                    assert tuple(entry[field]) == LOCALES, (where, entry["id"], field)
                    assert len(set(entry[field].values())) >= 4, (where, entry["id"], field)
