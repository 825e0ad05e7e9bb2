"""Addresses as requests name them: checked, and as the hash that is kept."""

from __future__ import annotations

import re

from keepers.app.workspace.workspace import Workspace
from keepers.channels.registry import CHANNELS
from keepers.contact.addresses import address_of
from keepers.model.consent import address_hash
from keepers.model.errors import NotFoundError, UserError, nearest

_HASH = re.compile(r"[0-9a-f]{64}")


def hashed_address(workspace: Workspace, channel: str, address: str) -> str:
    """An address's hash, or the hash itself when that is what was given. Raises UserError."""
    if not address.strip():
        raise UserError("The address is empty.", field="address")
    if _HASH.fullmatch(address):
        return address
    written = address_of(channel, address, workspace.addresses.country)
    if mistake := CHANNELS[channel].mistake(written):
        raise UserError(mistake, field="address")
    return address_hash(workspace.secret, channel, written)


def require_channel(channel: str) -> None:
    """Raises NotFoundError for a channel that there is not."""
    if channel not in CHANNELS:
        raise NotFoundError(f"There is no channel “{channel}”.{nearest(channel, CHANNELS)}", field="channel")
