"""Webhooks of e-mail providers: a call is checked to be theirs, and its reports wait in the store to be worked off."""

from __future__ import annotations

from collections.abc import Mapping

from keepers.app.public.public_workspace import PublicWorkspace
from keepers.channels.email.providers.registry import PROVIDERS
from keepers.model.errors import NotFoundError, nearest, shown
from keepers.store.messages import delivery_reports


def take_reports(desk: PublicWorkspace, name: str, headers: Mapping[str, str], body: bytes) -> None:
    """Keeps what a provider reports. Raises NotFoundError for one that is not set up, and UserError with the code
    `signature` for a call that is not its."""
    provider, settings = PROVIDERS.get(name), desk.provider_settings(name)
    if provider is None or settings is None:
        raise NotFoundError(f"The webhook of {shown(name)} is not set up.{nearest(name, PROVIDERS)}")
    provider.verify(headers, body, settings, desk.clock())
    wanted = provider.confirmation(body)
    if wanted is not None:
        desk.visit(wanted)
        return
    news = provider.reports(body)
    if news:
        with desk.store.begin() as connection:
            delivery_reports.append(connection, news)
