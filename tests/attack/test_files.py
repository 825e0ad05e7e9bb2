"""Attacks on files: other users of the machine, and names of playbook files that want out of their folder."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from keepers.app.operations.doctor import file_findings
from keepers.app.workspace.files.folder import UMASK, make_private
from keepers.app.workspace.files.private_files import restrict_files, shared_files
from keepers.model.errors import UserError
from keepers.playbook.files import refuse_unsafe, written
from serving import Serving, copied, keepers, serving

SEGMENT = "segments: [{id: escaped, who: {did: Order Completed}}]\n"


@pytest.fixture(scope="module")
def server(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with serving(copied(shop, tmp_path_factory.mktemp("files") / "shop"), "--no-tick") as running:
        yield running


@pytest.fixture
def open_umask() -> Iterator[None]:
    """As a shell that lets everybody read and write."""
    os.umask(0)
    yield
    make_private()


def modes(folder: Path) -> dict[str, str]:
    """What others may use, by its path."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        if not path.is_symlink() and mode & UMASK:
            found[str(path.relative_to(folder))] = oct(mode)
    return found


@pytest.mark.usefixtures("open_umask")
def test_all_that_commands_and_a_server_make_is_private_whatever_the_umask(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    keepers(folder, "init", str(folder), "--lifecycle", "value")
    os.umask(0)
    orders = tmp_path / "orders.csv"
    orders.write_text("who,at\nann,2026-01-05\nbob,\n", encoding="utf-8")
    os.umask(0)
    keepers(folder, "import", str(orders), "--event", "Order Completed", "--profile", "who", "--time", "at")
    os.umask(0)
    with serving(folder) as server:
        body = {"event": "Seen", "userId": "u"}
        token = keepers(folder, "keys", "create", "server")["token"]
        os.umask(0)
        assert httpx.post(f"{server.address}/v1/track", json=body, auth=(token, "")).status_code == 200
        files = {path.name for path in (folder / "data").rglob("*")}
        assert {"keepers.db", "keepers.db-wal", "inbox.db", "warehouse.duckdb", "server.json", "server.log"} <= files
        # The test itself made the server's log.
        assert set(modes(folder)) <= {"data/server.log"}
    keepers(folder, "export", "ann", "--output", str(tmp_path / "ann.json"))
    assert stat.S_IMODE((tmp_path / "ann.json").stat().st_mode) == 0o600


def test_what_others_could_read_is_told_and_mended_at_start(shop: Path, tmp_path: Path) -> None:
    folder = copied(shop, tmp_path / "shop")
    elsewhere = tmp_path / "elsewhere.txt"
    elsewhere.write_text("not ours", encoding="utf-8")
    (folder / "data" / "link").symlink_to(elsewhere)
    for path in (folder, folder / "data", folder / "playbook"):
        path.chmod(0o755)
    for path in (
        folder / "keepers.toml",
        folder / "data" / "keepers.db",
        folder / "playbook" / "regulars.yaml",
        elsewhere,
    ):
        path.chmod(0o664)
    assert shared_files(folder) == [folder / "keepers.toml", folder / "data", folder / "data" / "keepers.db"]
    (finding,) = file_findings(folder)
    assert finding.values["number"] == 3
    log = folder / "data" / "server.log"
    with serving(folder, "--no-tick"):
        told = log.read_text(encoding="utf-8")
    for line in ("keepers.toml (0664); it is yours alone now", "data (0755)", "data/keepers.db (0664)"):
        assert line in told
    assert set(modes(folder)) == {".", "playbook", "playbook/regulars.yaml"}, "these are the user's"
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o664
    assert restrict_files(folder) == file_findings(folder) == []


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs a second user")
def test_another_user_reads_nothing(shop: Path) -> None:
    def read(path: Path) -> bytes:
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "cat", str(path)]
        return subprocess.run(command, capture_output=True, check=False).stdout

    # The folder of the tests itself is closed to others: this place is open, and a file there is read.
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        place = Path(name)
        folder = copied(shop, place / "shop")
        control = folder / "control.txt"
        control.write_text("read", encoding="utf-8")
        control.chmod(0o644)
        for one in (place, folder, folder / "data", folder / "playbook"):
            one.chmod(0o755)
        assert read(control) == b"read"
        files = [path for path in folder.rglob("*") if path.is_file() and path != control]
        assert {"keepers.toml", "keepers.db", "warehouse.duckdb", "regulars.yaml"} <= {path.name for path in files}
        assert {path.name: read(path) for path in files} == {path.name: b"" for path in files}


UNSAFE = (
    "../escaped.yaml", "/tmp/escaped.yaml", "a/escaped.yaml", "escaped.yaml\n", "escaped.yaml\0", ".escaped.yaml",
    "..yaml", "escaped.yaml/", "escaped.yaml/../../x.yaml", "escaped.YAML", "es\u0441aped.yaml", "escaped.yaml ",
    "con.yaml", "nul.yml", "com1.yaml", "-escaped.yaml", "escaped.yaml.exe", "%2e%2e%2fescaped.yaml",
    "a" * 65 + ".yaml",
)  # fmt: skip


@pytest.mark.parametrize("name", UNSAFE, ids=ascii)
def test_no_name_of_a_playbook_file_leads_elsewhere(server: Serving, name: str) -> None:
    with pytest.raises(UserError):
        refuse_unsafe({name: SEGMENT})
    before = sorted(server.folder.parent.rglob("*.y*ml"))
    with server.api() as api:
        for path, files in (("/definitions/apply", {name: SEGMENT}), ("/definitions/apply", {name: None})):
            refused = api.post(path, json={"files": files})
            assert (refused.status_code, refused.json()["code"]) in ((422, "files"), (400, "body")), refused.text
    assert sorted(server.folder.parent.rglob("*.y*ml")) == before


@pytest.mark.parametrize("text", [SEGMENT, None])
def test_a_link_in_the_playbook_is_not_written_through(server: Serving, tmp_path: Path, text: str | None) -> None:
    outside = tmp_path / "outside.yaml"
    outside.write_text(SEGMENT.replace("escaped", "outside"), encoding="utf-8")
    link = server.folder / "playbook" / "linked.yaml"
    link.symlink_to(outside)
    (server.folder / "playbook" / "folder.yaml").mkdir()
    try:
        with server.api() as api:
            for name in ("linked.yaml", "folder.yaml"):
                refused = api.post("/definitions/apply", json={"files": {name: text}})
                assert (refused.status_code, refused.json()["code"]) == (422, "files")
        assert link.is_symlink()
        assert "outside" in outside.read_text(encoding="utf-8")
    finally:
        link.unlink()
        (server.folder / "playbook" / "folder.yaml").rmdir()


def test_a_file_that_a_team_shares_stays_shared_and_a_new_one_is_private(tmp_path: Path) -> None:
    shared = tmp_path / "shared.yaml"
    shared.write_text("", encoding="utf-8")
    shared.chmod(0o664)
    with written(tmp_path, {"shared.yaml": SEGMENT, "new.yaml": SEGMENT}):
        pass
    found = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert found == {"shared.yaml": 0o664, "new.yaml": 0o600}
