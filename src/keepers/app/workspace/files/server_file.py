"""The file that names the server which has the workspace open, and the settings that it runs with."""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from keepers.app.workspace.clock import environment
from keepers.app.workspace.files.folder import SERVER_FILE
from keepers.app.workspace.settings import FREE, TEST_CLOCK, Settings, environment_settings

if TYPE_CHECKING:
    from keepers.app.workspace.workspace import Workspace


class RunningServer(Struct, frozen=True):
    """`settings`: each setting's digest, keyed by the token, for commands to compare theirs with no value written."""

    address: str
    pid: Annotated[int, Meta(gt=0)]
    token: str
    settings: dict[str, str]


@contextmanager
def publish_server(workspace: Workspace, address: str, token: str) -> Iterator[None]:
    """Writes the server's address and token for commands on this machine, readable by the same user only."""
    path = workspace.data_folder / SERVER_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = {name: _digest(token, name, value) for name, value in _values(workspace.settings, environment())}
    content = msgspec.json.encode(RunningServer(address, os.getpid(), token, settings))
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    fresh.replace(path)
    try:
        yield
    finally:
        if path.is_file() and path.read_bytes() == content:
            path.unlink()


def read_server_file(data_folder: Path) -> RunningServer | None:
    """The server that has a workspace open, if one does; a file that no server writes counts as none."""
    try:
        found = msgspec.json.decode((data_folder / SERVER_FILE).read_bytes(), type=RunningServer)
        os.kill(found.pid, 0)
    except (OSError, OverflowError, msgspec.DecodeError):
        return None
    return found if _is_here(found.address) else None


def _is_here(address: str) -> bool:
    """Whether an address is of this machine alone: commands send it the token and all that they do."""
    try:
        place = urlsplit(address)
        return place.scheme == "http" and bool(place.port) and ip_address(place.hostname or "").is_loopback
    except ValueError:
        return False


def other_settings(server: RunningServer, settings: Settings) -> list[str]:
    """Environment variables of this process that give a setting another value than the server has."""
    variables = environment()
    names = {TEST_CLOCK} & variables.keys()
    for section, values in environment_settings(variables).items():
        for name, value in values.items():
            names |= {f"{section}.{name}.{key}" for key in value} if section in FREE else {f"{section}.{name}"}
    own = dict(_values(settings, variables))
    differing = (name for name in names if server.settings.get(name) != _digest(server.token, name, own[name]))
    return sorted(name if name == TEST_CLOCK else f"KEEPERS_{name.replace('.', '_').upper()}" for name in differing)


def _values(settings: Settings, variables: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    """`server.port` → its value, `channels.email.host` → its value, and the test clock."""
    yield TEST_CLOCK, variables.get(TEST_CLOCK, "")
    for section in settings.__struct_fields__:
        held = getattr(settings, section)
        if section in FREE:
            yield from (
                (f"{section}.{which}.{name}", v) for which, values in held.items() for name, v in values.items()
            )
        else:
            yield from ((f"{section}.{name}", getattr(held, name)) for name in held.__struct_fields__)


def _digest(token: str, name: str, value: Any) -> str:
    """The same for a value of `keepers.toml` and the text of it that a variable gives."""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return hmac.digest(token.encode(), f"{name}={text}".encode(), "sha256").hex()
