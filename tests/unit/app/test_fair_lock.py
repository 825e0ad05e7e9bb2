"""The lock that threads of a process take turns by: in the order of asking, re-entrant, freed whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic, sleep

import pytest

from keepers.app.workspace.fair_lock import FairLock

PATIENCE_S = 20.0


class Holder:
    """A thread that asks for the lock, has it until it is told to leave, and notes its name when it has it."""

    def __init__(self, lock: FairLock, name: str, order: list[str], threads: ThreadPoolExecutor) -> None:
        self._lock, self._name, self._order = lock, name, order
        self._has_begun, self.has_it, self._leaves = threading.Event(), threading.Event(), threading.Event()
        self._done: Future[None] = threads.submit(self._run)
        assert self._has_begun.wait(PATIENCE_S)

    def _run(self) -> None:
        self._has_begun.set()
        with self._lock.held():
            self._order.append(self._name)
            self.has_it.set()
            assert self._leaves.wait(PATIENCE_S)

    def leave(self) -> None:
        self._leaves.set()
        self._done.result(PATIENCE_S)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def until_waiting(lock: FairLock, number: int) -> None:
    """Returns when so many threads wait for the lock."""
    deadline = monotonic() + PATIENCE_S
    while lock.waiting != number:
        assert monotonic() < deadline
        sleep(0.005)


def test_threads_have_it_one_at_a_time_in_the_order_of_asking(threads: ThreadPoolExecutor) -> None:
    lock, order = FairLock(), []
    holders: list[Holder] = []
    for n, name in enumerate("abcde"):
        holders.append(Holder(lock, name, order, threads))
        if n == 0:
            assert holders[0].has_it.wait(PATIENCE_S)
        until_waiting(lock, n)
    for n, holder in enumerate(holders):
        assert holder.has_it.wait(PATIENCE_S)
        assert order == list("abcde")[: n + 1]
        holder.leave()
    assert lock.waiting == 0


def test_who_lets_go_and_asks_again_stands_behind_those_who_wait(threads: ThreadPoolExecutor) -> None:
    lock, order = FairLock(), []
    with lock.held():
        other = Holder(lock, "other", order, threads)
        until_waiting(lock, 1)
        threads.submit(other.leave)
    with lock.held():
        order.append("again")
    assert order == ["other", "again"]


def test_who_has_it_may_take_it_again_and_others_wait_for_the_outermost_block(threads: ThreadPoolExecutor) -> None:
    lock, order = FairLock(), []
    with lock.held():
        with lock.held(), lock.held():
            other = Holder(lock, "other", order, threads)
            until_waiting(lock, 1)
        assert not other.has_it.wait(0.1)
    assert other.has_it.wait(PATIENCE_S)
    other.leave()


def test_an_exception_frees_it_at_every_depth(threads: ThreadPoolExecutor) -> None:
    lock, order = FairLock(), []

    def fail(depth: int) -> None:
        with lock.held():
            if depth:
                fail(depth - 1)
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        fail(2)
    other = Holder(lock, "other", order, threads)
    assert other.has_it.wait(PATIENCE_S)
    other.leave()


def test_who_waits_is_told_how_many_are_ahead_and_may_give_up(threads: ThreadPoolExecutor) -> None:
    lock, ahead_of = FairLock(), {"first": [-1], "second": [-1]}
    gives_up = threading.Event()

    def wait(name: str) -> None:
        def on_wait(ahead: int) -> None:
            ahead_of[name].append(ahead)
            if name == "first" and gives_up.is_set():
                raise InterruptedError

        with lock.held(on_wait):
            assert ahead_of[name][-1] == 0

    with lock.held():
        first = threads.submit(wait, "first")
        until_waiting(lock, 1)
        second = threads.submit(wait, "second")
        until_waiting(lock, 2)
        assert (ahead_of["first"][-1], ahead_of["second"][-1]) == (1, 2)
        gives_up.set()
        lock.wake()
        with pytest.raises(InterruptedError):
            first.result(PATIENCE_S)
        until_waiting(lock, 1)
        deadline = monotonic() + PATIENCE_S
        while ahead_of["second"][-1] != 1:
            assert monotonic() < deadline
            sleep(0.005)
    second.result(PATIENCE_S)
    assert ahead_of["second"][-1] == 0
    assert lock.waiting == 0


def test_who_gives_up_when_the_turn_has_come_frees_it(threads: ThreadPoolExecutor) -> None:
    lock, order = FairLock(), []

    def refuse(ahead: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError), lock.held(refuse):
        order.append("never")
    other = Holder(lock, "other", order, threads)
    assert other.has_it.wait(PATIENCE_S)
    other.leave()
    assert order == ["other"]
