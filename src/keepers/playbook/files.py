"""A playbook's files changed from outside: tried in a copy first, then all written, or none."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from zoneinfo import ZoneInfo

from keepers.model.errors import DefinitionError, UserError, problem
from keepers.playbook.changes import MOST_FILES
from keepers.playbook.check import check
from keepers.playbook.load import Playbook, PlaybookErrors, load
from keepers.playbook.yaml_nodes import MAX_BYTES

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\.ya?ml")
_RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{kind}{n}" for kind in ("com", "lpt") for n in range(10))})
"""names that Windows gives to devices, with any ending"""
_NEW_FILE_MODE = 0o600
Files = Mapping[str, str | None]
"""name → text; None takes the file away"""


def refuse_unsafe(files: Files) -> None:
    """Raises UserError for names that could leave the folder or hide in it, and for too much text."""
    if len(files) > MOST_FILES:
        raise UserError(problem("More than {most} files at once. Send fewer.", most=MOST_FILES), code="files")
    for name, text in files.items():
        if not _NAME.fullmatch(name) or name.partition(".")[0] in _RESERVED:
            raise UserError(
                problem(
                    "“{name}” cannot be a playbook file. Use lower-case letters, digits, - and _, ending in "
                    ".yaml, without folders.",
                    name=name[:80],
                ),
                code="files",
                field="files",
            )
        if text is not None and len(text.encode(errors="replace")) > MAX_BYTES:
            raise UserError(
                problem("{name} is over {most} bytes. Split it.", name=name, most=f"{MAX_BYTES:,}"),
                code="too_large",
            )


def checked(folder: Path, zone: ZoneInfo | None, files: Files) -> Playbook:
    """The playbook as it would be with these files, refused when anything is wrong with it.

    Raises PlaybookErrors, UserError. Changes nothing.
    """
    return _refusing_mistakes(tried(folder, zone, files))


def tried(folder: Path, zone: ZoneInfo | None, files: Files) -> Playbook:
    """The playbook as it would be with these files, whatever `check` says of it.

    Raises PlaybookErrors for files that cannot be read, UserError. Changes nothing.
    """
    refuse_unsafe(files)
    _refuse_links(folder, files)
    if not files:
        return load(folder, zone)
    with tempfile.TemporaryDirectory(prefix="keepers-") as place:
        copy = Path(place) / folder.name
        shutil.copytree(folder, copy)
        for name, text in files.items():
            if text is None:
                (copy / name).unlink(missing_ok=True)
            else:
                _write(copy / name, text)
        return load(copy, zone)


@contextmanager
def written(folder: Path, files: Files) -> Iterator[None]:
    """Writes files for the block; if it raises, the folder is as it was before. Each file changes at once."""
    refuse_unsafe(files)
    _refuse_links(folder, files)
    before = {name: _content(folder / name) for name in files}
    try:
        for name, text in files.items():
            _put(folder / name, None if text is None else text.encode())
        yield
    except BaseException:
        for name, content in before.items():
            _put(folder / name, content)
        raise


def _refuse_links(folder: Path, files: Files) -> None:
    """Raises UserError for names that are links or folders in the playbook: only files of it are written."""
    for name in files:
        path = folder / name
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise UserError(
                problem("“{name}” is no file of the playbook folder itself. Change it there.", name=name),
                code="files",
                field="files",
            )


def _refusing_mistakes(playbook: Playbook) -> Playbook:
    wrong = [f for f in check(playbook) if f.level == "error"]
    if wrong:
        raise PlaybookErrors([DefinitionError(f.sentence, field=f.field, file=f.file, line=f.line) for f in wrong])
    return playbook


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _put(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink(missing_ok=True)
        return
    mode = stat.S_IMODE(path.stat().st_mode) if path.is_file() else _NEW_FILE_MODE
    descriptor, fresh = tempfile.mkstemp(prefix=".", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(fresh).chmod(mode)
        Path(fresh).replace(path)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except UnicodeEncodeError:
        raise UserError(problem("{name} is not valid text. Send UTF-8.", name=path.name), code="files") from None
