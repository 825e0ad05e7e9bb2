"""Deliver what is due, once or continuously."""

from __future__ import annotations

import signal
from collections.abc import Callable
from threading import Event

from keepers.app.workspace.clock import clock
from keepers.app.workspace.sending import Sending
from keepers.app.workspace.workspace import Workspace
from keepers.delivery.worker import Delivered

_EVERY_S = 1.0


def deliver(
    workspace: Workspace, worker: str, *, once: bool, stopping: Event, on_started: Callable[[], None]
) -> Delivered:
    """Delivers until it is stopped, or once; returns the outcomes counted.

    Customers are as they were when their messages were decided on: the warehouse belongs to another process. Raises
    ConflictError when, on SQLite, a server or another worker delivers already.
    """
    sending = Sending(workspace, clock, is_apart=True)
    deliverer = sending.deliverer(worker, clock)
    total = Delivered()

    def stop(number: int, frame: object) -> None:
        stopping.set()
        deliverer.stop()

    with deliverer:
        deliverer.open(workspace.clock())
        before = {one: signal.signal(one, stop) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            if not once:
                on_started()
            while not stopping.is_set():
                sending.refresh()
                done = deliverer.run_once(workspace.clock())
                for name in total.__struct_fields__:
                    setattr(total, name, getattr(total, name) + getattr(done, name))
                if once and not done.sent:
                    break
                if not done.sent:
                    stopping.wait(_EVERY_S)
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)
    return total
