"""JSON, YAML and Liquid that are made to cost time or memory, in processes with limits of both."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepers.model.errors import KeepersError
from keepers.playbook.load import MOST_MISTAKES, PlaybookErrors, load_texts
from keepers.playbook.yaml_nodes import MAX_BYTES
from keepers.render.liquid.filters import uniq

LIMITS = (
    "import resource\n"
    "resource.setrlimit(resource.RLIMIT_CPU, (10, 10))\n"
    "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
)


def within_limits(script: str) -> str:
    """What a script prints that may use 10 seconds of processor time and 1 GB of addresses."""
    ran = subprocess.run(
        [sys.executable, "-"], input=LIMITS + script, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, f"code {ran.returncode}: {ran.stderr[-2000:]}"
    return ran.stdout


def test_json_that_is_refused_is_explained_in_linear_time() -> None:
    script = """
from keepers.model.json_text import elements, has_huge_number, is_deeper, members, reason
n = 500_000
for text in (b'{"a":' + b" " * n, b'"' + b'\\\\"' * (n // 2), b'{"' + b'\\\\"' * (n // 2) + b"}", b'"' * n, b"[" * n,
             b'"a":' * (n // 4), b"-" * n, b", " * (n // 2), b"0" * n + b'"' + b'\\\\"' * (n // 2)):
    reason(text, "error")
    is_deeper(text * 2, 100)
    has_huge_number(text)
    members(b"{" + text + b"}")
    elements(b"[" + text + b"]", 2500)
print("done")
"""
    assert within_limits(script) == "done\n"


PLAYBOOKS = {
    "anchors": "''.join(f'a{i}: &x{i} v\\nb{i}: *x{i}\\n' for i in range(40000))",
    "aliases of one": "'a: &a []\\nb: [' + ','.join(['*a'] * 400000) + ']\\n'",
    "deep lists": "'[' * 1900000",
    "a long name": "'? ' + 'k' * 1500000 + '\\n: [' + 'x,' * 100000 + ']\\n'",
    "long names inside each other": "''.join(' ' * 2 * i + '? ' + 'k' * 499 + '\\n' + ' ' * 2 * i + ':\\n' "
    "for i in range(50)) + ''.join(' ' * 110 + '- x\\n' for i in range(15000))",
    "unknown sections": "''.join(f'k{i}: 1\\n' for i in range(90000))",
    "many segments": "'segments:\\n' + ''.join(f'  - {{id: s{i}, name: n, who: {{did: E}}}}\\n' for i in range(15000))",
    "segments that repeat one": "'x: &x {did: E}\\nsegments:\\n' + ''.join("
    "f'  - {{id: s{i}, name: n, who: *x}}\\n' for i in range(15000))",
    "no segments": "'segments: [' + '1,' * 190000 + ']\\n'",
}


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_a_hostile_playbook_is_read_or_refused_within_the_limits(name: str) -> None:
    script = f"""
from keepers.model.errors import KeepersError
from keepers.playbook.load import load_texts
text = {PLAYBOOKS[name]}
try:
    load_texts({{"a.yaml": text[:{MAX_BYTES}]}})
except KeepersError:
    pass
print("done")
"""
    assert within_limits(script) == "done\n"


def test_laughs_are_counted_as_what_they_repeat() -> None:
    laughs = "a0: &a0 x\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 30))
    with pytest.raises(PlaybookErrors, match="aliases counted as what they repeat"):
        load_texts({"a.yaml": laughs})


def test_reading_ends_after_many_mistakes() -> None:
    with pytest.raises(PlaybookErrors) as caught:
        load_texts({"a.yaml": "".join(f"k{i}: 1\n" for i in range(1000))})
    assert len(caught.value.errors) == MOST_MISTAKES


@given(st.text("ab:-[]{},&*?!|>'\"\n #%@`0.~", max_size=300), st.integers(1, 50))
def test_any_text_is_a_playbook_or_a_mistake(text: str, times: int) -> None:
    try:
        load_texts({"a.yaml": text * times})
    except KeepersError:
        return


TEMPLATES = """
import time
from keepers.render.compose import HTML
from keepers.render.liquid.context import MessageContext
from keepers.render.liquid.sandbox import run
from liquid.exceptions import LiquidError
nums = list(range(10000))
rows = [{"k": n, "l": [n] * 3} for n in nums]
data = {"nums": nums, "rows": rows, "nested": [[[n] * 10] * 10 for n in range(1000)], "huge": [nums] * 10000,
        "same": [{"a": {"b": "x" * 1000}}] * 10000, "text": "x" * 500000}
slowest = 0.0
for source in (%s):
    start = time.process_time()
    try:
        run(HTML.compiled(source), data, MessageContext(clock=time.perf_counter))
    except LiquidError:
        pass
    slowest = max(slowest, time.process_time() - start)
print("done" if slowest < 5 else slowest)
"""


@pytest.mark.parametrize(
    "sources",
    [
        [f"{{{{ {v} | {f} | size }}}}" for v in ("nums", "rows", "nested", "huge", "same")
         for f in ("uniq", "uniq: 'k'", "sort", "sort: 'k'", "sort_natural", "where: 'k', 5", "join", "list")],
        ["{{ huge }}", "{% echo huge %}", "{% cycle " + ",".join(["huge"] * 50) + " %}", "{{ same }}",
         "{% for i in nums %}{{ rows | uniq | size }}{% endfor %}", "{{ text | split: '' | sort }}",
         "{% if same contains same %}1{% endif %}" * 2000, "{% if text contains 'xxxxxxxxy' %}1{% endif %}" * 3000],
    ],
    ids=["filters", "tags"],
)  # fmt: skip
def test_templates_end_in_time(sources: list[str]) -> None:
    assert within_limits(TEMPLATES % ", ".join(map(repr, sources))) == "done\n"


def test_items_are_told_apart_as_before() -> None:
    assert uniq([1, 1.0, "1", [1], [1.0], {"a": [1]}, {"a": [1]}, None]) == [1, "1", {"a": [1]}, None]
    assert uniq([{"k": 1}, {"k": 1, "x": 2}, {}, {"x": 1}], "k") == [{"k": 1}, {}]


MJML = "<mjml><mj-body><mj-section><mj-column><mj-text>%s</mj-text></mj-column></mj-section></mj-body></mjml>"
UNITS = (
    *("<a ", '<a "', "<!--", "<!-- x -->", "<mj-text a=", "<mjml", "<style>", "<div>", " ", "a"),
    *("{%", "{% raw %}", "{% comment %}", "{% render '"),
)
COMPILING = """
from keepers.channels import registry
from keepers.model.errors import KeepersError
from keepers.render.compose import compose
from keepers.render.definition import parse_message
from keepers.render.plain_text import tidy
for unit in UNITS:
    content = {"en": {"subject": "s", "body": WRAP.replace("%s", unit * (30_000 // len(unit)))}}
    try:
        compose(parse_message({"id": "m", "channel": "email", "topic": "t", "content": content}), "en", {})
    except KeepersError:
        pass
tidy(" " * 1_000_000 + "x")
print("done")
"""


@pytest.mark.parametrize("wrap", ["%s", MJML], ids=["html", "mjml"])
def test_large_templates_are_compiled_in_time(wrap: str) -> None:
    assert within_limits(f"UNITS, WRAP = {UNITS!r}, {wrap!r}\n{COMPILING}") == "done\n"
