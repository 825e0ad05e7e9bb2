"""The reference is whole and fresh, links lead somewhere, examples are read, and the tutorial runs as it is printed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tomllib
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from keepers.app.workspace.settings import TEST_CLOCK, Settings, sections
from keepers.channels.base import field_docs
from keepers.conditions.operators import OPERATORS
from keepers.conditions.parsing.conditions import LEAVES, parse_condition
from keepers.playbook.check import check
from keepers.playbook.load import load, top_keys
from keepers.playbook.yaml_nodes import read_document
from shell_commands import forked_commands

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
sys.path.insert(0, str(DOCS))
import endpoints  # noqa: E402 - found by the line above
import error_codes  # noqa: E402
import generate  # noqa: E402

PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"])
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def fences(language: str) -> list[Any]:
    found = []
    for path in PAGES:
        for n, (indent, kind, text) in enumerate(_FENCE.findall(path.read_text(encoding="utf-8"))):
            if kind == language:
                body = "".join(line.removeprefix(indent) for line in text.splitlines(keepends=True))
                found.append(pytest.param(body, id=f"{name_of(path)}-{n}"))
    return found


def test_the_generated_pages_are_what_the_code_says_now() -> None:
    assert not generate.stale(), "run: python docs/generate.py"


def test_every_command_and_option_is_in_the_reference() -> None:
    text = page("commands.md")
    for path, command in generate.all_commands(generate.keepers_command()):
        section = text.partition(f"## keepers {path}\n")[2].partition("\n## ")[0]
        assert section, path
        for one in command.params:
            for name in one.opts:
                assert f"`{name}`" in section or name == "--help", (path, name)


def test_every_option_and_command_says_what_it_does() -> None:
    for path, command in generate.all_commands(generate.keepers_command()):
        assert command.help, path
        for one in command.params:
            assert one.help, (path, one.name)


def test_every_setting_is_in_the_reference_with_its_meaning() -> None:
    text = page("settings.md")
    for section, struct in sections().items():
        assert f"## [{section}]" in text
        docs = field_docs(struct)
        for one in msgspec.structs.fields(struct):
            assert f"| `{one.name}` |" in text
            assert docs.get(one.name), f"{section}.{one.name} has no text under it in settings.py"


def test_every_operator_is_in_the_reference() -> None:
    text = page("operators.md")
    for row in OPERATORS:
        assert f"| `{row.id}` |" in text
        assert all(f"`{alias}`" in text for alias in row.aliases)


def test_every_kind_of_condition_and_its_keys_is_in_the_reference() -> None:
    text = page("conditions.md")
    for head, keys in LEAVES.items():
        for key in (head, *keys):
            assert re.search(rf"\b{key}\b", text), key


def test_every_endpoint_is_in_the_reference() -> None:
    text = page("endpoints.md")
    assert [path for path in sorted(endpoints.routes()) if f"`{path}`" not in text and f" {path}\n" not in text] == []


def test_every_error_code_is_in_the_reference_and_no_other() -> None:
    assert set(error_codes.CODES) == generate.codes_in_source()


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_within_the_repository_lead_somewhere(path: Path) -> None:
    for target in _LINK.findall(path.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://", "#")):
            assert (path.parent / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("path", sorted((DOCS / "decisions").glob("0*.md")), ids=name_of)
def test_a_decision_names_files_that_are_there(path: Path) -> None:
    where = path.read_text(encoding="utf-8").partition("**Where:**")[2]
    assert where, "a decision says where it lives in the code"
    named = re.findall(r"`([\w/]+(?:\.py|/))`", where)
    assert [name for name in named if not (ROOT / "src" / "keepers" / name).exists()] == []


@pytest.mark.parametrize("example", fences("yaml"))
def test_yaml_examples_are_read(example: str, tmp_path: Path) -> None:
    data = read_document(example.encode(), "example.yaml").data
    if isinstance(data, dict) and data.keys() & set(top_keys()):
        (tmp_path / "example.yaml").write_text(example, encoding="utf-8")
        check(load(tmp_path))
    else:
        parse_condition(data)


@pytest.mark.parametrize("example", fences("toml"))
def test_settings_examples_are_read(example: str) -> None:
    msgspec.convert(tomllib.loads(example), Settings)


def test_decisions_are_numbered_dated_and_short() -> None:
    found = sorted((DOCS / "decisions").glob("[0-9]*.md"))
    assert [int(path.name[:4]) for path in found] == list(range(1, len(found) + 1))
    for path in found:
        text = path.read_text(encoding="utf-8")
        assert re.search(r"^20\d\d-\d\d-\d\d$", text, re.MULTILINE), path.name
        assert len(text.splitlines()) <= 25, path.name


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted((DOCS / "tutorial").glob("*.md")), ids=name_of)
def test_the_tutorial_runs_as_it_is_printed(path: Path, tmp_path: Path) -> None:
    """Each `$ command` of its console blocks runs in one shell; what it prints must match, `…` is for anything.

    Ports are exchanged for free ones; whatever was started in the background is ended. Servers are started as they
    are by hand; other commands are forked from a process that has loaded Keepers, as starting is not what they show.
    """
    steps = []
    for _, kind, block in _FENCE.findall(_with_free_ports(path.read_text(encoding="utf-8"))):
        if kind == "console":
            for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                command, _, expected = part.partition("\n")
                while command.endswith("\\") or ("<<" in command.split("\n")[0] and not command.endswith("\nEND")):
                    more, _, expected = expected.partition("\n")
                    command += "\n" + more
                while expected.startswith("> "):  # the shell's own sign that a command goes on
                    more, _, expected = expected.removeprefix("> ").partition("\n")
                    command += "\n" + more
                steps.append((command, expected))
    assert len(steps) > 10
    for file in path.parent.glob("*.csv"):
        shutil.copy(file, tmp_path)
    mark = "-- next --"
    script = f"\necho; echo '{mark}'\n".join(command for command, _ in steps)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("KEEPERS_") or k == TEST_CLOCK}
    with forked_commands() as commands:
        environment |= {"COLUMNS": "100", "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}
        process = subprocess.Popen(
            ["bash", "-e", "-c", script],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            found_out, found_err = process.communicate(timeout=420)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    printed = found_out.split(f"\n{mark}\n")
    assert process.returncode == 0, (steps[len(printed) - 1][0], found_err)
    for (command, expected), found in zip(steps, printed, strict=True):
        pattern = re.escape(_tidy(expected)).replace("…", ".*?")
        assert re.fullmatch(pattern, _tidy(found), re.DOTALL), f"$ {command}\n{found}"


def _with_free_ports(text: str) -> str:
    """The text with the ports its servers listen on exchanged for free ones."""
    with ExitStack() as stack:
        for port in ("1025", "8025", "8787"):
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            text = re.sub(rf"\b{port}\b", str(listening.getsockname()[1]), text)
    return text


def _tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def test_every_folder_is_in_the_map() -> None:
    source = ROOT / "src" / "keepers"
    listed = set(re.findall(r"`([a-z_0-9/]+)`", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")))
    held = {
        path.parent.relative_to(source).as_posix()
        for path in source.rglob("*")
        if path.suffix in (".py", ".po", ".json")
    }
    folders = {folder for folder in held if folder != "." and "locale/" not in folder}
    assert folders - listed == set(), "name them in docs/architecture.md"
    unknown = {one for one in listed if (source / one.partition("/")[0]).is_dir() and not (source / one).is_dir()}
    assert unknown == set()
