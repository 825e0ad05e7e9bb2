"""Sends through one of the services of Apprise, and reads the outcome from its log."""

from __future__ import annotations

import logging
import re
from typing import Any
from urllib.parse import quote

from keepers.channels.base import UNCERTAIN
from keepers.model.errors import UserError, problem
from keepers.model.message import Outcome

PLACE = "{to}"
"""where the recipient goes in an Apprise URL"""
_STATUS = re.compile(r"error[=:]\s*(\d{3})\b")
_NEVER_SENT = re.compile(r"Connection refused|Max retries exceeded")


class AppriseService:
    """One Apprise URL of the settings, with the recipient put in for each message."""

    def __init__(self, url: str, timeout_s: float, section: str, needs_place: bool) -> None:
        """Raises UserError for a URL that Apprise does not know or that lets a recipient choose the host."""
        self._url = url
        self._timeout_s = timeout_s
        self._section = section
        where = f"[channels.{section}] url"
        if not 1 <= timeout_s <= 120:
            raise UserError(
                problem("[channels.{section}] timeout must lie between 1 and 120 seconds.", section=section),
                code="settings",
            )
        if needs_place and PLACE not in url:
            raise UserError(
                problem("{where} must say with {place} where the recipient goes.", where=where, place=PLACE),
                code="settings",
            )
        if PLACE in url.partition("://")[0] or PLACE in url.partition("://")[2].split("/")[0]:
            raise UserError(
                problem("{where}: {place} may only come after the host.", where=where, place=PLACE), code="settings"
            )

    def open(self) -> None:
        """Checks that Apprise reads the URL. Raises UserError."""
        # Apprise gives the reason of a failure only in its log, in detail at DEBUG: kept from other handlers.
        logger = logging.getLogger("apprise")
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        logger.addHandler(logging.NullHandler())
        if not self._made("+12025550123"):
            raise UserError(
                problem(
                    "[channels.{section}] url is not one that Apprise reads; its services are listed at "
                    "https://appriseit.com/services.",
                    section=self._section,
                ),
                code="settings",
            )

    async def send(self, recipient: str, title: str, text: str) -> Outcome:
        """One attempt. When the answer is lost on the way the message may have arrived: `failed`, `uncertain`."""
        import apprise

        service = self._made(recipient)
        if service is None:
            return Outcome("bounced", problem("The recipient's address cannot be used with this service."), "address")
        result = await service.async_notify(
            body=text,
            title=title,
            body_format=apprise.NotifyFormat.TEXT,
            timeout=self._timeout_s,
            log_level=logging.DEBUG,
        )
        if result:
            return Outcome("sent")
        entries = [entry for one in result for entry in one.logs()]
        if not any(one.attempts for one in result):
            return Outcome("failed", problem("The service took nothing to send."), "refused")
        reasons = [entry.message for entry in entries if entry.level in ("WARNING", "ERROR")]
        detail: object = "; ".join(reasons)[:500] or problem("The service gave no reason.")
        timed_out = result.status == apprise.AppriseResultStatus.TIMEOUT
        return _outcome(detail, [entry.message for entry in entries], timed_out)

    def _made(self, recipient: str) -> Any:
        import apprise

        asset = apprise.AppriseAsset(
            app_id="Keepers",
            app_desc="Keepers",
            app_url="",
            http_redirects=False,
            storage_mode=apprise.PersistentStoreMode.MEMORY,
            allow_templates=False,
            service_timeout=self._timeout_s,
        )
        made = apprise.Apprise(asset=asset)
        return made if made.add(self._url.replace(PLACE, quote(recipient, safe=""))) else None


def _outcome(detail: object, log: list[str], timed_out: bool) -> Outcome:
    status = next((found.group(1) for line in log if (found := _STATUS.search(line))), "")
    if status:
        is_passing = status in ("408", "425", "429") or status >= "500"
        return Outcome("deferred" if is_passing else "failed", detail, status)
    if not timed_out and any(_NEVER_SENT.search(line) for line in log):
        return Outcome("deferred", detail, "unreachable")
    return Outcome("failed", detail, UNCERTAIN)
