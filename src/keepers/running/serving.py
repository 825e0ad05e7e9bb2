"""The server of one workspace: who listens where, the ticker beside it, and how both come to a clean end."""

from __future__ import annotations

import errno
import json
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from ipaddress import ip_address
from pathlib import Path
from threading import Event, Thread, current_thread, main_thread
from typing import Any

import uvicorn
from litestar import Litestar
from litestar.concurrency import set_asyncio_executor
from litestar.types import ControllerRouterHandler

from keepers import __version__
from keepers.api.app import create_app
from keepers.api.commands import command_handler
from keepers.api.health import Figures
from keepers.api.management import management, options
from keepers.api.public.handlers import public_handlers
from keepers.api.status import status_handlers
from keepers.cli.commands import COMMANDS
from keepers.model.errors import ConflictError, UserError
from keepers.running.at_desk import OpenDesk
from keepers.running.bounces import BounceReading
from keepers.running.delivering import DeliveryLoop
from keepers.running.public_desk import OpenPublicDesk
from keepers.running.ticking import TickLoop
from keepers.store.keys import KeyRing
from keepers.wire import DATA, SERVER_FILE, Workspace, clock

API_THREADS = 8
_GRACE_S = 3
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
    """Serves until SIGINT, SIGTERM or `stop`. `on_started` is told the address once requests are answered.

    `host` and `port` are the settings' unless given; port 0 takes any free one. Raises ConflictError when the
    port or the workspace is taken.
    """
    with ExitStack() as stack:
        _own(stack, workspace)
        sockets, address = _listen(stack, workspace, host, port)
        workspace.listening_at = address
        stack.enter_context(_logging(workspace))
        figures, keys = Figures(), KeyRing(workspace.store.read)
        loop = TickLoop(workspace, figures.registry) if ticking else None
        sends = ticking and workspace.settings.sending.enabled
        delivery = DeliveryLoop(workspace, figures.registry) if sends else None
        if loop is not None and delivery is not None:
            loop.on_queued = delivery.wake
        bounces = BounceReading(workspace, loop.wake if loop is not None else None)
        stack.callback(bounces.stop)
        bounces.start()
        desk = OpenDesk(workspace, COMMANDS, loop)
        token = secrets.token_urlsafe(32)
        handlers: list[ControllerRouterHandler] = [
            management(desk, keys),
            command_handler(desk, token),
            *status_handlers(desk, workspace.settings.server.page),
            *public_handlers(OpenPublicDesk(workspace, keys)),
        ]

        @asynccontextmanager
        async def ticked(_app: Litestar) -> AsyncGenerator[None, None]:
            if loop is not None:
                loop.start()
            if delivery is not None:
                delivery.start()
            yield

        app = _app(
            workspace, figures, handlers, loop, keys=keys, lifespan=[ticked], notes=desk.notes, **options(__version__)
        )

        @contextmanager
        def announced() -> Iterator[None]:
            with _server_file(workspace, _local(sockets), token):
                if on_started is not None:
                    on_started(address)
                yield

        # Handlers of the API share these; the event loop's own pool stays free for keys and health.
        executor = ThreadPoolExecutor(API_THREADS, thread_name_prefix="api")
        set_asyncio_executor(executor)
        try:
            _run(app, sockets, announced, stop)
        finally:
            bounces.stop()
            if delivery is not None:
                delivery.stop()
            if loop is not None:
                loop.stop()
            desk.interrupt()
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
        sockets, address = _listen(stack, workspace, host, port)
        stack.enter_context(_logging(workspace))
        app = _app(workspace, Figures(), [], None, **options(__version__))

        @contextmanager
        def announced() -> Iterator[None]:
            if on_started is not None:
                on_started(address)
            yield

        _run(app, sockets, announced, stop)


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
            f"This workspace is served already, at {other['address']}. Use that one, or stop it first."
        ) from None


def _app(
    workspace: Workspace,
    figures: Figures,
    handlers: list[ControllerRouterHandler],
    loop: TickLoop | None,
    **more: Any,
) -> Litestar:
    chosen = workspace.settings.collect
    return create_app(
        workspace.store,
        clock=clock,
        on_arrival=loop.wake if loop is not None else None,
        handlers=handlers,
        limits=chosen.limits,
        most_waiting=chosen.max_waiting,
        figures=figures,
        **more,
    )


class _Server(uvicorn.Server):
    """uvicorn's, ending quietly on a signal and saying when it answers."""

    def __init__(self, config: uvicorn.Config, announced: Callable[[], Any]) -> None:
        super().__init__(config)
        self._announced = announced

    async def main_loop(self) -> None:
        with self._announced():
            await super().main_loop()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own raises the signal again at the end, so that a wanted stop would look like a failure.
        if current_thread() is not main_thread():
            yield
            return
        before = {s: signal.signal(s, self.handle_exit) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for signal_number, handler in before.items():
                signal.signal(signal_number, handler)


def _run(app: Litestar, sockets: list[socket.socket], announced: Callable[[], Any], stop: Event | None) -> None:
    config = uvicorn.Config(
        app,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http="httptools",
        ws="none",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        # The peer's address decides what is local; a header must not be able to claim it.
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = _Server(config, announced)
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


def _listen(
    stack: ExitStack, workspace: Workspace, host: str | None, port: int | None
) -> tuple[list[socket.socket], str]:
    """Sockets to serve on and the address to show. The last socket is one that this machine can reach."""
    host = host or workspace.settings.server.host
    port = workspace.settings.server.port if port is None else port
    found = [_bound(stack, host, port)]
    bound = found[0].getsockname()
    address = ip_address(bound[0].partition("%")[0])
    if not address.is_loopback and not address.is_unspecified:
        # Commands are taken over loopback alone, so there has to be a way in.
        found.append(_bound(stack, "127.0.0.1", 0))
    shown = "127.0.0.1" if address.is_unspecified else str(address)
    return found, _url(shown, bound[1])


def _bound(stack: ExitStack, host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        made = socket.create_server(place[:2], family=family, backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConflictError(
                f"Port {port} of {host} is in use by another program. Choose another with --port, or stop that one.",
                code="port",
            ) from None
        raise UserError(
            f"Cannot listen on {host}, port {port}: {error.strerror or error}. Choose others with --host and --port.",
            code="port",
        ) from None
    stack.callback(made.close)
    return made


def _local(sockets: list[socket.socket]) -> str:
    """The address at which this machine reaches the server."""
    bound = sockets[-1].getsockname()
    address = ip_address(bound[0].partition("%")[0])
    if address.is_unspecified:
        return _url("127.0.0.1" if address.version == 4 else "::1", bound[1])
    return _url(str(address), bound[1])


def _url(address: str, port: int) -> str:
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


@contextmanager
def _server_file(workspace: Workspace, address: str, token: str) -> Iterator[None]:
    """Tells commands on this machine where the server is, readable by the same user alone."""
    path = workspace.folder / DATA / SERVER_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"address": address, "pid": os.getpid(), "token": token})
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(content)
    fresh.replace(path)
    try:
        yield
    finally:
        if path.is_file() and path.read_text(encoding="utf-8") == content:
            path.unlink()


@contextmanager
def _logging(workspace: Workspace) -> Iterator[None]:
    """Lines for people on standard error; what is our mistake, in full, in data/errors.log."""
    lines = logging.StreamHandler()
    lines.setFormatter(_Line("%(asctime)s %(message)s", "%H:%M:%S"))
    full = logging.FileHandler(_errors_file(workspace), delay=True, encoding="utf-8")
    full.setLevel(logging.ERROR)
    full.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    full.addFilter(lambda record: bool(record.exc_info))
    for handler in (lines, full):
        log.addHandler(handler)
    try:
        yield
    finally:
        for handler in (lines, full):
            log.removeHandler(handler)
            handler.close()


def _errors_file(workspace: Workspace) -> Path:
    folder = workspace.folder / DATA
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "errors.log"


class _Line(logging.Formatter):
    """One line, without the traceback, which is kept in the file."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name logging calls
        return ""

    def format(self, record: logging.LogRecord) -> str:
        kept, record.exc_text = record.exc_text, None
        text = super().format(record).rstrip()
        record.exc_text = kept
        return text
