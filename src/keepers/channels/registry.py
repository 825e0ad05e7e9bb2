"""Every channel there is. A new one is its module and its name here; a test finds a name that was forgotten."""

from __future__ import annotations

from types import MappingProxyType

from keepers.channels import chat, in_app, push, sms, webhook
from keepers.channels.email import channel

CHANNELS = MappingProxyType({module.KIND.id: module.KIND for module in (channel, sms, chat, push, in_app, webhook)})
"""channel id → its kind"""
