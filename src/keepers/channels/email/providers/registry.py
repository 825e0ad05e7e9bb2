"""Providers whose webhooks report what became of messages: one file each, listed here."""

from __future__ import annotations

from types import MappingProxyType

from keepers.channels.email.providers.base import Provider
from keepers.channels.email.providers.mailgun import Mailgun
from keepers.channels.email.providers.postmark import Postmark
from keepers.channels.email.providers.sendgrid import SendGrid
from keepers.channels.email.providers.ses import Ses

_ALL: tuple[Provider, ...] = (Ses(), SendGrid(), Postmark(), Mailgun())
PROVIDERS = MappingProxyType({provider.id: provider for provider in _ALL})
"""provider id → the provider"""
