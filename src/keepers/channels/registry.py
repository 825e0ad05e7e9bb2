"""Every channel there is: the modules of this package that have a `KIND`."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from types import MappingProxyType

import keepers.channels
from keepers.channels.base import ChannelKind


def _found() -> dict[str, ChannelKind]:
    kinds = {}
    for module in sorted(m.name for m in pkgutil.iter_modules(keepers.channels.__path__)):
        kind = getattr(import_module(f"keepers.channels.{module}"), "KIND", None)
        if isinstance(kind, ChannelKind):
            kinds[kind.id] = kind
    return kinds


CHANNELS = MappingProxyType(_found())
"""channel id → its kind"""
