"""Webhooks of e-mail providers: the signature is verified, and the reports are stored for the feedback stage."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from keepers.app.use_cases.actor import Actor
from keepers.app.use_cases.use_case import use_case
from keepers.app.workspace.workspace import Workspace
from keepers.channels.base import read_fields
from keepers.channels.email.providers.base import CLOCKS_DIFFER, refused
from keepers.channels.email.providers.registry import PROVIDERS
from keepers.model.errors import NotFoundError, nearest, problem, shown
from keepers.store.messages import delivery_reports, provider_calls


class ProviderCall(Struct, frozen=True, kw_only=True):
    """A call of a provider's, as it came. Names of headers are in lower case."""

    provider: str
    headers: dict[str, str]
    body: bytes


class ReportsTaken(Struct, frozen=True):
    """They are stored."""

    success: bool = True


@use_case("POST /e/in/{provider}", permission="collect", lock="locked")
def take_reports(workspace: Workspace, actor: Actor, request: ProviderCall) -> ReportsTaken:
    """Stores a provider's reports, or fetches the address by which it learns that its webhook is wanted.

    What was taken is remembered, across restarts, for as long as it would be accepted: sent again it changes nothing.

    Raises NotFoundError for a provider that is not set up, and UserError with the code `signature` for a call that
    is not its.
    """
    name = request.provider
    provider, settings = PROVIDERS.get(name), _settings(workspace, name)
    if provider is None or settings is None:
        raise NotFoundError(
            problem("The webhook of {name} is not set up.", near=nearest(name, PROVIDERS), name=shown(name))
        )
    now, body = workspace.clock(), request.body
    provider.verify(request.headers, body, settings, now)
    reports = provider.reports(body)
    forget_at = now + provider.valid_for(settings) + 2 * CLOCKS_DIFFER
    call_id = provider.call_id(body)
    with workspace.store.read() as connection:
        is_known = provider_calls.is_known(connection, name, call_id)
    if not is_known:
        # It may take seconds, so in no transaction. What fails is not remembered: the provider asks again.
        provider.confirm(body)
    with workspace.store.begin() as connection:
        outcome = provider_calls.remember(connection, name, call_id, body, now, forget_at)
        if outcome == "new":
            delivery_reports.append(connection, reports)
    if outcome == "altered":
        raise refused(name, problem("it was sent before with another content"))
    return ReportsTaken()


def _settings(workspace: Workspace, name: str) -> Any | None:
    """The settings of a provider's webhook, as the struct its `settings` names; None when it is not set up."""
    section = workspace.settings.providers.get(name)
    if section is None or name not in PROVIDERS:
        return None
    return read_fields(PROVIDERS[name].settings, section, f"[providers.{name}]")
