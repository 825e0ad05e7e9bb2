"""Opens and clicks, recorded for the message that a signed link belongs to."""

from __future__ import annotations

from msgspec import Struct

from keepers.app.workspace.workspace import Workspace
from keepers.delivery.engagement_log import EngagementLog, EngagementRequest
from keepers.delivery.machine_rules import known_network
from keepers.model.consent import network_address_hash
from keepers.model.errors import UserError
from keepers.model.fields import is_web
from keepers.render.links import Click, OfMessage


class LinkVisit(Struct, frozen=True):
    """The client of a link request, as it is stored: the IP address only as a keyed hash and its network."""

    method: str
    user_agent: str
    address: str


class EngagementRecorder:
    """Bound to one event loop."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        # Made now, so that no request waits for it on the event loop.
        self._links = workspace.sending.links
        self._log = EngagementLog(workspace.store)

    async def record_open(self, token: str, visit: LinkVisit) -> None:
        """Records an open. Invalid tokens are ignored."""
        try:
            payload = self._links.read("open", token)
        except UserError:
            return
        if isinstance(payload, OfMessage):
            await self._log.record(self._request(payload.key, "", visit))

    async def record_click(self, token: str, visit: LinkVisit) -> str | None:
        """Records a click and returns the target; None for an invalid token or a target that is no web address."""
        try:
            payload = self._links.read("click", token)
        except UserError:
            return None
        # The target is signed, but is validated again before the redirect.
        if not isinstance(payload, Click) or not is_web(payload.url):
            return None
        await self._log.record(self._request(payload.key, payload.url, visit))
        return payload.url

    def _request(self, key: str, url: str, visit: LinkVisit) -> EngagementRequest:
        # PostgreSQL cannot store a NUL character.
        agent = visit.user_agent.replace("\0", "")
        known_by = network_address_hash(self._workspace.secret, visit.address)
        now = self._workspace.clock()
        return EngagementRequest(key, now, url, visit.method, agent, known_by, known_network(visit.address))
