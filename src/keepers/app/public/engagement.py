"""Opens and clicks: what a signed link says, noted for the message it is of."""

from __future__ import annotations

from msgspec import Struct

from keepers.app.public.public_workspace import PublicWorkspace
from keepers.delivery.engagement_log import EngagementLog, EngagementRequest
from keepers.delivery.machine_rules import network_of
from keepers.model.consent import network_address_hash
from keepers.model.errors import UserError
from keepers.model.fields import is_web
from keepers.render.links import Click, OfMessage


class LinkVisit(Struct, frozen=True):
    """Who asked for a link, as far as it is kept: the address only as a keyed hash and its network."""

    method: str
    user_agent: str
    address: str


class EngagementRecorder:
    """Belongs to one event loop."""

    def __init__(self, workspace: PublicWorkspace) -> None:
        self._workspace = workspace
        self._log = EngagementLog(workspace.store)

    async def record_open(self, token: str, visit: LinkVisit) -> None:
        """Notes an open. A token that is not one of ours is noted nowhere."""
        try:
            payload = self._workspace.links.read("open", token)
        except UserError:
            return
        if isinstance(payload, OfMessage):
            await self._log.keep(self._request(payload.key, "", visit))

    async def record_click(self, token: str, visit: LinkVisit) -> str | None:
        """Notes a click and returns where it leads; None for what is no link of ours or leads to no web address."""
        try:
            payload = self._workspace.links.read("click", token)
        except UserError:
            return None
        # It is signed, but it is looked at again before anybody is sent there.
        if not isinstance(payload, Click) or not is_web(payload.url):
            return None
        await self._log.keep(self._request(payload.key, payload.url, visit))
        return payload.url

    def _request(self, key: str, url: str, visit: LinkVisit) -> EngagementRequest:
        # A NUL is no character PostgreSQL could keep.
        agent = visit.user_agent.replace("\0", "")
        known_by = network_address_hash(self._workspace.secret, visit.address)
        now = self._workspace.clock()
        return EngagementRequest(key, now, url, visit.method, agent, known_by, network_of(visit.address))
