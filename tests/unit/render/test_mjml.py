"""MJML compiled once, with Liquid kept in place."""

from __future__ import annotations

import re

import pytest

from keepers.render.errors import RenderError
from unit.render.rendered_emails import inside, rendered, section


def page(body: str, **context: object) -> str:
    return rendered(body, context).html


def test_head_components_work() -> None:
    html = page(
        """<mjml><mj-head>
          <mj-title>News of {{ shop }}</mj-title>
          <mj-preview>In short: {{ short }}</mj-preview>
          <mj-font name="Inter" href="https://fonts.example/css?a=1&amp;b=2" />
          <mj-attributes>
            <mj-all font-family="Inter" /><mj-text color="#123456" /><mj-class name="big" font-size="31px" />
          </mj-attributes>
          <mj-style>.a { color: {{ colour }}; } @media (max-width: 1px) { .b > p { color: blue } }</mj-style>
          <mj-style inline="inline">.c div { letter-spacing: 3px }</mj-style>
        </mj-head><mj-body background-color="{{ ground }}">
          <mj-section css-class="c"><mj-column><mj-text mj-class="big">Hi</mj-text></mj-column></mj-section>
        </mj-body></mjml>""",
        shop="A & B",
        short="<x>",
        colour="red",
        ground="#eeeeee",
    )
    assert "<title>News of A &amp; B</title>" in html
    assert "In short: &lt;x&gt;" in html
    assert 'href="https://fonts.example/css?a=1&amp;b=2"' in html
    assert re.search(r"font-family:\s*Inter;\s*font-size:\s*31px", html)
    assert "color: #123456" in html.replace("color:#", "color: #")
    assert ".a { color: red; }" in html
    assert ".b > p" in html
    assert "letter-spacing: 3px" in html
    assert "background-color:#eeeeee" in html


def test_no_font_is_fetched_that_nobody_asked_for() -> None:
    assert "fonts.googleapis.com" not in page(section("x"))


def test_the_letter_tells_its_language_and_direction() -> None:
    assert '<html lang="en" dir="ltr"' in page(section("x"))
    assert 'lang="{{' not in page('<mjml lang="pl" dir="auto"><mj-body></mj-body></mjml>')
    assert '<html lang="pl" dir="auto"' in page('<mjml lang="pl" dir="auto"><mj-body></mj-body></mjml>')


ROW = "<mj-section><mj-column>{}</mj-column></mj-section>"
CONDITIONAL = [
    "{% if on %}" + section("SHOWN") + "{% endif %}",
    "<mj-wrapper>{% if on %}" + section("SHOWN") + "{% endif %}</mj-wrapper>",
    "<mj-section>{% if on %}<mj-column><mj-text>SHOWN</mj-text></mj-column>{% endif %}</mj-section>",
    "<mj-section><mj-group>{% if on %}<mj-column><mj-text>SHOWN</mj-text></mj-column>{% endif %}</mj-group>"
    "</mj-section>",
    "<mj-section><mj-column>{% if on %}<mj-text>SHOWN</mj-text>{% endif %}</mj-column></mj-section>",
    ROW.format("<mj-raw>{% if on %}</mj-raw><mj-text>SHOWN</mj-text><mj-raw>{% endif %}</mj-raw>"),
    "<mj-raw>{% if on %}</mj-raw>" + section("SHOWN") + "<mj-raw>{% endif %}</mj-raw>",
    "<mj-hero>{% if on %}<mj-text>SHOWN</mj-text>{% endif %}</mj-hero>",
    section("{% if on %}<p>SHOWN</p>{% endif %}"),
    section('<p {% if on %}title="SHOWN"{% endif %}>x</p>'),
    section('<p class="a{% if on %} SHOWN{% endif %}">x</p>'),
    ROW.format("<mj-table><tr><td>x</td></tr>{% if on %}<tr><td>SHOWN</td></tr>{% endif %}</mj-table>"),
]


@pytest.mark.parametrize("body", CONDITIONAL)
def test_what_is_asked_between_elements_is_shown_or_not(body: str) -> None:
    shown, hidden = page(body, on=True), page(body, on=False)
    assert shown.count("SHOWN") == 1
    assert "SHOWN" not in hidden
    for html in (shown, hidden):
        for opening, closing in (
            ("<!--[if", "<![endif]-->"),
            ("<table", "</table>"),
            ("<tr", "</tr>"),
            ("<td", "</td>"),
        ):
            assert html.count(opening) == html.count(closing)


def test_loops_make_rows_and_sections() -> None:
    rows = ROW.format("<mj-table>{% for i in l %}<tr><td>{{ i }}</td></tr>{% endfor %}</mj-table>")
    assert page(rows, l=["a", "<b>"]).count("<tr><td>") == 2
    assert "&lt;b&gt;" in page(rows, l=["a", "<b>"])
    assert inside(rendered("{% for i in l %}" + section("S{{ i }}") + "{% endfor %}", {"l": [1, 2, 3]})).count("S") >= 3


def test_values_stand_in_any_attribute() -> None:
    html = page(
        '<mj-section background-url="{{ u }}"><mj-column><mj-image src="{{ u }}" alt="{{ a | append: "!" }}" '
        'href="https://x.example/{{ id }}?a=1&b={{ id }}" /></mj-column></mj-section>',
        u="https://i.shop.example/a.png?x=1&y=2",
        a='"quoted"',
        id=5,
    )
    assert 'src="https://i.shop.example/a.png?x=1&amp;y=2"' in html
    assert 'alt="&#34;quoted&#34;!"' in html
    assert "https://x.example/5?a=1&amp;b=5&amp;utm_source=keepers" in html


def test_an_assignment_in_the_head_or_before_everything_holds_in_the_body() -> None:
    body = "<mj-body>" + section("{{ a }}{{ b }}{{ c }}") + "</mj-body>"
    html = page(
        "{% assign a = 'x' %}<mjml>{% assign b = 'y' %}<mj-head>{% assign c = 'z' %}<mj-title>t</mj-title></mj-head>"
        + body
        + "</mjml>"
    )
    assert "xyz" in html


def test_a_snippet_may_be_part_of_the_head() -> None:
    body = "<mjml><mj-head>{% render 'looks' %}</mj-head><mj-body>" + section("x") + "</mj-body></mjml>"
    assert ".a{color:red}" in rendered(body, snippets={"looks": "<mj-style>.a{color:red}</mj-style>"}).html


def test_comments_are_not_sent() -> None:
    html = page(section("a<!-- {{ secret }} note --> b{% comment %}<mj-nonsense>{% endcomment %}"), secret="SECRET")
    assert "note" not in html
    assert "SECRET" not in html
    assert "nonsense" not in html


def test_a_body_that_is_html_is_left_as_it_is() -> None:
    content = rendered("<html><body><p>Hi {{ n }}</p></body></html>", {"n": "<A>"})
    assert content.html == "<html><body><p>Hi &lt;A&gt;</p></body></html>"
    assert content.text == "Hi <A>\n"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("<mj-section><mj-column>\n<mj-txt>x</mj-txt></mj-column></mj-section>", "line 2: “mj-txt” is no element"),
        ("<mj-section>\n<mj-column><mj-text>x</mj-text></mj-section>", "line 2: </mj-section> closes nothing while"),
        ("\n<mj-section><mj-column><mj-text>x</mj-text></mj-column>", "line 2: <mj-section> is not closed"),
        ("<mj-section><mj-column>\n\n<mj-text>a<p>b</mj-text></mj-column></mj-section>", "cannot be read"),
        ('<mj-body><mj-include path="/etc/passwd" /></mj-body>', "mj-include is not used"),
        ("<mj-section {% if x %}padding='0'{% endif %}></mj-section>", "MJML drops {% if x %} at this place"),
        (
            "<mj-section><mj-column><mj-social>{% if x %}<mj-social-element name='x' href='y'>x</mj-social-element>{% endif %}</mj-social></mj-column></mj-section>",  # noqa: E501
            "between the elements of mj-social",
        ),
        (
            "<mjml><mj-head>\n{% if x %}<mj-title>a</mj-title>{% endif %}</mj-head><mj-body></mj-body></mjml>",
            "line 2: {% if x %} cannot",
        ),
    ],
)
def test_mistakes_are_told_with_their_line(body: str, words: str) -> None:
    with pytest.raises(RenderError) as caught:
        page(body)
    assert words in caught.value.message


def test_mistakes_are_placed_after_text_of_many_bytes_too() -> None:
    with pytest.raises(RenderError, match="line 3"):
        page(
            section("Привет, мир! " * 50)
            + "\n\n"
            + "<mj-section><mj-column><mj-social>x</mj-social></mj-column></mj-section>"
        )


def test_a_mistake_in_a_layout_is_the_layouts() -> None:
    with pytest.raises(RenderError, match="layout frame, line 2"):
        rendered(
            section("x"), layout="frame", snippets={"frame": "<mj-body>\n<mj-colum></mj-colum>{{ content }}</mj-body>"}
        )
