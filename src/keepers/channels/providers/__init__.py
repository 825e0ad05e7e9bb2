"""Providers whose webhooks report what became of messages: one file each, listed here."""

from __future__ import annotations

from types import MappingProxyType

from keepers.channels.providers.base import Provider
from keepers.channels.providers.mailgun import Mailgun
from keepers.channels.providers.postmark import Postmark
from keepers.channels.providers.sendgrid import SendGrid
from keepers.channels.providers.ses import Ses

_ALL: tuple[Provider, ...] = (Ses(), SendGrid(), Postmark(), Mailgun())
PROVIDERS = MappingProxyType({provider.id: provider for provider in _ALL})
"""provider id → the provider"""
