"""Addresses as commands name them: checked, and as the hash that is kept."""

from __future__ import annotations

import re

from keepers.app.workspace.workspace import Workspace
from keepers.channels.registry import CHANNELS
from keepers.contact.addresses import address_of
from keepers.model.consent import address_hash
from keepers.model.errors import NotFoundError, UserError, nearest


def _hashed(workspace: Workspace, channel: str, address: str) -> str:
    """An address's hash, or the hash itself when that is what was given."""
    if not address.strip():
        raise UserError("The address is empty.", field="address")
    if _HASH.fullmatch(address):
        return address
    written = address_of(channel, address, workspace.addresses.country)
    if channel == "sms" and not written.startswith(("+", "00")):
        raise UserError(
            f"“{address.strip()[:40]}” may be a telephone number of many countries. Write it with + and the code of "
            "its country, or set country in [channels.sms] of keepers.toml.",
            field="address",
        )
    return address_hash(workspace.secret, channel, written)


def _require_channel(channel: str) -> None:
    if channel not in CHANNELS:
        raise NotFoundError(f"There is no channel “{channel}”.{nearest(channel, CHANNELS)}", field="channel")


_HASH = re.compile(r"[0-9a-f]{64}")
