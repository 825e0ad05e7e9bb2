"""A folder of backups: pieces kept once, expiry, damage that is found, folders that are refused."""

from __future__ import annotations

import zlib
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from keepers.backups.chunks import Chunks, DamagedBackupError
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
    with (
        opened_for_reading(tmp_path / "b"),
        opened_for_reading(tmp_path / "b") as folder,
        pytest.raises(NotFoundError, match="no backup in"),
    ):
        folder.read("20260101T000000Z")


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
            write_files(folder, made, tmp_path / "to", lambda done, total: None)
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
