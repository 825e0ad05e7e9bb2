"""All channels. A new one is a file of this package that has a `KIND`, or a folder with it in channel.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from types import MappingProxyType

import keepers.channels as package
from keepers.channels.base import ChannelKind
from keepers.model import channels
from keepers.model.plug_ins import modules_of

_found: dict[str, ChannelKind] = {}
CHANNELS: Mapping[str, ChannelKind] = MappingProxyType(_found)
"""channel id → its kind"""


def discover() -> None:
    """Reads the package again, and fills the model's table."""
    kinds = {kind.id: kind for kind in _kinds()}
    channels.CHANNELS.fill(kinds.values())
    _found.clear()
    _found.update({name: kinds[name] for name in channels.CHANNELS})


def _kinds() -> Iterator[ChannelKind]:
    inside = [f"{one.name}.channel" for one in iter_modules(package.__path__, f"{package.__name__}.") if one.ispkg]
    for module in (*_files(), *(import_module(name) for name in inside if find_spec(name) is not None)):
        kind = getattr(module, "KIND", None)
        if isinstance(kind, ChannelKind):
            yield kind


def _files() -> Iterator[object]:
    return (module for module in modules_of(package) if module.__name__ != __name__)


discover()
