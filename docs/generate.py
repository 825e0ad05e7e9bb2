"""Writes docs/reference from the code: run it after changing a command, setting, operator, template or endpoint.

`python docs/generate.py` writes the pages, `python docs/generate.py --check` says which are stale (exit code 1).
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
import typer
from error_codes import CODES

import keepers
from keepers.app.workspace.settings import TEST_CLOCK, TEST_CLOCK_EXAMPLE, sections
from keepers.channels.base import field_docs
from keepers.cli.common import app, load_commands
from keepers.conditions.operators import OPERATORS
from keepers.i18n.catalogues import gettext, languages
from keepers.i18n.locales import babel_locale
from keepers.model.fields import text_in
from keepers.playbook.shipped.journeys import starters
from keepers.playbook.shipped.lifecycles import shipped, templates

FOLDER = Path(__file__).parent / "reference"
MADE = "<!-- Made by docs/generate.py; edit the code instead. -->\n\n"


def commands() -> str:
    """Every command with its arguments and options."""
    root = keepers_command()
    lines = [
        "# Commands\n",
        f"{root.help}\n",
        "Every command prints text for people, or with `--json` JSON on standard output. Exit codes: 0 done, 1 an "
        "error of Keepers or its environment, 2 an error in the command, 130 interrupted. Errors go to "
        'standard error, with `--json` to standard output as `{"error": {"code", "message"}}`; the codes are listed '
        "under [errors](errors.md).\n",
        "A command that needs a workspace takes the folder named by `-w`, else by the variable `KEEPERS_WORKSPACE`, "
        "else the current folder. While `keepers serve` has the workspace open, the command calls that server.\n",
        "## keepers\n",
        _parameters(root),
    ]
    for path, command in all_commands(root):
        usage = " ".join(map(_usage, _arguments(command)))
        lines += [f"## keepers {path}\n", f"`keepers {path}{' ' + usage if usage else ''}`\n", f"{command.help}\n"]
        lines.append(_parameters(command))
    return "\n".join(lines)


def keepers_command() -> Any:
    """`keepers` with every one of its commands."""
    load_commands()
    return typer.main.get_command(app)


def all_commands(command: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """(`keys create`, command) of every command under a group, in the order of their names."""
    for name, inner in sorted(command.commands.items()):
        path = f"{before} {name}".strip()
        if hasattr(inner, "commands"):
            yield from all_commands(inner, path)
        elif not inner.hidden:
            yield path, inner


def _arguments(command: Any) -> list[Any]:
    return [p for p in command.params if p.param_type_name == "argument"]


def _usage(argument: Any) -> str:
    shown = argument.metavar or str(argument.name).upper()
    return shown if argument.required else f"[{shown}]"


def _parameters(command: Any) -> str:
    rows = []
    for one in command.params:
        is_option = one.param_type_name == "option"
        if is_option and one.name in ("help", "install_completion", "show_completion"):
            continue
        shown = ", ".join(f"`{name}`" for name in (*one.opts, *one.secondary_opts)) if is_option else f"`{one.name}`"
        if is_option and not one.is_flag:
            shown += f" {one.metavar or _kind(one)}"
            shown += " …" if one.multiple else ""
        needed = "needed" if one.required else _default(one.default)
        rows.append(f"| {shown} | {_cell(one.help or '')} | {needed} |")
    if not rows:
        return ""
    return "\n".join(["| argument or option | meaning | default |", "|---|---|---|", *rows]) + "\n"


def _kind(option: Any) -> str:
    return {int: "NUMBER", float: "NUMBER", Path: "FILE"}.get(option.type_descriptor.annotation, "TEXT")


def _default(value: Any) -> str:
    return "" if value in (None, False, "") else f"`{value}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def settings() -> str:
    """Every setting of keepers.toml with its default."""
    lines = [
        "# Settings\n",
        "Settings are in `keepers.toml` in the workspace's folder. Each may also be given as an environment variable "
        "`KEEPERS_<SECTION>_<NAME>`, which takes precedence over the file: `KEEPERS_SERVER_PORT=9000`. An unknown "
        "section or name is refused with the nearest known one. The playbook is "
        "not configured here: it is in `playbook/`.\n",
        "While `keepers serve` has the workspace open, its settings hold for every command on this machine: those of "
        "the file and of its environment as it started. A command whose own environment gives a setting another value "
        "is refused with the code `settings` and the variable's name, so that no variable is passed over; the same "
        "value, or none, is fine. `keepers serve`, `collect` and `deliver` are processes of their own and take "
        "theirs.\n",
        "## For tests\n",
        f"`{TEST_CLOCK}={TEST_CLOCK_EXAMPLE}` moves the clock of a process: it shows the first instant when it really "
        "is the second, and runs on from there, so processes with the same value agree on the time. It is an "
        "environment variable alone and in no file. Every command, `keepers serve` at its start included, says on "
        "standard error that it is set, and `keepers doctor` lists it among the findings. A value that cannot be read "
        "is refused.\n",
    ]
    for section, struct in sections().items():
        docs = field_docs(struct)
        lines += [f"## [{section}]\n", "| name | type | default | meaning |", "|---|---|---|---|"]
        for one in msgspec.structs.fields(struct):
            default = one.default if one.default is not msgspec.NODEFAULT else one.default_factory()
            shown = msgspec.json.encode(default).decode()
            kind = _type(one.type)
            lines.append(f"| `{one.name}` | {kind} | `{shown}` | {_cell(docs.get(one.name, ''))} |")
        lines.append("")
    return "\n".join(lines)


def _type(kind: Any) -> str:
    names = {str: "text", int: "whole number", float: "number", bool: "true or false"}
    if get_origin(kind) is dict:
        return "table"
    return names.get(kind) or " or ".join(f"`{value}`" for value in get_args(kind))


def operators() -> str:
    """Every comparison operator, with its words."""
    lines = [
        "# Operators\n",
        "What a trait or a property may be compared by. Operators never give “unknown”: an absent value is not equal "
        "to anything, so `not` around a comparison is exact. How they are used: [conditions](conditions.md).\n",
        "| operator | also written | compared with | meaning |",
        "|---|---|---|---|",
    ]
    for row in OPERATORS:
        also = ", ".join(f"`{name}`" for name in row.aliases)
        lines.append(f"| `{row.id}` | {also} | {row.operand.doc} | {_cell(row.doc)} |")
    lines += ["\n## In words\n", "The sentence shown for a comparison, in each language of the interface.\n"]
    names = " | ".join(str(babel_locale(x).get_language_name("en")) for x in languages())
    lines += [f"| operator | {names} |", "|---" * (len(languages()) + 1) + "|"]
    for row in OPERATORS:
        lines.append(f"| `{row.id}` | " + " | ".join(_cell(gettext(row.words, x)) for x in languages()) + " |")
    return "\n".join(lines) + "\n"


def errors() -> str:
    """Every error code."""
    lines = [
        "# Error codes\n",
        "Every error has a stable code and a sentence that says what is wrong, where, and what to do. On the command "
        "line the sentence is printed and, with `--json`, the code too; over HTTP both are in the answer's body.\n",
        "Commands give errors in English. The management API and the calls of sites and apps give them in the language "
        "of the parameter `locale`, else of the `Accept-Language` header, else in English. The tracking calls go by "
        "the header alone; Segment's SDKs send none and get English.\n",
        "| code | meaning |",
        "|---|---|",
        *(f"| `{code}` | {_cell(text)} |" for code, text in sorted(CODES.items())),
    ]
    return "\n".join(lines) + "\n"


def codes_in_source() -> set[str]:
    """Every error code that the package can give."""
    found = set()
    for path in Path(keepers.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            value: Any = None
            match node:
                case ast.keyword(arg="code", value=ast.Constant(value=str(value))):
                    found.add(value)
                case ast.Assign(targets=[ast.Name(id="code")], value=ast.Constant(value=str(value))):
                    found.add(value)
                case ast.Call(func=ast.Name(id="_Answer"), args=[_, ast.Constant(value=str(value)), *_]):
                    found.add(value)
                case ast.Call(func=ast.Name(id="_failed"), args=[ast.Constant(value=str(value)), *_]):
                    found.add(value)
    return found


def lifecycle_templates() -> str:
    """The shipped lifecycles: stages, needs, and the words each asks about."""
    words = shipped().events
    lines = [
        "# Lifecycle templates\n",
        "`keepers init DIR --lifecycle ID` copies a template into the playbook, where it is yours to edit. A customer "
        "is in the **last** stage listed whose rule holds. The *words* are the derived events that its rules "
        "use; map your own event names to them as [this page](../howto/map-event-names.md) describes. "
        "`keepers templates` lists them with the derived events for which nothing of yours has arrived yet.\n",
    ]
    for one in templates().values():
        of = "accounts" if one.of == "account" else "people"
        also = f" Comes with: {', '.join(f'`{x}`' for x in one.lifecycles[1:])}." if len(one.lifecycles) > 1 else ""
        lines += [f"## {one.id}\n", f"**{text_in(one.name)}**, of {of}. {text_in(one.description)}.{also}\n"]
        lines += ["| stage | name | the customer needs |", "|---|---|---|"]
        for stage in one.stages:
            needs = "; ".join(text_in(need) for need in stage.needs)
            lines.append(f"| `{stage.id}` | {text_in(stage.name)} | {_cell(needs)} |")
        lines += ["", "| word | events usually mapped to it |", "|---|---|"]
        lines += [f"| `{word}` | {', '.join(f'`{event}`' for event in events)} |" for word, events in one.words.items()]
        lines.append("")
    lines += [
        "## Starter journeys\n",
        "`keepers init DIR --journeys ID` or `keepers journey add ID` copies a journey with its messages, and the "
        "topics, layouts and words it needs.\n",
        "| journey | what it does |",
        "|---|---|",
        *(f"| `{one.id}` | {_cell(text_in(one.description))} |" for one in starters().values()),
        "",
    ]
    lines += ["## All words\n", "| word | meaning |", "|---|---|"]
    lines += [f"| `{word.id}` | {_cell(text_in(word.description))} |" for word in words.values()]
    return "\n".join(lines) + "\n"


def pages() -> dict[str, str]:
    """File name under docs/reference → its text."""
    from endpoints import endpoints
    from sending_pages import channels, steps

    made: dict[str, Callable[[], str]] = {
        "commands.md": commands,
        "settings.md": settings,
        "operators.md": operators,
        "errors.md": errors,
        "templates.md": lifecycle_templates,
        "endpoints.md": endpoints,
        "steps.md": steps,
        "channels.md": channels,
    }
    return {name: MADE + make().rstrip() + "\n" for name, make in made.items()}


def stale() -> list[str]:
    """The pages that are not what the code says now."""
    return [
        name
        for name, text in pages().items()
        if not (FOLDER / name).is_file() or (FOLDER / name).read_text(encoding="utf-8") != text
    ]


def main() -> None:
    if "--check" in sys.argv[1:]:
        found = stale()
        for name in found:
            print(f"docs/reference/{name} is stale. Run: python docs/generate.py")
        sys.exit(1 if found else 0)
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        print(f"docs/reference/{name}")


if __name__ == "__main__":
    main()
