"""The DKIM key and its DNS record."""

from __future__ import annotations

from email.utils import parseaddr
from typing import Annotated, Literal

from msgspec import Meta, Struct

from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.channels.email.dkim import Signer, make_key
from keepers.model.errors import UserError, problem

KEY_FILE = "data/dkim.pem"
"""in the folder that is kept out of version control"""


class MakeDkimKey(Struct, frozen=True, kw_only=True):
    """For which domain, and of which kind."""

    domain: Annotated[str, Meta(max_length=253, description="The domain to sign for; else that of the sender.")] = ""
    selector: Annotated[
        str, Meta(max_length=63, description="The record's name before `._domainkey`; else that of the settings.")
    ] = ""
    kind: Annotated[str, Meta(pattern="^(rsa|ed25519)$", description="Of a new key: rsa (2,048 bits) or ed25519.")] = (
        "rsa"
    )


class DnsRecord(Struct, frozen=True):
    name: str
    type: Literal["TXT"]
    value: str


class DkimKey(Struct, frozen=True):
    """The key mail is signed with."""

    key_file: Annotated[str, Meta(description="Where it is kept on the server's machine.")]
    is_new: Annotated[bool, Meta(description="Whether it was made just now.")]
    record: Annotated[DnsRecord, Meta(description="The DNS record by which receivers find it.")]
    settings: Annotated[str, Meta(description="What keepers.toml needs to sign with it; empty when it is there.")]


@use_case(
    "POST /channels/email/dkim",
    permission="manage",
    lock="locked",
    tag="messages",
    problems=(422,),
    audit={"domain": "target", "selector": "plain", "kind": "plain"},
)
def make_dkim_key(workspace: Workspace, actor: Actor, request: MakeDkimKey) -> DkimKey:
    """Make the key that mail is signed with

    Unless there is one already, which is never replaced. The answer has the DNS record by which receivers find the key.
    """
    email = workspace.settings.channels.get("email", {})
    sender = parseaddr(str(email.get("sender", "")))[1].rpartition("@")[2]
    domain = request.domain or str(email.get("dkim_domain", "")) or sender
    if not domain:
        raise UserError(
            problem("There is no domain to sign mail of. Name it with --domain, or set sender in [channels.email]."),
            code="settings",
        )
    selector = request.selector or str(email.get("dkim_selector", "")) or "keepers"
    named = str(email.get("dkim_key_file", "")) or KEY_FILE
    path = workspace.folder / named
    is_new = not path.exists()
    if is_new:
        make_key(path, request.kind)
    name, value = Signer.from_file(domain, selector, path).dns_record()
    is_set = str(email.get("dkim_key_file", "")) == named
    lines = f'[channels.email]\ndkim_key_file = "{named}"\ndkim_selector = "{selector}"\n'
    return DkimKey(str(path), is_new, DnsRecord(name, "TXT", value), "" if is_set else lines)
