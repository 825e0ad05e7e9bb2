"""What a command does, the management API does too, and the other way about; what is left out has its reason here."""

from __future__ import annotations

import ast
import inspect
import textwrap
from importlib import import_module
from typing import Any

import pytest
import typer

from keepers.app.use_cases.use_case import UseCase
from keepers.cli.common import app, load_commands
from keepers.http.management.router import USE_CASES

NO_USE_CASE = {
    "serve": "is the server",
    "collect": "is a server of the tracking calls alone",
    "deliver": "is a worker, which runs until it is stopped",
    "mailbox": "is a mail server for trying things out",
    "init": "makes the workspace that an endpoint would need",
    "restore": "makes the workspace that an endpoint would need",
    "backups": "reads a folder of backups; the workspace they are of may be gone",
    "new-secret": "needs no workspace; the endpoints are POST /channels/webhook/secret and /channels/push/keys",
}
NO_COMMAND = {
    "list_profiles": "`profile` names one; looking through many is for a screen",
    "read_timeline": "`profile` shows the last events, `export` all of them",
    "list_segments": "`plan` and `count` name segments; the figures of all are for a screen",
    "read_segment": "for a screen",
    "list_members": "for a screen",
    "read_stage_history": "a curve, for a screen",
    "count_condition": "`count FILE` reads the condition from a file",
    "describe_condition": "for an editor of conditions",
    "read_journey_schemas": "for an editor of journeys",
    "list_runs": "`journey show` has the figures, `why` the runs of one customer",
    "read_message_copy": "`message show --html` reads the copy with the message",
    "make_webhook_secret": "`new-secret` makes it without a workspace",
    "make_push_keys": "`new-secret` makes them without a workspace",
    "add_codes": "`coupons import` takes a file",
    "list_definitions": "the playbook is in files",
    "read_definition": "the playbook is in files",
    "list_starters": "`journey add` names those there are",
    "list_imports": "`import` says what came of each file",
    "import_upload": "`import` reads the file itself",
    "read_health": "`doctor` says more",
    "read_operation": "a command waits for what it started",
    "cancel_operation": "Ctrl-C",
    "read_overview": "the status page",
}


def commands(group: Any = None, before: str = "") -> dict[str, Any]:
    """`keys create` → the function, of every command."""
    if group is None:
        load_commands()
        group = typer.main.get_command(app)
    found: dict[str, Any] = {}
    for name, one in group.commands.items():
        path = f"{before} {name}".strip()
        found |= commands(one, path) if hasattr(one, "commands") else {path: inspect.unwrap(one.callback)}
    return found


def use_cases_of(function: Any) -> set[str]:
    """The use cases that a function imports from `app`, or that functions of its own module import for it."""
    module = import_module(function.__module__)
    found: set[str] = set()
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith("keepers."):
            for named in node.names:
                imported_object = getattr(import_module(node.module), named.name, None)
                if isinstance(imported_object, UseCase):
                    found.add(imported_object.name)
                elif inspect.isfunction(imported_object) and node.module.startswith("keepers.cli."):
                    imported = vars(import_module(node.module)).items()
                    found |= {
                        one.name
                        for name, one in imported
                        if isinstance(one, UseCase) and name in _names(imported_object)
                    }
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.startswith("_"):
            inner = getattr(module, node.func.id, None)
            found |= use_cases_of(inner) if inspect.isfunction(inner) else set()
    return found


def _names(function: Any) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(inspect.getsource(function))) if isinstance(node, ast.Name)}


COMMANDS = commands()
ENDPOINTS = {what.name for what in USE_CASES}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_command_calls_a_use_case_that_has_an_endpoint(command: str) -> None:
    called = use_cases_of(COMMANDS[command])
    assert bool(called) != (command in NO_USE_CASE), f"{command} calls {called or 'no use case'}"
    assert called <= ENDPOINTS


def test_an_endpoint_is_called_by_a_command_or_has_a_reason_not_to_be() -> None:
    called = set().union(*map(use_cases_of, COMMANDS.values()))
    assert ENDPOINTS - called - NO_COMMAND.keys() == set(), "neither a command nor a reason"
    assert NO_COMMAND.keys() & called == set(), "it has a command now"
    assert NO_COMMAND.keys() <= ENDPOINTS
    assert NO_USE_CASE.keys() <= COMMANDS.keys()


@pytest.mark.parametrize(
    ("command", "method", "path"),
    [
        ("replay", "POST", "/journeys/{id}/replay"),
        ("message test", "POST", "/messages/test"),
        ("machine-rules rerun", "POST", "/messages/machine-rules/rerun"),
        ("erase", "POST", "/profiles/{id}/erase"),
        ("export", "GET", "/profiles/{id}/export"),
        ("unmerge", "POST", "/profiles/{id}/unmerge"),
    ],
)
def test_these_have_their_address(command: str, method: str, path: str) -> None:
    routes = {what.name: what.route for what in USE_CASES}
    assert (method, path) in {(routes[name].method, routes[name].path) for name in use_cases_of(COMMANDS[command])}
