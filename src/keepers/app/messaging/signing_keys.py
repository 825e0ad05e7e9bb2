"""The command that makes a DKIM key and says what to put into the DNS."""

from __future__ import annotations

from email.utils import parseaddr
from typing import Any

from keepers.app.workspace.progress import Progress
from keepers.app.workspace.workspace import Workspace
from keepers.channels.email.dkim import Signer, make_key
from keepers.model.errors import UserError

KEY_FILE = "data/dkim.pem"
"""in the folder that is kept out of version control"""


def dkim(workspace: Workspace, progress: Progress, domain: str = "", selector: str = "", kind: str = "rsa") -> Any:
    """The DNS record of the key mail is signed with; the key is made where there is none yet, never made anew.

    Raises UserError where no domain is known, or for another kind than rsa and ed25519.
    """
    if kind not in ("rsa", "ed25519"):
        raise UserError(f"DKIM keys are rsa or ed25519, not “{kind}”.", code="settings")
    given = workspace.settings.channels.get("email", {})
    sender = parseaddr(str(given.get("sender", "")))[1].rpartition("@")[2]
    domain = domain or str(given.get("dkim_domain", "")) or sender
    if not domain:
        raise UserError(
            "Whose mail is to be signed? Name the domain with --domain, or set sender in [channels.email].",
            code="settings",
        )
    selector = selector or str(given.get("dkim_selector", "")) or "keepers"
    named = str(given.get("dkim_key_file", "")) or KEY_FILE
    path = workspace.folder / named
    is_new = not path.exists()
    if is_new:
        make_key(path, kind)
    name, value = Signer.from_file(domain, selector, path).dns_record()
    is_set = str(given.get("dkim_key_file", "")) == named
    return {
        "key_file": str(path),
        "is_new": is_new,
        "record": {"name": name, "type": "TXT", "value": value},
        "settings": "" if is_set else f'[channels.email]\ndkim_key_file = "{named}"\ndkim_selector = "{selector}"\n',
    }
