"""Backing up and restoring by commands, on both stores: what comes back, what is not sent, who stays erased."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import convert, structs

import workspaces
from conftest import ENGINES, Postgres
from keepers.app.operations.backups import BackUp, back_up
from keepers.app.operations.restore import Restored, restore_workspace
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.app.workspace.clock import clock
from keepers.app.workspace.settings import load_settings
from keepers.backups.chunks import Chunks
from keepers.backups.manifest import Manifest, StoredFile, read_sealed, write_sealed
from keepers.cli.present.backups import restored
from keepers.model.errors import UserError
from keepers.model.message import MessageStatus
from keepers.store.messages import messages
from keepers.store.profiles import suppressions
from postgres_programs import on_path
from stories.command_shop import Shop, signed_up


class BackedUpShop(Shop):
    """The shop with a folder for backups."""

    def __init__(self, shop: Shop, backups: Path, postgres: Postgres | None) -> None:
        super().__init__(shop.folder, shop.mailbox)
        self.backups = backups
        self._postgres = postgres

    def back_up(self, *options: object) -> Any:
        return self.json_of("backup", self.backups, *options)

    def restored(self, name: str, *options: object) -> tuple[Shop, Any]:
        """Another workspace, made from a backup, and what was report of it."""
        to = self.folder.with_name(name)
        store = ["--store", self._postgres.empty()] if self._postgres else []
        done = self.json_of("restore", self.backups, "--to", to, *store, *options)
        return Shop(to, self.mailbox), done


@pytest.fixture(params=ENGINES)
def shop(
    request: pytest.FixtureRequest, tmp_path: Path, migrated_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[BackedUpShop]:
    on_path(monkeypatch)
    postgres = request.getfixturevalue("postgres") if request.param == "postgres" else None
    address = postgres.migrated() if postgres else None
    with signed_up(tmp_path / "shop", migrated_folder, address) as opened:
        yield BackedUpShop(opened, tmp_path / "backups", postgres)


@pytest.fixture
def sqlite_shop(tmp_path: Path, migrated_folder: Path) -> Iterator[BackedUpShop]:
    with signed_up(tmp_path / "shop", migrated_folder, None) as opened:
        yield BackedUpShop(opened, tmp_path / "backups", None)


def _statuses(shop: Shop) -> dict[str, MessageStatus]:
    return {one["profile"]: one["status"] for one in shop.json_of("messages")["items"]}


def test_what_waited_then_is_not_sent_again_unless_somebody_says_so(shop: BackedUpShop) -> None:
    with workspaces.opened(shop.folder) as workspace:
        late = [{"type": "track", "userId": "ann", "event": "Product Viewed", "messageId": f"v{n}"} for n in range(5)]
        workspaces.send(workspace.store, clock(), late)
    done = shop.back_up()
    assert shop.json_of("deliver", "--once")["sent"] == 1
    new, report = shop.restored("new")
    assert (report["id"], report["profiles"], report["messages"]) == (done["id"], 2, 2)
    # Those that waited in the inbox were taken in.
    with workspaces.opened(new.folder) as workspace:
        events = workspace.warehouse.cursor().execute("SELECT event FROM tracks").fetchall()
    assert report["events"] == len(events)
    assert events.count(("Product Viewed",)) == len(late)
    assert (report["uncertain"], report["stopped_broadcasts"], report["erased"]) == (1, [], 0)
    assert _statuses(new) == {"ann": "uncertain", "bob": "skipped"}
    (message,) = new.json_of("messages", "--status", "uncertain")["items"]
    assert message["why"].startswith("the workspace was restored from a backup")
    assert "restored from the backup of" in " ".join(new.json_of("doctor")["findings"])
    new.json_of("tick", "--until-idle")
    new.json_of("start-sending")
    assert new.json_of("deliver", "--once")["sent"] == 0
    assert len(shop.mail()) == 1
    new.json_of("message", "retry", message["id"])
    assert new.json_of("deliver", "--once")["sent"] == 1
    assert len(shop.mail()) == 2
    # The restored one goes on where it was: its own backups follow in the same folder.
    assert new.json_of("backup", shop.backups)["kept"] == 2


def test_erasures_after_a_backup_are_applied(shop: BackedUpShop) -> None:
    first = shop.back_up()
    with workspaces.opened(shop.folder) as workspace:
        ann = workspace.find_profile("ann")
    assert _rows_of(shop, ann)
    shop.json_of("erase", "ann", "--yes")
    # Known from the living workspace alone, until the next backup knows it too.
    unaware, report = shop.restored("unaware")
    assert (report["erased"], bool(_rows_of(unaware, ann))) == (0, True)
    aware, report = shop.restored("aware", "--erasures", shop.folder)
    assert (report["erased"], _rows_of(aware, ann), _erased_addresses(aware)) == (1, 0, _erased_addresses(shop))
    second = shop.back_up()
    by_folder, report = shop.restored("by_folder", "--at", first["id"])
    assert (report["erased"], _rows_of(by_folder, ann)) == (1, 0)
    elsewhere = shop.backups.with_name("erasures.json")
    shutil.copyfile(shop.backups / "erasures.json", elsewhere)
    (shop.backups / "erasures.json").unlink()
    by_file, report = shop.restored("by_file", "--at", first["id"], "--erasures", elsewhere)
    assert (report["erased"], _rows_of(by_file, ann)) == (1, 0)
    (elsewhere.with_name("keepers-backups.json")).touch()
    assert shop.restored("by_its_folder", "--at", first["id"], "--erasures", elsewhere.parent)[1]["erased"] == 1
    # What the backup knows of erasures itself is not applied again: whoever came back since is a customer.
    _, report = shop.restored("again", "--at", second["id"], "--erasures", elsewhere)
    assert report["erased"] == 0


def _rows_of(shop: Shop, profile_id: int) -> int:
    with workspaces.opened(shop.folder) as workspace, workspace.store.read() as connection:
        return len(connection.execute(messages.columns.where(messages.messages.c.profile_id == profile_id)).all())


def _erased_addresses(shop: Shop) -> set[tuple[str, str]]:
    with workspaces.opened(shop.folder) as workspace, workspace.store.read() as connection:
        found = {(one.channel, one.hash) for one in suppressions.everything(connection) if one.reason == "erased"}
    assert found
    return found


def test_a_later_backup_writes_what_changed_and_older_ones_expire(shop: BackedUpShop) -> None:
    first = shop.back_up()
    second = shop.back_up()
    assert second["size"] >= first["size"] > 10 * second["new_bytes"] > 0
    assert second["kept"] == 2
    third = shop.back_up("--keep", 1)
    assert (third["kept"], third["expired"]) == (1, [second["id"], first["id"]])
    assert third["freed_bytes"] > 0
    (listed,) = shop.json_of("backups", shop.backups, "--check")["items"]
    assert (listed["id"], listed["damage"], listed["workspace"]) == (third["id"], "", "Test shop")
    assert shop.restored("new")[1]["profiles"] == 2


def test_every_file_is_its_user_s_alone(sqlite_shop: BackedUpShop) -> None:
    sqlite_shop.back_up()
    new, _ = sqlite_shop.restored("new")
    for root in (sqlite_shop.backups, new.folder):
        modes = {(path.is_dir(), path.stat().st_mode & 0o777) for path in [root, *root.rglob("*")]}
        assert modes == {(True, 0o700), (False, 0o600)}
    assert (new.folder / "keepers.toml").read_text() == (sqlite_shop.folder / "keepers.toml").read_text()
    assert not (new.folder / "data" / "server.json").exists()


def test_damage_is_named_and_nothing_half_restored_is_left(sqlite_shop: BackedUpShop) -> None:
    shop = sqlite_shop
    whole = shop.back_up()
    before = set(shop.backups.glob("chunks/??/*"))
    with workspaces.opened(shop.folder) as workspace:
        workspaces.send(workspace.store, clock(), [{"type": "track", "userId": "cid", "event": "Signed Up"}])
    hurt = shop.back_up()
    (own, *_) = sorted(set(shop.backups.glob("chunks/??/*")) - before)
    own.write_bytes(own.read_bytes()[:-5])
    message = shop.refused_with(1, "restore", shop.backups, "--to", shop.folder.with_name("new"))
    assert f"Backup {hurt['id']} cannot be restored, " in message
    assert f"chunk {own.name} is not as it was written" in message
    assert sorted(path.name for path in shop.folder.parent.iterdir() if "new" in path.name) == []
    ran = workspaces.keepers("backups", shop.backups, "--check", "--json")
    assert ran.code == 1
    assert [(one["id"], bool(one["damage"])) for one in ran.json["items"]] == [(whole["id"], False), (hurt["id"], True)]
    assert shop.restored("new", "--at", whole["id"])[1]["id"] == whole["id"]


def test_what_an_interrupted_restore_left_is_replaced(sqlite_shop: BackedUpShop) -> None:
    sqlite_shop.back_up()
    half = sqlite_shop.folder.with_name(".new.restoring-abc")
    half.mkdir(mode=0o700)
    (half / "data").mkdir()
    (half / "data" / "keepers.db").write_bytes(b"half")
    (half / "left.txt").write_text("left")
    new, _ = sqlite_shop.restored("new")
    assert not half.exists()
    assert not (new.folder / "left.txt").exists()
    assert not [one for one in new.folder.parent.iterdir() if "restoring" in one.name]


def test_what_others_put_beside_the_new_folder_is_left(sqlite_shop: BackedUpShop, tmp_path: Path) -> None:
    sqlite_shop.back_up()
    precious = tmp_path / "precious"
    (precious / "photos").mkdir(parents=True)
    (precious / "photos" / "cat.jpg").write_bytes(b"cat")
    precious.chmod(0o700)
    for name in (".new.restoring", ".new.restoring-abc"):
        sqlite_shop.folder.with_name(name).symlink_to(precious, target_is_directory=True)
    shared, held = (sqlite_shop.folder.with_name(f".new.restoring-{name}") for name in ("shared", "held"))
    for folder, mode in ((shared, 0o755), (held, 0o700)):
        folder.mkdir()
        folder.chmod(mode)
    with held_by_a_restore(held):
        new, _ = sqlite_shop.restored("new")
    assert new.json_of("doctor")
    assert (precious / "photos" / "cat.jpg").exists()
    assert shared.exists()
    assert held.exists()
    to = sqlite_shop.folder.with_name("link")
    to.symlink_to(tmp_path / "nowhere", target_is_directory=True)
    assert "is not an empty folder" in sqlite_shop.refused("restore", sqlite_shop.backups, "--to", to)
    assert not (tmp_path / "nowhere").exists()


@contextmanager
def held_by_a_restore(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def test_a_restore_is_in_the_audit_log_of_the_new_workspace(shop: BackedUpShop) -> None:
    id = shop.back_up()["id"]
    new, _ = shop.restored("new")
    (row,) = new.json_of("audit", "--use-case", "restore")["items"]
    assert (row["actor"], row["target"], row["outcome"]) == ("command line", id, "done")
    assert shop.json_of("audit", "--use-case", "restore")["items"] == []


def test_views_macros_and_triggers_that_are_not_ours_are_removed_and_named(
    sqlite_shop: BackedUpShop, capsys: pytest.CaptureFixture[str]
) -> None:
    with workspaces.opened(sqlite_shop.folder) as workspace:
        cursor = workspace.warehouse.cursor()
        cursor.execute("CREATE VIEW recent AS SELECT * FROM read_text('/etc/hostname')")
        cursor.execute("CREATE MACRO twice(n) AS 2 * n")
        with workspace.store.engine.begin() as connection:
            connection.exec_driver_sql("CREATE TRIGGER evil AFTER INSERT ON keys BEGIN DELETE FROM keys; END")
    sqlite_shop.back_up()
    new, report = sqlite_shop.restored("new")
    assert report["left_out"] == ["view recent", "macro twice", "trigger evil"]
    with workspaces.opened(new.folder) as workspace:
        query = "SELECT count(*) FROM duckdb_views() WHERE NOT internal"
        assert workspace.warehouse.cursor().execute(query).fetchall() == [(0,)]
    restored(convert(report, Restored))
    assert "view recent, macro twice, trigger evil. Keepers makes no such things" in capsys.readouterr().out


def test_after_weeks_the_restored_one_says_how_to_tick(
    sqlite_shop: BackedUpShop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sqlite_shop.back_up()
    assert not sqlite_shop.restored("at_once")[1]["is_jump"]
    monkeypatch.setattr("keepers.app.workspace.workspace.clock", lambda: clock() + timedelta(days=30))
    done = restore_workspace(sqlite_shop.backups, sqlite_shop.folder.with_name("new"))
    assert done.is_jump
    restored(done)
    shown = capsys.readouterr().out
    assert "keepers tick --allow-jump" in shown
    assert (done.uncertain, "message settle retry --journey ID" in shown) == (1, True)


def test_a_backup_that_is_ended_leaves_the_earlier_ones(sqlite_shop: BackedUpShop) -> None:
    first = sqlite_shop.back_up()
    steps = 0

    def end(done: int, total: int) -> None:
        nonlocal steps
        steps += 1
        if steps == 12:
            raise UserError("cancelled")

    with workspaces.opened(sqlite_shop.folder) as workspace:
        with pytest.raises(UserError, match="cancelled"):
            back_up(workspace, COMMAND_LINE, BackUp(folder=str(sqlite_shop.backups)), end)
        workspace.ticker.tick(clock())
    assert not (sqlite_shop.backups / "staging").exists()
    assert [one["id"] for one in sqlite_shop.json_of("backups", sqlite_shop.backups)["items"]] == [first["id"]]
    assert sqlite_shop.back_up()["kept"] == 2


def test_mistakes_are_said_with_what_to_do(sqlite_shop: BackedUpShop, tmp_path: Path, migrated_folder: Path) -> None:
    shop = sqlite_shop
    full = tmp_path / "full"
    full.mkdir()
    (full / "photo.jpg").write_bytes(b"x")
    assert "lie in each other" in shop.refused("backup", shop.folder / "backups")
    assert "lie in each other" in shop.refused("backup", shop.folder.parent)
    assert "holds something else" in shop.refused("backup", full)
    assert "no folder of backups" in shop.refused("backups", full)
    assert "no folder of backups" in shop.refused("restore", tmp_path / "none", "--to", tmp_path / "new")
    assert "could not be made: Not a directory" in shop.refused("backup", full / "photo.jpg" / "b")
    assert "or name another folder" in shop.refused("backup", "/proc/b")
    assert "absolute" in str(_refusal(shop.folder, "backups"))
    id = shop.back_up()["id"]
    assert "is not an empty folder" in shop.refused("restore", shop.backups, "--to", full)
    assert "is not an empty folder" in shop.refused("restore", shop.backups, "--to", shop.folder)
    assert "lie in each other" in shop.refused("restore", shop.backups, "--to", shop.backups / "new")
    assert f"Did you mean “{id}”?" in shop.refused("restore", shop.backups, "--to", tmp_path / "new", "--at", id[:-1])
    store = ["--store", "postgresql://localhost/x"]
    assert "Leave out --store" in shop.refused("restore", shop.backups, "--to", tmp_path / "new", *store)
    other = workspaces.lay_out(tmp_path / "other", migrated_folder)
    assert "another workspace" in shop.refused("-w", other, "backup", shop.backups)
    for wrong, reason in (
        (other, "another workspace"),
        (full, "is neither a workspace nor erasures.json"),
        (full / "none", "is neither a workspace nor erasures.json"),
        (full / "photo.jpg", "photo.jpg is not as it was written. Name the old workspace"),
        (shop.backups / "keepers-backups.json", "does not hold what a backup has there"),
    ):
        restoring = ("restore", shop.backups, "--to", tmp_path / "new", "--erasures", wrong)
        assert reason in shop.refused(*restoring)
    assert not (tmp_path / "new").exists()


def _refusal(folder: Path, to: str) -> UserError:
    with workspaces.opened(folder) as workspace, pytest.raises(UserError) as refused:
        back_up(workspace, COMMAND_LINE, BackUp(folder=to))
    return refused.value


def test_a_place_out_of_the_folder_is_refused(sqlite_shop: BackedUpShop, monkeypatch: pytest.MonkeyPatch) -> None:
    sqlite_shop.back_up()
    monkeypatch.setenv("KEEPERS_WAREHOUSE_PATH", str(sqlite_shop.folder / "data" / "warehouse.duckdb"))
    to = sqlite_shop.folder.with_name("new")
    assert "leads out of the workspace's folder" in sqlite_shop.refused("backup", sqlite_shop.backups)
    assert "leads out of the workspace's folder" in sqlite_shop.refused("restore", sqlite_shop.backups, "--to", to)
    monkeypatch.setenv("KEEPERS_WAREHOUSE_PATH", "data/other.duckdb")
    assert "is not where the backup" in sqlite_shop.refused("restore", sqlite_shop.backups, "--to", to)
    assert not to.exists()


def test_on_postgresql_a_backup_takes_its_programs_and_an_empty_database(
    postgres: Postgres, tmp_path: Path, migrated_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with signed_up(tmp_path / "shop", migrated_folder, postgres.migrated()) as opened:
        backups, to = tmp_path / "backups", tmp_path / "new"
        with monkeypatch.context() as bare:
            bare.setenv("PATH", str(tmp_path))
            refused = opened.refused("backup", backups)
        assert "pg_dump is not installed" in refused
        assert "docs/howto/back-up-and-restore.md" in refused
        on_path(monkeypatch)
        opened.json_of("backup", backups)
        assert "Name an empty database" in opened.refused("restore", backups, "--to", to)
        assert "Name an empty database" in opened.refused("restore", backups, "--to", to, "--store", "nonsense")
        assert not Path("nonsense").exists()
        living = load_settings(opened.folder, {}).store.url
        refused = opened.refused("restore", backups, "--to", to, "--store", living)
        assert "is not empty" in refused
        assert not to.exists()
        # The address may come from the environment, and is then kept without its password.
        empty = postgres.empty().replace("postgres@", "postgres:secret@")
        monkeypatch.setenv("KEEPERS_STORE_URL", empty)
        assert opened.json_of("restore", backups, "--to", to)["profiles"] == 2
        assert load_settings(to, {}).store.url == empty.replace(":secret", "")


def rewrite(shop: BackedUpShop, id: str, path: str, content: bytes | None) -> None:
    """The backup has another content of a file, or none."""
    file = shop.backups / "backups" / f"{id}.json"
    made = read_sealed(file, Manifest)
    files = [one for one in made.files if one.path != path]
    if content is not None:
        files.append(StoredFile(path, len(content), [Chunks(shop.backups / "chunks").put(content)[0]]))
    write_sealed(file, structs.replace(made, files=files))


@pytest.mark.parametrize(("content", "reason"), [(None, "it has no keepers.toml"), (b"[x", "is not readable TOML")])
def test_a_backup_without_settings_that_can_be_used_is_named(
    sqlite_shop: BackedUpShop, content: bytes | None, reason: str
) -> None:
    shop = sqlite_shop
    id = shop.back_up()["id"]
    rewrite(shop, id, "keepers.toml", content)
    to = shop.folder.with_name("new")
    refused = shop.refused("restore", shop.backups, "--to", to)
    assert refused.startswith(f"The settings of backup {id} cannot be used. Restore another one with --at")
    assert reason in refused
    assert not to.exists()


@pytest.mark.parametrize("path", ["data/server.json", ".git/config", "data/keepers.db-journal", "data/Inbox.db-WAL"])
def test_a_backup_with_a_file_that_none_keeps_is_refused(sqlite_shop: BackedUpShop, path: str) -> None:
    id = sqlite_shop.back_up()["id"]
    rewrite(sqlite_shop, id, path, b'{"address":"http://evil.example","pid":1,"token":"x","settings":{}}')
    to = sqlite_shop.folder.with_name("new")
    refused = sqlite_shop.refused_with(1, "restore", sqlite_shop.backups, "--to", to)
    assert f"Backup {id} cannot be restored" in refused
    assert path in refused
    assert "no backup keeps such a file" in refused
    assert not to.exists()
