"""The server of one workspace: sockets, loops, and a clean shutdown."""

from __future__ import annotations

import logging
import secrets
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from threading import Event, Thread, current_thread, main_thread
from typing import Any

import uvicorn
from litestar import Litestar
from litestar.concurrency import set_asyncio_executor
from litestar.datastructures import State
from litestar.types import ControllerRouterHandler

from keepers import __version__
from keepers.app.access.key_ring import KeyRing
from keepers.app.access.page_access import PageAccess
from keepers.app.operations.events import EventIntake
from keepers.app.operations.health import readiness_notes
from keepers.app.operations.imports import remove_uploads
from keepers.app.operations.operations import operations_of
from keepers.app.workspace.files.server_file import publish_server
from keepers.app.workspace.workspace import Workspace
from keepers.http.application import create_app
from keepers.http.common.metrics import ServerMetrics
from keepers.http.management.router import PATH, management, options
from keepers.http.public.router import public_handlers
from keepers.http.status_page import status_handlers
from keepers.model.errors import ConflictError
from keepers.server.bounce_loop import BounceReading
from keepers.server.connections import ConnectionLimits, Connections, raise_file_limit
from keepers.server.delivery_loop import DeliveryLoop
from keepers.server.http_protocol import LimitedProtocol
from keepers.server.listen import local_address, open_sockets
from keepers.server.log_file import log_to_file
from keepers.server.tick_loop import TickLoop
from keepers.server.upkeep_loop import UpkeepLoop
from keepers.warehouse.privacy.compaction import remove_left

API_THREADS = 8
_GRACE_S = 3
_PATIENCE_S = 10.0
log = logging.getLogger("keepers")
Started = Callable[[str], None]


def serve(
    workspace: Workspace,
    host: str | None = None,
    port: int | None = None,
    on_started: Started | None = None,
    stop: Event | None = None,
    ticking: bool = True,
) -> None:
    """Serves until SIGINT, SIGTERM or `stop`. `on_started` is called with the address once requests are answered.

    `host` and `port` are the settings' unless given; port 0 takes any free one. Raises ConflictError when the
    port or the workspace is taken.
    """
    with ExitStack() as stack:
        _own(stack, workspace)
        sockets, address = open_sockets(stack, workspace, host, port)
        workspace.listening_at = address
        remove_uploads(workspace)
        remove_left(workspace.folder / workspace.settings.warehouse.path)
        stack.enter_context(log_to_file(workspace))
        figures, keys = ServerMetrics(), workspace.key_ring
        loop = TickLoop(workspace, figures.registry) if ticking else None
        sends = ticking and workspace.settings.sending.enabled
        delivery = DeliveryLoop(workspace, figures.registry) if sends else None
        daily = UpkeepLoop(workspace) if ticking else None
        if loop is not None and delivery is not None:
            loop.on_queued = delivery.wake
        bounces = BounceReading(workspace, loop.wake if loop is not None else None, figures.registry)
        stack.callback(bounces.stop)
        bounces.start()
        if loop is not None:
            workspace.wake = loop.wake
            workspace.ticker_status = lambda: loop.status
        token = secrets.token_urlsafe(32)
        handlers: list[ControllerRouterHandler] = [
            management(keys, workspace.clock, token),
            *(status_handlers(workspace) if workspace.settings.server.page == "on" else ()),
            *public_handlers(workspace),
        ]

        @asynccontextmanager
        async def ticked(_app: Litestar) -> AsyncGenerator[None, None]:
            if loop is not None:
                loop.start()
            if delivery is not None:
                delivery.start()
            if daily is not None:
                daily.start()
            yield

        app = _app(
            workspace,
            figures,
            handlers,
            loop,
            keys=keys,
            lifespan=[ticked],
            notes=partial(readiness_notes, workspace),
            state=State({"workspace": workspace, "management_path": PATH}),
            **options(__version__),
        )

        @contextmanager
        def announced() -> Iterator[None]:
            with publish_server(workspace, local_address(sockets), token):
                if on_started is not None:
                    on_started(address)
                yield

        # Handlers of the API share these; the event loop's own pool stays free for keys and health.
        executor = ThreadPoolExecutor(API_THREADS, thread_name_prefix="api")
        set_asyncio_executor(executor)
        operations = operations_of(workspace)
        try:
            _run(app, sockets, announced, stop, operations.stop, _connections(workspace, figures))
        finally:
            # First: the ticker may wait for one of them.
            operations.stop()
            if not operations.wait_ended(_PATIENCE_S):
                log.error("Long work did not end in time; what it had committed is kept.")
            bounces.stop()
            if daily is not None:
                daily.stop()
            if delivery is not None:
                delivery.stop()
            if loop is not None:
                loop.stop()
            workspace.interrupt()
            set_asyncio_executor(None)
            executor.shutdown(wait=True, cancel_futures=True)


def collect(
    workspace: Workspace,
    host: str | None = None,
    port: int | None = None,
    on_started: Started | None = None,
    stop: Event | None = None,
) -> None:
    """Takes events only: neither ticks nor opens the warehouse. Any number may run beside `serve`."""
    with ExitStack() as stack:
        sockets, address = open_sockets(stack, workspace, host, port)
        stack.enter_context(log_to_file(workspace))
        figures = ServerMetrics()
        app = _app(workspace, figures, [], None, keys=workspace.key_ring, **options(__version__))

        @contextmanager
        def announced() -> Iterator[None]:
            if on_started is not None:
                on_started(address)
            yield

        _run(app, sockets, announced, stop, lambda: None, _connections(workspace, figures))


def _connections(workspace: Workspace, figures: ServerMetrics) -> Connections:
    """The connections of a server by the settings."""
    chosen = workspace.settings.server
    limits = ConnectionLimits(
        header_s=chosen.header_seconds,
        header_bytes=chosen.max_header_bytes,
        body_s=chosen.body_seconds,
        most=raise_file_limit(chosen.max_connections),
        most_of_network=0 if chosen.proxies else chosen.max_connections_per_address,
    )
    return Connections(limits, figures.registry)


def _own(stack: ExitStack, workspace: Workspace) -> None:
    """Takes the workspace for the server's life. The lock decides: the file that a killed server left behind may
    name a process that is another one by now, in a container even this one."""
    try:
        stack.enter_context(workspace.owning("keepers serve"))
    except ConflictError:
        other = workspace.server()
        if other is None:
            raise
        raise ConflictError(
            f"This workspace is served already, at {other.address}. Use that one, or stop it first."
        ) from None


def _app(
    workspace: Workspace,
    figures: ServerMetrics,
    handlers: list[ControllerRouterHandler],
    loop: TickLoop | None,
    keys: KeyRing | None = None,
    **more: Any,
) -> Litestar:
    chosen = workspace.settings.collect
    events = EventIntake(
        workspace.store,
        on_arrival=loop.wake if loop is not None else None,
        limits=chosen.limits,
        most_waiting=chosen.max_waiting,
        keys=keys,
        public_limits=workspace.public_limits,
    )
    access = workspace.part(PageAccess)
    return create_app(
        events,
        clock=workspace.clock,
        handlers=handlers,
        figures=figures,
        access=access,
        is_https=workspace.settings.public.url.lower().startswith("https:"),
        proxies=workspace.settings.server.proxies,
        **more,
    )


class _Server(uvicorn.Server):
    """uvicorn's, ending quietly on a signal and saying when it answers."""

    def __init__(self, config: uvicorn.Config, announced: Callable[[], Any], on_stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._announced = announced
        self._on_stopping = on_stopping

    async def main_loop(self) -> None:
        with self._announced():
            await super().main_loop()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Long work ends, and with it the streams of who watches it: they would be waited for.
        self._on_stopping()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn raises the signal again at the end, so that a normal stop would look like a failure.
        if current_thread() is not main_thread():
            yield
            return
        before = {s: signal.signal(s, self.handle_exit) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for signal_number, handler in before.items():
                signal.signal(signal_number, handler)


def _run(
    app: Litestar,
    sockets: list[socket.socket],
    announced: Callable[[], Any],
    stop: Event | None,
    on_stopping: Callable[[], None],
    connections: Connections,
) -> None:
    config = uvicorn.Config(
        app,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http=partial(LimitedProtocol, connections=connections),  # type: ignore[arg-type]  # uvicorn only calls it
        ws="none",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        # Whether a request is local follows from the peer's address; headers can be forged.
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = _Server(config, announced, on_stopping)
    ended = Event()

    def watch() -> None:
        assert stop is not None
        while not ended.is_set() and not stop.wait(0.1):
            pass
        server.should_exit = True

    watcher = Thread(target=watch, name="stop", daemon=True) if stop is not None else None
    if watcher is not None:
        watcher.start()
    try:
        server.run(sockets=sockets)
    finally:
        ended.set()
        if watcher is not None:
            watcher.join()
