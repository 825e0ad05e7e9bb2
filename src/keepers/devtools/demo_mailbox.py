"""The demo's mailbox in a process of its own, so that receiving does not slow down sending."""

from __future__ import annotations

import multiprocessing
import signal
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from keepers.app.workspace.clock import clock
from keepers.devtools.mailbox import Mailbox
from keepers.devtools.mailbox_folder import MailboxFolder
from keepers.model.errors import UserError

_START_S = 60
_END_S = 10


class DemoMailbox:
    """A running mailbox on any free ports. It ends with `stop`, and by itself when the demo's process is gone."""

    def __init__(self, folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._folder = folder
        self._line, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(folder, theirs), name="mailbox", daemon=True)
        self._process.start()
        theirs.close()
        if not self._line.poll(_START_S):
            self.stop()
            raise UserError("The demo's mailbox does not start. Try again, or leave e-mails out with --messages 0.")
        try:
            self.smtp_port, self.url = self._line.recv()
        except EOFError:
            raise UserError("The demo's mailbox ended at once; what it said stands above.") from None

    def count(self) -> int:
        """How many messages arrived."""
        return MailboxFolder(self._folder).count()

    def stop(self) -> None:
        """Ends it; what arrived stays in the folder."""
        self._line.close()
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.terminate()


def _run(folder: Path, line: Connection) -> None:
    # Ctrl-C is handled by the demo's process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    mailbox = Mailbox(folder, smtp_port=0, http_port=0, now=clock)
    mailbox.start()
    try:
        line.send((mailbox.smtp_port, mailbox.url))
        with suppress(EOFError):  # the demo closed its end, or died
            line.recv()
    finally:
        mailbox.stop()
