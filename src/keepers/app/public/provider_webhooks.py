"""Webhooks of e-mail providers: the signature is verified, and the reports are stored for the feedback stage."""

from __future__ import annotations

from collections.abc import Mapping

from keepers.app.public.public_workspace import PublicWorkspace
from keepers.channels.email.providers.registry import PROVIDERS
from keepers.model.errors import NotFoundError, nearest, problem, shown
from keepers.store.messages import delivery_reports


def take_reports(workspace: PublicWorkspace, name: str, headers: Mapping[str, str], body: bytes) -> None:
    """Stores a provider's reports. Raises NotFoundError for one that is not set up, and UserError with the code
    `signature` for a call that is not its."""
    provider, settings = PROVIDERS.get(name), workspace.provider_settings(name)
    if provider is None or settings is None:
        raise NotFoundError(
            problem("The webhook of {name} is not set up.", near=nearest(name, PROVIDERS), name=shown(name))
        )
    provider.verify(headers, body, settings, workspace.clock())
    wanted = provider.confirmation(body)
    if wanted is not None:
        workspace.visit(wanted)
        return
    reports = provider.reports(body)
    if reports:
        with workspace.store.begin() as connection:
            delivery_reports.append(connection, reports)
