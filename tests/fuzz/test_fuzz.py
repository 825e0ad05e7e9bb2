"""Whatever outsiders and authors write is read or refused with a sentence,
within bounds of processor time and memory.

Some dozens of examples in each run, thousands with `--hypothesis-profile=nightly`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fuzz.bounded_process import BoundedProcess
from profiles import examples


@pytest.fixture(scope="module")
def mail_process() -> Iterator[BoundedProcess]:
    yield from started("mail")


@pytest.fixture(scope="module")
def playbook_process() -> Iterator[BoundedProcess]:
    yield from started("playbook")


@pytest.fixture(scope="module")
def template_process() -> Iterator[BoundedProcess]:
    yield from started("template")


def started(kind: str) -> Iterator[BoundedProcess]:
    process = BoundedProcess(kind)
    yield process
    process.stop()


def as_case(data: bytes) -> str:
    return base64.b64encode(data).decode()


REPEATS = st.sampled_from([1, 1, 1, 2, 50, 3000])
SIGNS = st.sampled_from(
    ["\n", "\r\n", " ", "\t", "\0", "\x85", "\u2028", "ü", "\udc80", "\U0001f600", "=", ";", ":", '"', "<", "@"]
)


def joined(parts: st.SearchStrategy[str], most: int = 8) -> st.SearchStrategy[str]:
    """Parts of a text, some of them very often in a row."""
    repeated = st.builds(lambda part, times: part * (times if len(part) < 40 else 1), parts, REPEATS)
    return st.lists(repeated, max_size=most).map("".join)


TYPES = st.sampled_from(
    ["text/plain", "text/html", "multipart/mixed", "multipart/report; report-type=delivery-status", "message/rfc822",
     "message/delivery-status", "message/feedback-report", "multipart/report; report-type=feedback-report",
     "text/", "",
     "multipart/alternative; boundary*0=b; boundary*1=b", "text/plain; charset=\"utf-7\"",
     "text/html; charset=nothing",
     "text/plain; charset*=utf-8''%FF%", "application/octet-stream; name=\"=?utf-8?q?a?=\""]
)  # fmt: skip
ENCODINGS = st.sampled_from(["7bit", "8bit", "base64", "quoted-printable", "x-uuencode", "binary", "?", ""])
VALUES = joined(
    st.sampled_from(
        ["=?utf-8?b?/w==?=", "=?utf-7?q?=?=", "=?x?b?", "MAILER-DAEMON@mx.example", "<a@b.example>", "(", ")",
         "failed",
         "5.1.1", "smtp; 550 5.1.1 unknown", "rfc822; a@b.example", "Mon, 99 Foo 2026 25:61 +9999", "auto-replied",
         "\n ", "a", ","]
    )
    | SIGNS
)  # fmt: skip
NAMES = st.sampled_from(
    ["Subject", "From", "To", "Date", "Return-Path", "Final-Recipient", "Original-Recipient", "Action", "Status",
     "Diagnostic-Code", "Feedback-Type", "Original-Mail-From", "Auto-Submitted", "X-Failed-Recipients",
     "List-Unsubscribe",     "Message-ID", "Content-Type", "", "a b", "ü"]
)  # fmt: skip
TEXTS = joined(
    st.sampled_from(
        ["The address a@b.example does not exist", "<style>", "</style>", "<!--", "-->", "&#99999999999;", "--b",
         "--b--",
         "quota", "550 5.1.1", "=3D", "=\n", "/9j/", "begin 644 a\n", "From a\n", "Status: 5.0.0"]
    )
    | SIGNS
)  # fmt: skip


def part(kind: str, encoding: str, headers: list[tuple[str, str]], body: str) -> str:
    boundary = '; boundary="b"' if kind.startswith("multipart") and "boundary" not in kind else ""
    written = "".join(f"{name}: {value}\n" for name, value in headers)
    return f"Content-Type: {kind}{boundary}\nContent-Transfer-Encoding: {encoding}\n{written}\n{body}"


LEAVES = st.builds(part, TYPES, ENCODINGS, st.lists(st.tuples(NAMES, VALUES), max_size=5), TEXTS)
PARTS = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        part,
        TYPES,
        ENCODINGS,
        st.lists(st.tuples(NAMES, VALUES), max_size=3),
        st.lists(inner, min_size=1, max_size=4).map(lambda parts: "".join(f"--b\n{p}\n" for p in parts) + "--b--\n"),
    ),
    max_leaves=8,
)
LEVELS = "".join(f'Content-Type: multipart/mixed; boundary="b{n}"\n\n--b{n}\n' for n in range(9000))
MAILS = st.one_of(
    PARTS.map(
        lambda text: ("From: MAILER-DAEMON@mx.example\nSubject: failed\n" + text).encode("utf-8", "surrogateescape")
    ),
    st.binary(max_size=2000),
)


@given(data=MAILS)
@example(data=LEVELS.encode())
@example(data=b"Content-Type: message/rfc822\n\n" * 15_000)
@example(data=b"Subject: " + b"=?utf-8?b?" * 40_000)
@example(data=b"From: " + b"(" * 400_000)
@example(data=b"a: b\n" * 80_000)
@example(data=b"From: MAILER-DAEMON@mx.example\n\n" + b"," * 20_000 + b"@" * 20_000)
@example(data=b"From: MAILER-DAEMON@mx.example\n\n" + (b"," * 50 + b"@" * 100 + b"\n") * 400)
@examples(0.5)
def test_any_mail_is_read(mail_process: BoundedProcess, data: bytes) -> None:
    assert mail_process.outcome(as_case(data)) == "read"


KEYS = st.sampled_from(
    ["segments", "lifecycles", "journeys", "messages", "topics", "snippets", "broadcasts", "contact", "events",
     "id", "name",
     "who", "did", "all", "any", "not", "trait", "stages", "enter", "steps", "message", "delay", "wait", "branch",
     "split",
     "channel", "topic", "content", "en", "subject", "body", "within", "times", "at least", "trust", "for", "<<",
     "1", "~"]
)  # fmt: skip
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**30), 10**30), st.floats(), st.dates().map(str), KEYS,
    st.sampled_from(["Order Completed", "3 days", "-1 day", "P1D", "99999999999 years", "{{ x }}",
     "0x" + "f" * 300, "12:30:61",
                     "a" * 3000, "\0", "ü", "at least 3", "=", "!!python/object:os.system", "9" * 5000]),
    st.text(max_size=20),
)  # fmt: skip
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)
YAML_PIECES = joined(
    st.sampled_from(
        ["segments:\n", "  - id: a\n", "    who: {did: X}\n", "&a ", "*a ", "<<: *a\n", "[", "]", "{", "}", "? ",
         ": ", "- ",
         "!!set ", "!!binary ", "!!timestamp 2026-99-99\n", "%YAML 9.9\n", "---\n", "...\n", "|\n", ">9\n",
         "# a\n", "'", "\t",
         "\ufeff", "journeys:\n", "    steps:\n", "      - {message: m}\n"]
    )
    | SIGNS,
    most=20,
)  # fmt: skip


@given(
    data=st.one_of(
        TREES.map(lambda tree: json.dumps(tree).encode()),
        st.dictionaries(KEYS, TREES, max_size=4).map(lambda tree: json.dumps(tree).encode()),
        YAML_PIECES.map(lambda text: text.encode("utf-8", "surrogateescape")),
        st.binary(max_size=300),
    )
)
@example(data=b"a: " + b"[" * 900_000)
@example(data=b"segments:\n" + b"  - {id: a, who: {not: " + b"{not: " * 20_000)
@example(data=b"a: &a [x]\n" + b"".join(b"b%d: &b%d [*b%d, *b%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 30)))
@examples(0.5)
def test_any_playbook_is_read_or_refused(playbook_process: BoundedProcess, data: bytes) -> None:
    playbook_process.outcome(as_case(data))


LIQUID = st.sampled_from(
    ["{{ customer.a }}", "{{ trigger.a | upcase }}", "{{ customer.a | split: '' | join: customer.a }}",
     "{{ 'x' | date: '%Y%n' }}",
     "{% if customer.a %}", "{% endif %}", "{% else %}", "{% for i in customer.a %}", "{% endfor %}", "{{ i }}",
     "{% for i in (1..99999999) %}", "{% capture c %}", "{% endcapture %}", "{{ c }}",
     "{% assign c = c | append: c %}",
     "{% render 'footer' %}", "{% render 'footer', a: 1 %}", "{% raw %}", "{% endraw %}", "{% comment %}",
     "{% endcomment %}",
     "{% case customer.a %}", "{% when 1 %}", "{% endcase %}", "{% cycle 'a', customer.a %}",
     "{% liquid echo customer.a %}",
     "{{ customer.a | money: 'PLN' }}", "{{ customer.a | pluralize: 'a', 'b' }}",
     "{{ customer.a | date: customer.a }}",
     "{{ customer.a | replace: '', customer.a }}", "{{ customer.a | times: customer.a | round: 9 }}",
     "{{ customer.a | sort: 'a' }}",
     "{{ links.view }}", "{% tablerow i in customer.a %}", "{% endtablerow %}", "{{", "{%", "%}", "}}",
     "{{ a | nothing }}"]
)  # fmt: skip
MARKUP = st.sampled_from(
    ["<mjml>", "</mjml>", "<mj-head>", "</mj-head>", "<mj-body>", "</mj-body>", "<mj-section>", "</mj-section>",
     "<mj-column>",
     "</mj-column>", "<mj-text>", "</mj-text>", "<mj-button href='{{ customer.a }}'>", "</mj-button>", "<mj-raw>",
     "</mj-raw>",
     "<mj-image src=\"{{ customer.a }}\" width='{{ customer.a }}'/>", "<mj-style>", "</mj-style>", "<mj-attributes>",
     "<mj-hero background-url='{{ customer.a }}'>", "</mj-hero>", "<mj-table width='999999999999999999999px'>",
     "<mj-carousel>",
     "<mj-class name='a' padding='x'/>", "<p style='{{ customer.a }}'>", "</p>", "<a href={{ customer.a }}>",
     "</a>", "<!--", "-->",
     "<style>", "</style>", "<a href='", "'", '"', ">", "<", "&#0;", "&", "<td {{ customer.a }}>",
     "<img srcset='{{ customer.a }}'>"]
)  # fmt: skip
BLOCKS = [
    ("<mj-section><mj-column><mj-text>", "</mj-text></mj-column></mj-section>"),
    ("<mjml><mj-body><mj-section><mj-column>", "</mj-column></mj-section></mj-body></mjml>"),
    ("{% for i in customer.a %}", "{% endfor %}"),
    ("{% if customer.a %}", "{% endif %}"),
    ("<a href='{{ customer.a }}'>", "</a>"),
    ("", ""),
]
TEMPLATES = st.recursive(
    joined(LIQUID | MARKUP | SIGNS | st.just("text "), most=6),
    lambda inner: st.builds(lambda block, text: block[0] + text + block[1], st.sampled_from(BLOCKS), inner),
    max_leaves=5,
)
DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**40), 10**40) | st.floats(allow_nan=False) | st.text(max_size=20)
    | st.sampled_from(["https://e.example/", "//x.example", "a." * 3000, "<b>", "{{ x }}", "1e9999", "\0", "2026-1-1"]),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["a", "b", "size", "first"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(
    body=TEMPLATES,
    subject=joined(LIQUID | SIGNS, most=4),
    footer=joined(LIQUID | MARKUP, most=3),
    layout=st.sampled_from(
        ["", "{{ content }}", "<mjml><mj-body>{{ content }}</mj-body></mjml>", "{% if a %}{{ content }}"]
    ),
    data=DATA,
)
@example(body="<mj-section>" * 20_000, subject="s", footer="", layout="", data=1)
@example(body="{% if a %}" * 20_000, subject="s", footer="", layout="", data=1)
@example(body="{% for i in (1..100) %}" * 5 + "x" + "{% endfor %}" * 5, subject="s", footer="", layout="", data=1)
@example(body="<a href='" * 20_000, subject="s", footer="", layout="", data=1)
@example(body="{{ customer.a }}", subject="s", footer="", layout="", data="https://" * 40_000)
@example(body="{{ customer.a }}", subject="s", footer="", layout="", data="a." * 100_000)
@example(body="<p style='{{ customer.a }}'>", subject="s", footer="", layout="", data="url(" * 50_000)
@examples(0.5)
def test_any_template_is_rendered_or_refused(
    template_process: BoundedProcess, body: str, subject: str, footer: str, layout: str, data: Any
) -> None:
    case = {"body": body, "subject": subject, "footer": footer, "layout": layout, "data": {"a": data}}
    template_process.outcome(case)


def test_a_case_beyond_the_bounds_is_noticed() -> None:
    process = BoundedProcess("mail")
    try:
        with pytest.raises(AssertionError, match="Traceback"):
            process.outcome(None)
        assert process.outcome(as_case(b"Subject: a\n\nb")) == "read"
    finally:
        process.stop()
