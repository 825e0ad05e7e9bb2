"""A folder of backups: pieces kept once, expiry, damage that is found, folders that are refused."""

from __future__ import annotations

import os
import zlib
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest

from keepers.app.workspace.files.backup_files import is_left_out
from keepers.backups.chunks import CHUNK_BYTES, Chunks, DamagedBackupError
from keepers.backups.folder import BackupFolder, newer_than, opened_for_reading, opened_for_writing, union
from keepers.backups.manifest import FORMAT, Manifest, StoredFile, read_sealed, write_sealed
from keepers.backups.restore import write_files
from keepers.model.errors import ConflictError, NotFoundError, UserError
from keepers.store.privacy.erasures import ErasedAddress, ErasedIdentifier, Ledger

NOW = datetime(2026, 3, 1, 12)
OWNER = "o" * 32


def add(folder: BackupFolder, at: datetime, **contents: bytes) -> Manifest:
    """A backup of small files, each one piece."""
    files = [StoredFile(name, len(held), [folder.chunks.put(held)[0]]) for name, held in contents.items()]
    made = Manifest(
        format=FORMAT, id=folder.new_id(at), made_at=at, owner=OWNER, workspace="Shop", keepers="0.1.0",
        store="sqlite", revisions={}, layout="3", files=files,
    )  # fmt: skip
    folder.add(made)
    return made


def pieces(folder: BackupFolder) -> list[Path]:
    return [path for path in folder.path.glob("chunks/??/*") if path.is_file()]


def test_a_piece_is_written_once_and_read_as_it_was(tmp_path: Path) -> None:
    kept = Chunks(tmp_path)
    name, written = kept.put(b"orders" * 1000)
    assert 0 < written < 1000
    assert kept.put(b"orders" * 1000) == (name, 0)
    assert kept.get(name) == b"orders" * 1000
    assert [path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")] == [0o700, 0o600]


@pytest.mark.parametrize(
    "content",
    [b"", b"no zlib", zlib.compress(b"other"), zlib.compress(b"orders")[:-2], zlib.compress(bytes(70_000_000))],
)
def test_a_piece_that_is_not_as_it_was_is_named(tmp_path: Path, content: bytes) -> None:
    kept = Chunks(tmp_path)
    name, _ = kept.put(b"orders")
    (tmp_path / name[:2] / name).write_bytes(content)
    with pytest.raises(DamagedBackupError, match=name):
        kept.get(name)
    (tmp_path / name[:2] / name).unlink()
    with pytest.raises(DamagedBackupError, match=f"{name} cannot be read: No such file"):
        kept.get(name)


@pytest.mark.parametrize("kind", ["pipe", "folder", "link", "large"])
def test_what_is_no_piece_is_not_read(tmp_path: Path, kind: str) -> None:
    kept = Chunks(tmp_path / "chunks")
    name, _ = kept.put(b"orders")
    file = tmp_path / "chunks" / name[:2] / name
    file.rename(tmp_path / "elsewhere")
    match kind:
        case "pipe":
            os.mkfifo(file)
        case "folder":
            file.mkdir()
        case "link":
            file.symlink_to(tmp_path / "elsewhere")
        case _:
            file.touch()
            os.truncate(file, 1 << 40)
    with pytest.raises(DamagedBackupError, match=name):
        kept.get(name)


def test_a_piece_that_could_not_be_read_back_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="262145 bytes"):
        Chunks(tmp_path).put(bytes(CHUNK_BYTES + 1))
    largest = os.urandom(CHUNK_BYTES)
    assert Chunks(tmp_path).get(Chunks(tmp_path).put(largest)[0]) == largest


def test_only_pieces_are_removed_and_links_lead_nowhere(tmp_path: Path) -> None:
    strangers = tmp_path / "home"
    strangers.mkdir()
    for name in ("letter.txt", "ab" * 32):
        (strangers / name).write_text("precious")
    kept = Chunks(tmp_path / "chunks")
    kept.put(b"orders")
    (kept.folder / "ff").symlink_to(strangers)
    (kept.folder / "00").mkdir()
    (kept.folder / "00" / "letter.txt").write_text("mine")
    (kept.folder / "00" / ("00" * 32)).symlink_to(strangers / "letter.txt")
    kept.remove_all_but([])
    assert sorted(one.name for one in strangers.iterdir()) == ["ab" * 32, "letter.txt"]
    assert [one.name for one in kept.folder.glob("0?/*")] == ["letter.txt"]


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("as it was")
    with opened_for_writing(tmp_path / "b", OWNER) as folder:
        (folder.path / "erasures.json.new").symlink_to(tmp_path / "precious")
        folder.add_erased(Ledger([ErasedIdentifier("a", NOW)], []))
        assert folder.ledger().identifiers
    assert (tmp_path / "precious").read_text() == "as it was"
    for part in ("staging", "chunks", "backups"):
        (tmp_path / "b" / part).mkdir(exist_ok=True)
        (tmp_path / "b" / part).rename(tmp_path / part)
        (tmp_path / "b" / part).symlink_to(tmp_path / part)
        with pytest.raises(UserError, match=f"{part} is a link"), opened_for_writing(tmp_path / "b", OWNER):
            raise AssertionError
        if part != "staging":
            with pytest.raises(UserError, match=f"{part} is a link"), opened_for_reading(tmp_path / "b"):
                raise AssertionError
        (tmp_path / "b" / part).unlink()


def test_a_piece_is_neither_written_nor_read_through_a_linked_folder(tmp_path: Path) -> None:
    kept, strangers = Chunks(tmp_path / "chunks"), tmp_path / "home"
    name, _ = kept.put(b"orders")
    (kept.folder / name[:2]).rename(strangers)
    (kept.folder / name[:2]).symlink_to(strangers)
    with pytest.raises(DamagedBackupError, match=f"{name} cannot be read: it is a link"):
        kept.get(name)
    (strangers / name).unlink()
    with pytest.raises(OSError, match="it is a link, and backups follow none") as refused:
        kept.put(b"orders")
    assert refused.value.filename == str(kept.folder / name[:2])
    assert list(strangers.iterdir()) == []
    kept.folder.rename(tmp_path / "moved")
    kept.folder.symlink_to(tmp_path / "moved")
    with pytest.raises(OSError, match="it is a link, and backups follow none"):
        kept.put(b"letters")
    kept.sync()


def test_a_link_in_the_place_of_a_piece_is_replaced_by_the_piece(tmp_path: Path) -> None:
    kept = Chunks(tmp_path / "chunks")
    name, _ = kept.put(b"orders")
    file = kept.folder / name[:2] / name
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    assert kept.put(b"orders")[1] > 0
    assert not file.is_symlink()
    assert kept.get(name) == b"orders"


def test_a_link_that_comes_while_a_backup_is_made_is_not_followed(tmp_path: Path) -> None:
    strangers = tmp_path / "home"
    with opened_for_writing(tmp_path / "b", OWNER) as folder:
        made = add(folder, NOW, own=b"1")
        (tmp_path / "b" / "backups").rename(strangers)
        (tmp_path / "b" / "backups").symlink_to(strangers)
        before = [(one.name, one.read_bytes()) for one in strangers.iterdir()]
        with pytest.raises(OSError, match="it is a link"):
            add(folder, NOW + timedelta(1), own=b"2")
        with pytest.raises(DamagedBackupError, match="it is a link"):
            folder.read(made.id)
        assert [(one.name, one.read_bytes()) for one in strangers.iterdir()] == before


def test_the_folder_itself_may_be_reached_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "b").symlink_to(tmp_path / "disk")
    with opened_for_writing(tmp_path / "b", OWNER) as folder:
        made = add(folder, NOW, own=b"1")
    with opened_for_reading(tmp_path / "b") as folder:
        assert folder.read(made.id) == made


def seal(path: Path, text: bytes) -> None:
    """Anybody can seal what they wrote."""
    path.write_bytes(sha256(text).hexdigest().encode() + b"\n" + text + b"\n")


WRONG_SHAPES = (
    b'{"format":1}', b"[]", b"", b"\xff\xfe", b'{"format":"1"}', b'{"format":1,"a":' + b"[" * 200_000,
    b'{"format":1,"owner":3}',
)  # fmt: skip


@pytest.mark.parametrize("text", WRONG_SHAPES)
def test_a_sealed_file_of_another_shape_is_damaged(tmp_path: Path, text: bytes) -> None:
    with opened_for_writing(tmp_path / "b", OWNER) as folder:
        made = add(folder, NOW, own=b"1")
        file = folder.path / "backups" / f"{made.id}.json"
        seal(file, text)
        with pytest.raises(DamagedBackupError, match=rf"Backup {made.id} cannot be restored.*--check` says which"):
            folder.read(made.id)
        assert [one.id for one in folder.readable()[1]] == [made.id]
        seal(folder.path / "erasures.json", text)
        with pytest.raises(DamagedBackupError, match=r"erasures.json does not hold.*remove it and name the workspace"):
            folder.ledger()
    seal(tmp_path / "b" / "keepers-backups.json", text)
    with pytest.raises(DamagedBackupError, match="a copy of this folder"), opened_for_reading(tmp_path / "b"):
        raise AssertionError


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("made_at", "2026-03-01T12:00:00Z"), ("id", "../../../home/precious"), ("id", "20260301T120001Z"),
        ("keepers", "[bold]\x1b[2J"), ("files", [{"path": "a", "size": -1, "chunks": []}]),
        ("files", [{"path": "a", "size": 1, "chunks": ["../../x"]}]),
    ],
)  # fmt: skip
def test_a_manifest_with_values_that_no_backup_has_is_damaged(tmp_path: Path, field: str, value: Any) -> None:
    with opened_for_writing(tmp_path / "b", OWNER) as folder:
        made = add(folder, NOW, own=b"1")
        content = msgspec.to_builtins(made) | {"made_at": "2026-03-01T12:00:00", field: value}
        seal(folder.path / "backups" / f"{made.id}.json", msgspec.json.encode(content))
        with pytest.raises(DamagedBackupError):
            folder.read(made.id)
        assert folder.readable()[0] == []


def test_erasures_with_a_zone_are_damaged(tmp_path: Path) -> None:
    with opened_for_writing(tmp_path / "b", OWNER) as folder:
        content = {"format": 1, "owner": OWNER, "identifiers": [["a", "2026-03-01T12:00:00Z"]], "addresses": []}
        seal(folder.path / "erasures.json", msgspec.json.encode(content))
        with pytest.raises(DamagedBackupError, match="does not hold"):
            folder.ledger()


def test_a_pipe_in_the_place_of_the_ledger_is_not_waited_for(tmp_path: Path) -> None:
    with opened_for_writing(tmp_path / "b", OWNER) as folder:
        os.mkfifo(folder.path / "erasures.json")
        with pytest.raises(DamagedBackupError, match="no regular file"):
            folder.ledger()


def test_no_more_is_written_than_the_backup_names(tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    steps: list[int] = []
    with opened_for_writing(tmp_path / "b", OWNER) as folder:
        piece = folder.chunks.put(bytes(CHUNK_BYTES))[0]
        made = msgspec.structs.replace(add(folder, NOW), files=[StoredFile("data/x", 5, [piece] * 30)])
        with pytest.raises(DamagedBackupError, match="its size is not"):
            write_files(folder, made, tmp_path / "to", is_left_out, lambda done, total: steps.append(done))
        assert steps == []
        assert (tmp_path / "to" / "data" / "x").stat().st_size == 0
        made = msgspec.structs.replace(made, files=[StoredFile("data/y", 1 << 60, [piece])])
        with pytest.raises(UserError, match=r"needs 1152921504606846976 bytes, and .* has room for \d+. Make room"):
            write_files(folder, made, tmp_path / "to", is_left_out, lambda done, total: None)
        assert not (tmp_path / "to" / "data" / "y").exists()


def test_backups_expire_by_number_and_by_age_and_the_newest_stays(tmp_path: Path) -> None:
    with opened_for_writing(tmp_path / "b", OWNER) as folder:
        made = [add(folder, NOW + timedelta(days=n), shared=b"the same", own=b"%d" % n) for n in range(5)]
        assert len(pieces(folder)) == 6
        last = made[4]
        assert folder.expire(last, newest=None, longest=timedelta(days=2)) == [made[1].id, made[0].id]
        assert folder.expire(last, newest=2, longest=None) == [made[2].id]
        assert folder.remove_unneeded() > 0
        assert folder.ids() == [made[3].id, last.id]
        assert len(pieces(folder)) == 3
        assert folder.expire(last, newest=1, longest=timedelta(days=9)) == [made[3].id]
        assert [wrong for _, wrong in folder.check(last.chunk_names())] == [None, None]


def test_the_one_just_made_stays_whatever_the_clock_said_before(tmp_path: Path) -> None:
    with opened_for_writing(tmp_path / "b", OWNER) as folder:
        ahead = add(folder, NOW + timedelta(days=400), own=b"1")
        made = add(folder, NOW, own=b"2")
        assert folder.expire(made, newest=1, longest=timedelta(days=1)) == [ahead.id]
        assert folder.ids() == [made.id]


def test_a_damaged_ledger_is_named_with_what_to_do(tmp_path: Path) -> None:
    with opened_for_writing(tmp_path / "b", OWNER) as folder:
        folder.add_erased(Ledger([ErasedIdentifier("a", NOW)], []))
        (folder.path / "erasures.json").write_bytes(b"{}")
        with pytest.raises(DamagedBackupError, match=r"erasures.json is not as it was written. It says who was erased"):
            folder.ledger()


def test_backups_of_one_second_have_names_of_their_own(tmp_path: Path) -> None:
    with opened_for_writing(tmp_path / "b", OWNER) as folder:
        assert [add(folder, NOW).id for _ in range(3)] == [f"20260301T120000Z{end}" for end in ("", "-2", "-3")]


def test_while_a_list_is_damaged_no_piece_is_removed(tmp_path: Path) -> None:
    with opened_for_writing(tmp_path / "b", OWNER) as folder:
        first, second = (add(folder, NOW + timedelta(days=n), own=b"%d" % n) for n in range(2))
        file = folder.path / "backups" / f"{first.id}.json"
        file.write_bytes(file.read_bytes().replace(b"Shop", b"shop"))
        found, damaged = folder.readable()
        assert ([one.id for one in found], [one.id for one in damaged]) == ([second.id], [first.id])
        folder.chunks.put(b"of an interrupted one")
        assert (folder.remove_unneeded(), len(pieces(folder))) == (0, 3)
        file.unlink()
        assert folder.remove_unneeded() > 0
        assert len(pieces(folder)) == 1


def test_what_an_interrupted_backup_left_is_removed_by_the_next(tmp_path: Path) -> None:
    with opened_for_writing(tmp_path / "b", OWNER) as folder:
        add(folder, NOW, own=b"1")
        (folder.staging / "keepers.db").write_bytes(b"half")
        half = folder.path / "chunks" / "ab" / ("ab" * 32 + ".new")
        half.parent.mkdir(exist_ok=True)
        half.write_bytes(b"half")
        (folder.path / "backups" / "20260101T000000Z.json.new").write_bytes(b"half")
    assert not (tmp_path / "b" / "staging").exists()
    (tmp_path / "b" / "staging" / "of_one_that_was_killed").mkdir(parents=True)
    with opened_for_writing(tmp_path / "b", OWNER) as folder:
        assert list(folder.staging.iterdir()) == []
        assert list((tmp_path / "b" / "staging").iterdir()) == [folder.staging]
        folder.remove_unneeded()
        assert not half.exists()
        assert len(list((folder.path / "backups").iterdir())) == len(pieces(folder)) == 1


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"")
    with pytest.raises(UserError, match="holds something else"), opened_for_writing(tmp_path / "photos", OWNER):
        raise AssertionError
    with pytest.raises(NotFoundError, match="no folder of backups"), opened_for_reading(tmp_path / "photos"):
        raise AssertionError
    with opened_for_writing(tmp_path / "b", OWNER):
        pass
    with pytest.raises(UserError, match="another workspace"), opened_for_writing(tmp_path / "b", "p" * 32):
        raise AssertionError


def test_two_do_not_write_at_once_and_none_reads_meanwhile(tmp_path: Path) -> None:
    with opened_for_writing(tmp_path / "b", OWNER):
        with pytest.raises(ConflictError, match="Wait for it"), opened_for_writing(tmp_path / "b", OWNER):
            raise AssertionError
        with pytest.raises(ConflictError, match="Wait for it"), opened_for_reading(tmp_path / "b"):
            raise AssertionError
    with opened_for_reading(tmp_path / "b"), pytest.raises(ConflictError), opened_for_writing(tmp_path / "b", OWNER):
        raise AssertionError
    with (
        opened_for_reading(tmp_path / "b"),
        opened_for_reading(tmp_path / "b") as folder,
        pytest.raises(NotFoundError, match="no backup in"),
    ):
        folder.read("20260101T000000Z")


def test_two_first_backups_of_one_folder_meet(tmp_path: Path) -> None:
    """Whoever comes while the other has written nothing but the lock waits for it, or is refused."""
    with opened_for_writing(tmp_path / "b", OWNER):
        (tmp_path / "b" / "keepers-backups.json").unlink()
        with pytest.raises(ConflictError, match="Wait for it"), opened_for_writing(tmp_path / "b", OWNER):
            raise AssertionError
    (tmp_path / "b" / "photo.jpg").touch()
    with pytest.raises(UserError, match="holds something else"), opened_for_writing(tmp_path / "b", OWNER):
        raise AssertionError


def test_a_copy_without_a_lock_can_be_read(tmp_path: Path) -> None:
    with opened_for_writing(tmp_path / "b", OWNER) as folder:
        made = add(folder, NOW)
    (tmp_path / "b" / "lock").unlink()
    with opened_for_reading(tmp_path / "b") as folder:
        assert folder.ids() == [made.id]


def test_a_newer_format_is_refused_and_said(tmp_path: Path) -> None:
    with opened_for_writing(tmp_path / "b", OWNER) as folder:
        made = add(folder, NOW)
        write_sealed(folder.path / "backups" / f"{made.id}.json", msgspec.structs.replace(made, format=FORMAT + 1))
        with pytest.raises(UserError, match="Use the Keepers that made it"):
            folder.read(made.id)


@pytest.mark.parametrize("path", ["../keepers.toml", "/etc/passwd", "data/../../x", "", "a\0b"])
def test_a_path_that_leads_out_is_not_written(tmp_path: Path, path: str) -> None:
    (tmp_path / "to").mkdir()
    with opened_for_writing(tmp_path / "b", OWNER) as folder:
        made = add(folder, NOW, **{path: b"evil"})
        with pytest.raises(DamagedBackupError, match="leads out"):
            write_files(folder, made, tmp_path / "to", is_left_out, lambda done, total: None)
    assert list((tmp_path / "to").iterdir()) == []


@pytest.mark.parametrize("path", [
    "data/server.json", "./data//server.json", "DATA/Server.json", "data/server.12", ".git/config", ".git",
    "playbook/.git/hooks/post-checkout", "playbook/.git", ".GIT/config", "data/compiled/x.json",
    "data/sequencer.lock", "data/uploads/upload-1/f.csv",
])  # fmt: skip
def test_what_no_backup_keeps_is_not_written(tmp_path: Path, path: str) -> None:
    (tmp_path / "to").mkdir()
    with opened_for_writing(tmp_path / "b", OWNER) as folder:
        made = add(folder, NOW, **{path: b"evil"})
        with pytest.raises(DamagedBackupError, match="no backup keeps such a file"):
            write_files(folder, made, tmp_path / "to", is_left_out, lambda done, total: None)
    assert list((tmp_path / "to").iterdir()) == []


def test_a_ledger_only_grows_and_is_of_one_workspace(tmp_path: Path) -> None:
    early = Ledger([ErasedIdentifier("a", NOW)], [ErasedAddress("email", "x", NOW)])
    late = Ledger([ErasedIdentifier("a", NOW + timedelta(1)), ErasedIdentifier("b", NOW)], [])
    with opened_for_writing(tmp_path / "b", OWNER) as folder:
        folder.add_erased(early)
        folder.add_erased(late)
        folder.add_erased(Ledger([], []))
        known = folder.ledger()
    assert known == union(early, late)
    assert known.identifiers == late.identifiers
    assert known.addresses == early.addresses
    assert newer_than(known, early) == late
    assert newer_than(early, known) == Ledger([], [])


def test_a_seal_that_is_broken_is_seen(tmp_path: Path) -> None:
    with opened_for_writing(tmp_path / "b", OWNER) as folder:
        made = add(folder, NOW)
        file = folder.path / "backups" / f"{made.id}.json"
        whole = file.read_bytes()
        for broken in (b"", whole[:-20], whole.replace(b"0.1.0", b"0.1.1"), b"\xff" * 100):
            file.write_bytes(broken)
            with pytest.raises(DamagedBackupError, match="not as it was written"):
                read_sealed(file, Manifest)
