"""Texts of the starter journeys: found in their YAML, and put back in several languages with all else unchanged."""

from __future__ import annotations

import pytest

from keepers.playbook.shipped.starter_texts import has_words, split_line, starter_texts, translated_starter

TEMPLATE = """# A comment.
messages:
  - id: m
    name: "Hello: you"
    content:
      en:
        subject: "{{ company.name }}: hello" # seen first
        body: |
          <mj-text mj-class="title">Hello</mj-text>
            {% render 'hello' %}
          <p>Bye</p></mj-text>
    topic: t
snippets:
  - id: s
    content:
      en: |
        note: a line, not a field
  - id: bare
    content: Nothing to translate.
"""


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('  <mj-text mj-class="title">Is it?</mj-text>', "Is it?"),
        ("<p>Bye</p></mj-text>", "Bye"),
        ("<p>Two<br>", "Two"),
        ('<a href="x">One</a> and <a href="y">two</a></p>', '<a href="x">One</a> and <a href="y">two</a>'),
        ("<b>One</b> and <b>two</b>", "<b>One</b> and <b>two</b>"),
        ("Warmly,<br><strong>{{ x }}</strong>", "Warmly,<br><strong>{{ x }}</strong>"),
        ("{% if x %}<p>Hi {{ x }},</p>{% endif %}", "{% if x %}<p>Hi {{ x }},</p>{% endif %}"),
        ("<mj-section>", ""),
        ("", ""),
    ],
)
def test_tags_around_a_line_are_no_part_of_its_text(line: str, text: str) -> None:
    start, found, end = split_line(line)
    assert (start + found + end, found) == (line, text)


def test_markup_alone_is_not_translated() -> None:
    assert not any(map(has_words, ("", "{% render 'hello' %}", "{% render 'step', n: 1 %}", "{{ x }}&nbsp;")))
    assert has_words("{% render 'choice', reason: 'price', text: 'Too dear' %}")
    assert has_words("{{ x }}, {{ y }}")


def test_each_text_is_found_with_its_line_and_what_it_is_part_of() -> None:
    found = [(line, text.context, text.english) for line, text in starter_texts(TEMPLATE)]
    assert found == [
        (3, "starter m.name", "Hello: you"),
        (6, "starter m.subject", "{{ company.name }}: hello"),
        (8, "starter m.body", "Hello"),
        (10, "starter m.body", "Bye"),
        (16, "starter s.content", "note: a line, not a field"),
    ]


def test_what_no_catalogue_translates_stays_english(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ru" not in translated_starter(TEMPLATE, ["en", "ru"])


def test_a_text_is_put_back_as_yaml_that_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    module = "keepers.playbook.shipped.starter_texts"
    monkeypatch.setattr(f"{module}.is_translated", lambda text, language: True)
    monkeypatch.setattr(f"{module}.gettext", lambda text, language: f"{language}: {text.english}\n#")
    written = translated_starter(TEMPLATE, ["en", "de"])
    assert "# A comment.\n" in written
    assert "          <mj-text mj-class=\"title\">de: Hello #</mj-text>\n            {% render 'hello' %}\n" in written
    assert "        subject: 'de: {{ company.name }}: hello #'\n" in written
    assert "      de: |\n        de: note: a line, not a field #\n" in written
    assert written.endswith("  - id: bare\n    content: Nothing to translate.\n")
