"""Long work over HTTP tells how far it is as server-sent events; who leaves does not cancel it, who cancels ends it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any, NamedTuple

import httpx
import pytest
from msgspec import Struct

from keepers.app.operations import operations as of_app
from keepers.app.operations.operations import Operations, operations_of
from keepers.app.use_cases.actor import COMMAND_LINE, Actor
from keepers.app.use_cases.progress import Progress
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.cli.common import call_open
from keepers.cli.remote import call_server
from keepers.http.management import router
from keepers.model.errors import KeepersError, UserError
from keepers.server.serve import serve
from management_calls import assert_problem
from serving import SECRET, copied

PATIENCE_S = 20.0


class Steps(Struct, frozen=True, kw_only=True):
    """Which steps are taken is told by the test."""

    name: str = "one"
    fails: bool = False


class StepsTaken(Struct, frozen=True):
    """How many steps were taken."""

    steps: int


class Work:
    """Long work that steps when the test says so."""

    def __init__(self) -> None:
        self.has_begun, self.has_ended, self.may_step = Event(), Event(), Event()

    def run(self, request: Steps, progress: Progress) -> StepsTaken:
        self.has_begun.set()
        try:
            for done in range(1, 4):
                progress(done, 3)
                assert self.may_step.wait(PATIENCE_S)
            progress(3, 3)
            if request.fails:
                raise UserError("It cannot be done.", code="invalid")
            return StepsTaken(3)
        finally:
            self.has_ended.set()


WORKS: dict[str, Work] = {}


@use_case("POST /test/steps", permission="manage", lock="sequenced", tag="operations", is_long=True)
def take_steps(workspace: Workspace, actor: Actor, request: Steps, progress: Progress) -> StepsTaken:
    """Take steps."""
    return WORKS[request.name].run(request, progress)


class Server(NamedTuple):
    """`keepers serve` in a thread of this process, on a real socket."""

    api: httpx.Client
    workspace: Workspace
    stop: Event
    done: Future[None]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.fixture
def server(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: ThreadPoolExecutor
) -> Iterator[Server]:
    monkeypatch.setattr(router, "USE_CASES", (*router.USE_CASES, take_steps))
    WORKS.clear()
    WORKS.update(one=Work(), two=Work(), three=Work())
    workspace = Workspace.open(copied(shop, tmp_path / "shop"))
    addresses: list[str] = []
    is_up, stop = Event(), Event()

    def started(address: str) -> None:
        addresses.append(address)
        is_up.set()

    done = threads.submit(serve, workspace, port=0, on_started=started, stop=stop, ticking=False)
    assert is_up.wait(PATIENCE_S), done.exception(0)
    headers = {"Authorization": f"Bearer {SECRET}"}
    with httpx.Client(base_url=f"{addresses[0]}/api/v1", headers=headers, timeout=PATIENCE_S, trust_env=False) as api:
        yield Server(api, workspace, stop, done)
        for work in WORKS.values():
            work.may_step.set()
        stop.set()
        done.result(PATIENCE_S)
    workspace.close()


def start(server: Server, **steps: Any) -> str:
    answer = server.api.post("/test/steps", json=steps, headers={"Prefer": "respond-async"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def events(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(event, data) of a stream as they come, comments left out."""
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def test_progress_comes_as_it_is_made_and_the_result_ends_the_stream(server: Server) -> None:
    operation = start(server)
    work = WORKS["one"]
    assert work.has_begun.wait(PATIENCE_S)
    with server.api.stream("GET", f"/operations/{operation}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-cache"
        stream = events(answer.iter_lines())
        name, first = next(stream)
        assert (name, first["status"], first["done"], first["total"]) == ("progress", "running", 1, 3)
        work.may_step.set()
        rest = list(stream)
    name, last = rest[-1]
    assert (name, last["status"], last["result"]) == ("ended", "succeeded", {"steps": 3})
    assert last == server.api.get(f"/operations/{operation}").json()
    assert [one for one, _ in rest[:-1]] == ["progress"] * (len(rest) - 1)
    again = list(events(iter(server.api.get(f"/operations/{operation}/events").text.splitlines())))
    assert again == [("ended", last)]


def test_who_leaves_cancels_nothing_and_gets_the_present_state_on_coming_back(server: Server) -> None:
    operation = start(server, fails=True)
    work = WORKS["one"]
    for _ in range(2):
        with server.api.stream("GET", f"/operations/{operation}/events") as answer:
            assert next(events(answer.iter_lines()))[1]["status"] == "running"
    assert not work.has_ended.is_set()
    work.may_step.set()
    (_, last) = list(events(iter(server.api.get(f"/operations/{operation}/events").text.splitlines())))[-1]
    assert (last["status"], last["error"]["code"]) == ("failed", "invalid")


def test_watchers_are_counted_and_bounded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_app, "MOST_WATCHERS", 2)
    operation = start(server)
    url = f"/operations/{operation}/events"
    with server.api.stream("GET", url) as one, server.api.stream("GET", url) as two:
        assert (one.status_code, two.status_code) == (200, 200)
        assert_problem(server.api.get(url), 429, "busy")
    deadline = time.monotonic() + PATIENCE_S
    while operations_of(server.workspace).watching:
        assert time.monotonic() < deadline, "watchers that left are still counted"
        time.sleep(0.05)
    WORKS["one"].may_step.set()
    assert server.api.get(url).status_code == 200
    assert_problem(server.api.get("/operations/nothing/events"), 404, "not_found")
    assert httpx.get(f"{server.api.base_url}{url.lstrip('/')}", trust_env=False).status_code == 401


def state(server: Server, operation: str) -> dict[str, Any]:
    found: dict[str, Any] = server.api.get(f"/operations/{operation}").json()
    return found


def until(server: Server, operation: str, **wanted: Any) -> dict[str, Any]:
    """The operation as soon as these fields are so."""
    with server.api.stream("GET", f"/operations/{operation}/events") as answer:
        for _, found in events(answer.iter_lines()):
            if wanted.items() <= found.items():
                return found
    raise AssertionError(f"it never was {wanted}: {state(server, operation)}")


def test_work_that_conflicts_waits_in_order_and_says_so(server: Server) -> None:
    ids = []
    for n, name in enumerate(WORKS):
        ids.append(start(server, name=name))
        until(server, ids[-1], waits_for=n)
    assert WORKS["one"].has_begun.wait(PATIENCE_S)
    assert [state(server, i)["waits_for"] for i in ids] == [0, 1, 2]
    assert not WORKS["two"].has_begun.is_set()
    WORKS["one"].may_step.set()
    until(server, ids[1], waits_for=0)
    until(server, ids[2], waits_for=1)
    assert WORKS["two"].has_begun.wait(PATIENCE_S)
    assert not WORKS["three"].has_begun.is_set()
    for name in ("two", "three"):
        WORKS[name].may_step.set()
    assert [until(server, i, status="succeeded")["waits_for"] for i in ids] == [0, 0, 0]


def test_work_that_waits_is_cancelled_at_once_and_leaves_its_place(server: Server) -> None:
    first, second, third = (start(server, name=name) for name in WORKS)
    until(server, second, waits_for=1)
    until(server, third, waits_for=2)
    assert server.api.post(f"/operations/{second}/cancel").status_code == 200
    assert until(server, second, status="cancelled")["error"]["code"] == "cancelled"
    until(server, third, waits_for=1)
    assert not WORKS["two"].has_begun.is_set()
    for name in ("one", "three"):
        WORKS[name].may_step.set()
    assert [until(server, i, status="succeeded")["result"] for i in (first, third)] == [{"steps": 3}] * 2


def test_a_stopping_server_ends_long_work_and_its_streams(server: Server, threads: ThreadPoolExecutor) -> None:
    running, waiting = start(server, name="one"), start(server, name="two")
    assert WORKS["one"].has_begun.wait(PATIENCE_S)
    until(server, waiting, waits_for=1)
    cancelled = [threads.submit(lambda i=i: until(server, i, status="cancelled")) for i in (running, waiting)]
    operations: Operations = operations_of(server.workspace)
    began = time.monotonic()
    while operations.watching < 2:
        time.sleep(0.02)
    server.stop.set()
    while not operations.is_stopping:
        time.sleep(0.02)
    WORKS["one"].may_step.set()
    assert ["The server stopped" in one.result(PATIENCE_S)["error"]["message"] for one in cancelled] == [True, True]
    server.done.result(PATIENCE_S)
    assert time.monotonic() - began < PATIENCE_S / 2
    assert WORKS["one"].has_ended.is_set()
    assert not WORKS["two"].has_begun.is_set()
    with pytest.raises(KeepersError, match="is stopping"):
        operations.start(take_steps, COMMAND_LINE, Steps())


def test_the_command_follows_the_stream(server: Server) -> None:
    found = server.workspace.server()
    assert found is not None
    shown: list[tuple[int, int]] = []

    def report(done: int, total: int) -> None:
        shown.append((done, total))
        WORKS["one"].may_step.set()

    assert call_server(found, server.workspace.settings, take_steps, Steps(), report) == StepsTaken(3)
    assert shown[0] == (1, 3)
    assert shown[-1] == (3, 3)
    with pytest.raises(UserError, match="It cannot be done"):
        call_server(found, server.workspace.settings, take_steps, Steps(fails=True), report)


def test_ctrl_c_of_the_command_cancels(server: Server) -> None:
    found = server.workspace.server()
    assert found is not None

    def interrupted(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        call_server(found, server.workspace.settings, take_steps, Steps(), interrupted)
    WORKS["one"].may_step.set()
    (operation,) = operations_of(server.workspace).ids()
    assert until(server, operation, status="cancelled")["error"]["code"] == "cancelled"


def test_the_command_goes_on_where_too_many_watch_already(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_app, "MOST_WATCHERS", 0)
    WORKS["one"].may_step.set()
    assert call_open(server.workspace, take_steps, Steps()) == StepsTaken(3)
