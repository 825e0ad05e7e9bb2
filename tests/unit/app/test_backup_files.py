"""Which files of a workspace's folder a backup keeps."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from keepers.app.workspace.files.backup_files import files_of, inside
from keepers.app.workspace.settings import Settings, StoreSettings, with_store
from keepers.model.errors import UserError

KEPT = (
    "keepers.toml", "playbook/a.yaml", "data/rejects/x.csv", "data/errors.log", "data/dkim.pem", "notes.txt",
    "data/warehouse.duckdb.before-my-trial", "data/warehouse.duckdb.md",
    ".gitignore", "playbook/a.git",
)  # fmt: skip
LEFT_OUT = (
    "data/keepers.db", "data/keepers.db-wal", "data/keepers.db-shm", "data/inbox.db", "data/warehouse.duckdb",
    "data/warehouse.duckdb.wal", "data/warehouse.duckdb.tmp/x", "data/server.json", "data/server.1234",
    "data/warehouse.duckdb.compacting", "data/warehouse.duckdb.compacting.wal", "data/warehouse.duckdb.before",
    "data/warehouse.duckdb.wal.damaged-20260301T120000Z", "data/warehouse.duckdb.wal.checkpoint",
    "data/sequencer.lock", "data/compiled/x.json", "data/uploads/upload-1/f.csv", ".git/objects/aa",
    "playbook/.git/HEAD", "theme/.git",
)  # fmt: skip


def _made(folder: Path) -> Path:
    for name in (*KEPT, *LEFT_OUT):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    return folder


def test_all_files_but_those_of_a_running_workspace_are_kept(tmp_path: Path) -> None:
    folder = _made(tmp_path / "shop")
    assert sorted(name for name, _ in files_of(folder, Settings())) == sorted(KEPT)


def test_with_another_store_the_default_place_is_nothing_special(tmp_path: Path) -> None:
    folder = _made(tmp_path / "shop")
    settings = msgspec.structs.replace(Settings(), store=StoreSettings("postgresql://here/shop"))
    found = {name for name, _ in files_of(folder, settings)}
    assert {"data/keepers.db", "data/inbox.db"} <= found
    assert "data/warehouse.duckdb" not in found


def test_links_are_followed_once_and_never_to_a_database(tmp_path: Path) -> None:
    folder = _made(tmp_path / "shop")
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "b.yaml").write_text("b", encoding="utf-8")
    (folder / "linked").symlink_to(tmp_path / "texts", target_is_directory=True)
    (folder / "playbook" / "round").symlink_to(folder, target_is_directory=True)
    (folder / "copy.duckdb").symlink_to(folder / "data" / "warehouse.duckdb")
    os.link(folder / "data" / "keepers.db", folder / "hard.db")
    (folder / "nowhere").symlink_to(tmp_path / "nothing")
    os.mkfifo(folder / "pipe")
    assert sorted(name for name, _ in files_of(folder, Settings())) == sorted([*KEPT, "linked/b.yaml"])


@pytest.mark.parametrize("value", ["/var/lib/keepers", "../data", "data/../../x"])
def test_places_outside_of_the_folder_are_refused(value: str) -> None:
    with pytest.raises(UserError, match=r"\[store\] url = .* leads out of the workspace's folder"):
        inside("store", "url", value)
    assert str(inside("store", "url", "./data")) == "data"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", '\n[store]\nurl = "u"\n'),
        ('[workspace]\nname = "x"', '[workspace]\nname = "x"\n\n[store]\nurl = "u"\n'),
        ('[store]\nurl = "old" # why\n[server]\nport = 1\n', '[store]\nurl = "u"\n[server]\nport = 1\n'),
        ('[store]\n\n[server]\nport = 1\n', '[store]\nurl = "u"\n\n[server]\nport = 1\n'),
    ],
)  # fmt: skip
def test_the_store_s_address_is_replaced_and_the_rest_left(before: str, after: str) -> None:
    assert with_store(before, "u") == after


@pytest.mark.parametrize("text", ['store = {url = "old"}\n', '[ store ]\nurl = "old"\n', "[store\n"])
def test_an_address_that_is_not_written_plainly_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="could not be written"):
        with_store(text, "u")
