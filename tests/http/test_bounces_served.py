"""Mail that comes back to `keepers serve`: refused at once, or told later by SMTP or in a mailbox file."""

from __future__ import annotations

import smtplib
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from keepers.app.workspace.clock import clock
from keepers.app.workspace.workspace import Workspace
from keepers.delivery.bounce_readings import Reading, last_readings
from keepers.model.consent import address_hash
from keepers.model.errors import UserError
from keepers.server.bounce_loop import BounceReading
from keepers.store.profiles import suppressions
from mail_shop import RECEIPTS, free_port, mailbox_at, make_mail_shop
from posting import dsn
from serving import SERVER, Serving, serving
from waiting import wait_for
from workspaces import make, opened


def order(server: Serving, who: str, address: str) -> None:
    """A first order of somebody with an address."""
    at = (clock() - timedelta(seconds=5)).isoformat() + "Z"
    batch = [
        {"type": "identify", "userId": who, "traits": {"email": address}, "timestamp": at},
        {"type": "track", "userId": who, "event": "Order Completed", "properties": {"total": 5}, "timestamp": at},
    ]
    httpx.post(f"{server.address}/v1/batch", json={"batch": batch}, auth=(SERVER, "")).raise_for_status()


def suppressed(workspace: Workspace, address: str) -> str:
    """Why an address is written to no more; empty when it is not so."""
    hashed = address_hash(workspace.secret, "email", address)
    with workspace.store.read() as connection:
        found = suppressions.find(connection, [hashed]).get(("email", hashed))
    return found.reason if found else ""


def readings(workspace: Workspace) -> dict[str, Reading]:
    with workspace.store.read() as connection:
        return last_readings(connection)


@pytest.mark.slow
def test_what_comes_back_stops_further_mail(tmp_path: Path) -> None:
    port = free_port()
    settings = f'[bounces]\nlisten_port = {port}\nmbox = "returned.mbox"\nevery = 1\n'
    with mailbox_at(tmp_path / "mailbox") as mailbox:
        folder = make_mail_shop(tmp_path / "shop", mailbox, RECEIPTS, settings)
        with serving(folder) as server, opened(folder) as workspace:
            order(server, "una", "una+unknown@example.com")
            order(server, "bob", "bob@example.com")
            order(server, "cy", "cy@example.com")
            wait_for(lambda: len(mailbox.messages()) == 2)
            path = {m.recipient: m.return_path for m in mailbox.messages()}
            assert wait_for(lambda: suppressed(workspace, "una+unknown@example.com")) == "hard_bounce"
            with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
                client.sendmail("", [path["bob@example.com"]], dsn(to=path["bob@example.com"]))
            assert wait_for(lambda: suppressed(workspace, "bob@example.com")) == "hard_bounce"
            assert "mbox" in wait_for(lambda: readings(workspace))
            assert "There is no mailbox file" in readings(workspace)["mbox"].trouble
            returned = dsn(to=path["cy@example.com"]).replace(b"\r\n", b"\n")
            (folder / "returned.mbox").write_bytes(b"From MAILER-DAEMON Mon Jun  1 12:00:00 2026\n" + returned)
            assert wait_for(lambda: suppressed(workspace, "cy@example.com"), 90) == "hard_bounce"
            assert readings(workspace)["listener"].mails == 1
            assert server.stop() == 0
        lines = (folder / "data" / "server.log").read_text(encoding="utf-8")
        assert "Bounces are not read from mbox: There is no mailbox file" in lines
        assert "Bounces are read from mbox again." in lines


def test_bounces_without_mail_to_send_are_refused(tmp_path: Path, migrated_folder: Path) -> None:
    folder = make(tmp_path / "shop", migrated_folder)
    with (folder / "keepers.toml").open("a") as toml:
        toml.write('[bounces]\nmaildir = "Maildir"\n')
    with opened(folder) as workspace, pytest.raises(UserError, match="no e-mail is set up"):
        BounceReading(workspace)


def test_files_of_channels_are_looked_for_in_the_workspace(tmp_path: Path, migrated_folder: Path) -> None:
    folder = make(tmp_path / "shop", migrated_folder)
    with (folder / "keepers.toml").open("a") as toml:
        toml.write('[channels.email]\nsender = "a@shop.example"\ntls = "none"\ndkim_key_file = "dkim.pem"\n')
    with opened(folder) as workspace, pytest.raises(UserError, match=f"no DKIM key at {folder / 'dkim.pem'}"):
        workspace.sending.email()
