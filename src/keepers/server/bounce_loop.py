"""Bounces, complaints and unsubscriptions by e-mail: an SMTP port, and mailboxes that are polled."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event, Thread

import msgspec
from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy import Connection

from keepers.app.workspace.workspace import Workspace
from keepers.channels.email.bounces.imap import ImapSettings, read_imap
from keepers.channels.email.bounces.mail_reader import MailReader
from keepers.channels.email.bounces.set_aside import FOLDER
from keepers.channels.email.bounces.sources import BounceListener, read_maildir, read_mbox
from keepers.delivery.bounce_readings import STATE, Reading
from keepers.model.errors import KeepersError, UserError
from keepers.model.message import DeliveryReport
from keepers.store import meta
from keepers.store.messages import delivery_reports

_LONGEST_PAUSE_S = 900.0
log = logging.getLogger("keepers")
Read = Callable[[], int]


class BounceReading:
    """Reads the sources of `[bounces]` while a server runs. `on_reports` is called when something was reported."""

    def __init__(
        self,
        workspace: Workspace,
        on_reports: Callable[[], None] | None = None,
        registry: CollectorRegistry | None = None,
    ) -> None:
        """Opens nothing; mail set aside is counted in `registry`.

        Raises UserError when `[bounces]` names a source and no e-mail channel is set up.
        """
        self._workspace = workspace
        self._on_reports = on_reports
        self._settings = workspace.settings.bounces
        self._stopping = Event()
        self._listener: BounceListener | None = None
        self._readers: dict[str, Read] = {}
        self._trouble: dict[str, str] = {}
        self._thread: Thread | None = None
        self._reader: MailReader | None = None
        if not (self._settings.listen_port or self._polled()):
            return
        email = workspace.sending.email()
        if email is None:
            raise UserError(
                "[bounces] reads mail that comes back, but no e-mail is set up to send. Add [channels.email] with "
                "sender and host, or empty [bounces].",
                code="settings",
            )
        self._reader = reader = MailReader(email.verp, workspace.data_folder / FOLDER)
        if registry is not None:
            Gauge(
                "keepers_mail_set_aside", "Mails from outside that could not be read and are kept.", registry=registry
            ).set_function(reader.set_aside.count)
        self._readers = self._made(reader)
        if self._settings.listen_port:
            chosen = self._settings
            self._listener = BounceListener(
                chosen.listen_host, chosen.listen_port, reader, self._arrived, workspace.clock,
                lambda trouble: self._record_status("listener", 0, trouble),
            )  # fmt: skip

    def start(self) -> None:
        """Starts listening and polling. Raises UserError when the port cannot be opened."""
        if self._listener is not None:
            self._listener.start()
            log.info("Bounces are taken by SMTP on %s:%d.", self._settings.listen_host, self._listener.port)
        if self._readers:
            self._thread = Thread(target=self._run, name="bounces", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stops both; may be called repeatedly. Unread mail stays where it is."""
        self._stopping.set()
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.stop()
        if self._reader is not None:
            self._reader.stop()
        if self._thread is not None:
            self._thread.join(5.0)

    def read_once(self) -> int:
        """Polls every mailbox once; returns how many e-mails were read. Failures are logged and recorded."""
        total = 0
        for name, read in self._readers.items():
            if self._stopping.is_set():
                break
            try:
                count, trouble = read(), ""
            except KeepersError as error:
                count, trouble = 0, error.message
            except Exception as error:  # noqa: BLE001 - one source's fault must not keep the others from being read
                count, trouble = 0, f"{type(error).__name__}: {error}"
            self._record_status(name, count, trouble)
            total += count
        return total

    def _polled(self) -> bool:
        chosen = self._settings
        return bool(chosen.maildir or chosen.mbox or chosen.imap_host)

    def _made(self, reader: MailReader) -> dict[str, Read]:
        chosen, folder = self._settings, self._workspace.folder
        made: dict[str, Read] = {}
        if chosen.maildir:
            place = folder / Path(chosen.maildir).expanduser()
            made["maildir"] = lambda: read_maildir(place, reader, self._store_reports, self._workspace.clock)
        if chosen.mbox:
            file = folder / Path(chosen.mbox).expanduser()
            made["mbox"] = lambda: read_mbox(file, reader, self._store_reports, self._workspace.clock)
        if chosen.imap_host:
            if not chosen.imap_user:
                raise UserError("[bounces] imap_host needs imap_user and imap_password.", code="settings")
            imap = ImapSettings(
                host=chosen.imap_host,
                user=chosen.imap_user,
                password=chosen.imap_password,
                port=chosen.imap_port,
                folder=chosen.imap_folder,
                move_to=chosen.imap_move_to,
                ca_file=str(folder / chosen.imap_ca_file) if chosen.imap_ca_file else "",
            )
            made["imap"] = lambda: read_imap(imap, reader, self._store_reports, self._workspace.clock)
        return made

    def _run(self) -> None:
        chosen, failures = self._settings, 0
        while not self._stopping.is_set():
            try:
                self.read_once()
                is_failing = all(self._trouble.get(name) for name in self._readers)
            except Exception:  # the loop must go on after any failure
                log.exception("Bounces could not be noted.")
                is_failing = True
            failures = failures + 1 if is_failing else 0
            longest = max(_LONGEST_PAUSE_S, chosen.every)
            self._stopping.wait(min(chosen.every * 2.0 ** min(failures, 6), longest))

    def _arrived(self, reports: Sequence[DeliveryReport]) -> None:
        """Stores what came by SMTP; the sender is answered after this."""
        with self._workspace.store.begin() as connection:
            delivery_reports.append(connection, reports)
            self._write_status(connection, "listener", 1, "")
        self._trouble["listener"] = ""
        self._notify()

    def _store_reports(self, reports: Sequence[DeliveryReport]) -> None:
        with self._workspace.store.begin() as connection:
            delivery_reports.append(connection, reports)
        self._notify()

    def _notify(self) -> None:
        if self._on_reports is not None:
            self._on_reports()

    def _record_status(self, name: str, mails: int, trouble: str) -> None:
        """Records the result of a reading, and logs it where it has changed."""
        if trouble and trouble != self._trouble.get(name):
            log.error("Bounces are not read from %s: %s", name, trouble)
        elif not trouble and self._trouble.get(name):
            log.warning("Bounces are read from %s again.", name)
        self._trouble[name] = trouble
        with self._workspace.store.begin() as connection:
            self._write_status(connection, name, mails, trouble)

    def _write_status(self, connection: Connection, name: str, mails: int, trouble: str) -> None:
        kept = meta.get(connection, STATE, for_update=True)
        known = msgspec.json.decode(kept, type=dict[str, Reading]) if kept else {}
        known[name] = Reading(self._workspace.clock(), mails, trouble)
        meta.put(connection, STATE, msgspec.json.encode(known).decode())
