"""A workspace that sends mail to a mailbox on this machine, for tests of the whole way there and back."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from keepers.app.workspace.clock import clock
from keepers.app.workspace.files.folder import PLAYBOOK
from keepers.devtools.mailbox import Mailbox
from serving import SECRET, SERVER, WRITE, keepers

BODY = "<mj-section><mj-column><mj-text>Thank you</mj-text></mj-column></mj-section>"
RECEIPTS: dict[str, Any] = {
    "topics": [{"id": "orders", "name": "Orders", "kind": "transactional", "basis": "contract"}],
    "messages": [
        {"id": "receipt", "channel": "email", "topic": "orders", "content": {"en": {"subject": "Thanks", "body": BODY}}}
    ],
    "journeys": [
        {
            "id": "thanks",
            "enter": [{"event": "Order Completed"}],
            "steps": [{"id": "receipt", "message": "receipt"}],
        }
    ],
}
"""A receipt for every first order."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextmanager
def mailbox_at(folder: Path) -> Iterator[Mailbox]:
    """A mailbox on a free port until the block ends."""
    mailbox = Mailbox(folder, smtp_port=0, http_port=None, now=clock)
    mailbox.start()
    try:
        yield mailbox
    finally:
        mailbox.stop()


def make_mail_shop(
    folder: Path, mailbox: Mailbox, playbook: dict[str, Any] | None, settings: str = "", *init: str
) -> Path:
    """A workspace whose e-mail goes to the mailbox. `settings` is further TOML, `init` further options of `init`."""
    keepers(folder, "init", str(folder), *init)
    with (folder / "keepers.toml").open("a", encoding="utf-8") as toml:
        toml.write(
            f'[channels.email]\nhost = "127.0.0.1"\nport = {mailbox.smtp_port}\ntls = "none"\n'
            f'sender = "Test shop <hello@shop.example>"\nbounce_domain = "bounce.shop.example"\n{settings}'
        )
    if playbook is not None:
        (folder / PLAYBOOK / "own.yaml").write_text(yaml.safe_dump(playbook), encoding="utf-8")
    for kind, token in (("secret", SECRET), ("write", WRITE), ("server", SERVER)):
        keepers(folder, "keys", "create", kind, "--token", token)
    keepers(folder, "apply")
    return folder
