"""Errors of templates, definitions and the store, as texts in each language."""

from __future__ import annotations

import pytest

from keepers.i18n.problems import error_text
from keepers.journeys.broadcast import parse_broadcast
from keepers.model.errors import DefinitionError, NotFoundError
from keepers.render.definition import parse_message
from keepers.render.errors import RenderError
from keepers.render.renderer import Renderer
from keepers.store.database import Store
from keepers.store.profiles import profiles


def renderer(body: str) -> Renderer:
    content = {"en": {"subject": "x", "body": body}}
    message = parse_message({"id": "hello", "channel": "email", "topic": "t", "content": content})
    return Renderer({"hello": message}, {}, link_hosts=())


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("en", "message “hello”, en, body, line 2: {{ is not closed by }}"),
        ("it", "messaggio “hello”, en, body, riga 2: {{ non è chiuso da }}"),
        ("pl", "wiadomość „hello”, en, body, wiersz 2: {{ nie jest zamknięte przez }}"),
        ("ru", "сообщение «hello», en, body, строка 2: {{ не закрыто }}"),
        ("zh", "消息“hello”，en，body，第 2 行：{{ 没有用 }} 结束"),
    ],
)
def test_the_error_of_a_template_names_its_place(locale: str, text: str) -> None:
    with pytest.raises(RenderError) as caught:
        renderer("a\n{{ b").render("hello", {}, ["en"], None)
    assert error_text(caught.value, locale) == text


def test_a_limit_met_while_rendering_has_a_text() -> None:
    with pytest.raises(RenderError) as caught:
        renderer("{{ x | round: 5000 }}").render("hello", {"x": 1}, ["en"], None)
    assert error_text(caught.value, "pl").endswith(": round: wynik byłby za duży")


def test_the_engine_s_own_words_stay_as_they_are() -> None:
    with pytest.raises(RenderError) as caught:
        renderer("{% if %}{% endif %}").render("hello", {}, ["en"], None)
    assert error_text(caught.value, "ru").startswith("сообщение «hello», en, body, строка 1: ")
    assert error_text(caught.value, "ru").partition("1: ")[2] == str(caught.value.reason)


def test_an_error_about_an_unknown_name_gives_the_nearest_ones(store: Store) -> None:
    with store.read() as connection, pytest.raises(NotFoundError) as caught:
        profiles.get(connection, 7)
    assert error_text(caught.value, "it") == "Non c’è nessun profilo 7."
    with pytest.raises(DefinitionError) as wrong:
        parse_broadcast({"id": "b", "message": "m", "include": {"trait": "age", "gtee": 3}})
    assert error_text(wrong.value, "zh") == "字段 include: “gtee”不是运算符。您是否指 “gte” 或 “gt”？"
