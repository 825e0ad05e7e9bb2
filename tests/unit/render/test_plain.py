"""The plain-text part of an e-mail."""

from __future__ import annotations

import re

import pytest

from keepers.render.plain_text import tidy, to_text
from unit.render.rendered_emails import rendered, section


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two</p>", "One\n\nTwo"),
        ("One<br>two<br/>three", "One\ntwo\nthree"),
        ("<h1>Title</h1>text", "Title\n\ntext"),
        ("<ul><li>a</li><li>b</li></ul>", "- a\n- b"),
        ("<ol><li>a</li><li>b</li></ol>", "1. a\n2. b"),
        ('<a href="https://a.example">Shop</a> now', "Shop (https://a.example) now"),
        ('<a href="https://a.example">https://a.example</a>', "https://a.example"),
        ('<a href="mailto:a@b.example">a@b.example</a>', "a@b.example"),
        ('<a href="mailto:a@b.example">Write</a>', "Write (a@b.example)"),
        ('<a href="#top">Up</a>', "Up"),
        ('<a href="https://a.example"><img src="x" alt="Our shop"></a>', "Our shop (https://a.example)"),
        ('<a href="https://a.example"><img src="x" alt=""></a>', ""),
        ('<img src="x"><img alt="A picture" src="y">', "A picture"),
        ("<table><tr><td>A</td><td>1</td></tr><tr><td>B</td><td>2</td></tr></table>", "A 1\nB 2"),
        ("<head><title>no</title></head><style>no</style><script>no</script><p>yes</p>", "yes"),
        ('<div style="display:none">no <b>no</b></div><div style="color:red">yes</div>', "yes"),
        ("<!--[if mso]><table><tr><td>no</td></tr></table><![endif]-->yes", "yes"),
        ("a &amp; b &lt;c&gt; &nbsp; &#8364;", "a & b <c> €"),
        ("  many \n  blanks  ", "many blanks"),
        ("<p>a</p><hr><p>b</p>", "a\n\n---\n\nb"),
        ("<b>bold</b>, <i>not</i>.", "bold, not."),
        ("", ""),
    ],
)
def test_html_becomes_text(html: str, text: str) -> None:
    assert to_text(html) == text + "\n"


def test_words_that_print_nothing_leave_no_blank() -> None:
    html = "<table><tr><td>W1z<img alt=''>W2z</td><td>A</td></tr></table>"
    assert to_text(html, re.compile(r"W\dz")) == "W1zW2zA\n"
    assert to_text(html) == "W1zW2z A\n"


def test_lines_are_tidied() -> None:
    assert tidy(" \n\n a  \n\n\n \n b\t\n") == "a\n\n b\n"


def test_conditions_and_loops_are_rendered_as_text() -> None:
    body = section("{% if on %}<p>Hi {{ n }}</p>{% endif %}{% for i in l %}<p>{{ i }} &amp; co</p>{% endfor %}")
    assert rendered(body, {"on": True, "n": "<Ann>", "l": ["a", "b"]}).text == "Hi <Ann>\n\na & co\n\nb & co\n"
    assert rendered(body, {"on": False}).text == "\n"


def test_values_are_not_escaped_in_text() -> None:
    assert rendered(section("{{ v }}"), {"v": "Tom & Jerry's <cheese>"}).text == "Tom & Jerry's <cheese>\n"
