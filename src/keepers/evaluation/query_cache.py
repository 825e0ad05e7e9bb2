"""Compiled queries, kept in memory and beside the warehouse: compiling a condition costs more than running it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from threading import Lock
from typing import Any, Generic, TypeVar

import msgspec

from keepers.conditions.operators import BY_NAME
from keepers.scores.registry import SCORES

T = TypeVar("T")
FOLDER = "compiled"
MOST_FILES = 2_000
"""of one workspace, tens of kilobytes each; then the oldest half is removed"""
_SOURCES = ("conditions", "evaluation", "model", "scores")
"""the packages whose code decides what a query looks like"""
log = logging.getLogger("keepers")


class QueryCache(Generic[T]):
    """What was compiled, by all that it depends on.

    The `size` newest are in memory, for all evaluators of the process. Those of a workspace are in its folder too, so
    that a command need not compile, nor load the compiler, for what was compiled before.
    """

    def __init__(self, of: Any, size: int = 512) -> None:
        self._of = of
        self._size = size
        self._found: dict[tuple[Any, ...], T] = {}
        self._lock = Lock()

    def get(self, key: tuple[Any, ...], compiled: Callable[[], T], folder: Path | None = None) -> T:
        """What is kept under the key, or what is compiled now.

        Keys are told apart by their `repr`: they hold no sets, whose order differs from process to process.
        """
        found = self._found.get(key)
        if found is None:
            file = None if folder is None else _file(folder, self._of, key)
            found = None if file is None else self._read(file)
            if found is None:
                found = compiled()
                if file is not None:
                    _write(file, msgspec.json.encode(found))
            with self._lock:
                if len(self._found) >= self._size:
                    del self._found[next(iter(self._found))]
                self._found[key] = found
        return found

    def _read(self, file: Path) -> T | None:
        """What a file holds; None where there is none, or one that was damaged, which is then written anew."""
        try:
            found: T = msgspec.json.decode(file.read_bytes(), type=self._of)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            log.warning("A compiled query cannot be read and is made again: %s: %s", file.name, error)
            return None
        return found


def _file(folder: Path, of: Any, key: tuple[Any, ...]) -> Path | None:
    """Where a query lies; None where plug-ins have a part in it, whose code may change unseen."""
    modules = (*(one.holds.__module__ for one in BY_NAME.values()), *(type(one).__module__ for one in SCORES.values()))
    if not all(module.startswith("keepers.") for module in modules):
        return None
    name = sha256(code_version() + str(of).encode() + repr(key).encode()).hexdigest()
    return folder / FOLDER / f"{name}.json"


@cache
def code_version() -> bytes:
    """Changes with the code that compiles: of Keepers, of Ibis and SQLGlot, and of the engine that is spoken to."""
    digest = sha256("".join(version(name) for name in ("ibis-framework", "sqlglot", "duckdb")).encode())
    waiting = [files("keepers") / name for name in _SOURCES]
    while waiting:
        place = waiting.pop()
        if place.is_dir():
            waiting += sorted(place.iterdir(), key=lambda one: one.name)
        elif place.name.endswith(".py"):
            digest.update(place.read_bytes())
    return digest.digest()


def _write(file: Path, content: bytes) -> None:
    """Written whole or not at all. Where it cannot be written, it is compiled again the next time."""
    try:
        file.parent.mkdir(exist_ok=True)
        _make_room(file.parent)
        partial = file.with_suffix(f".{os.getpid()}")
        partial.write_bytes(content)
        partial.replace(file)
    except OSError as error:
        log.warning("A compiled query cannot be kept: %s", error)


def _make_room(folder: Path) -> None:
    kept = list(folder.iterdir())
    if len(kept) >= MOST_FILES:
        kept.sort(key=lambda one: one.stat().st_mtime)
        for one in kept[: len(kept) // 2]:
            one.unlink(missing_ok=True)
