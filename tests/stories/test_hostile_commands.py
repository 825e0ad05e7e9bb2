"""Whatever is typed: a sentence and exit code 2 for the person's mistake, never a traceback, nothing half done."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import workspaces
from workspaces import Ran, keepers

SQL = "'; DROP TABLE tracks; --"
STRANGE = [
    "",
    " ",
    SQL,
    "🦉",
    "שלום",
    "名前",
    "a" * 5000,
    "../../etc/passwd",
    "%s%n",
    "-1",
    "null",
    "a\nb",
    '"',
    "$(id)",
]
MOMENTS = [
    "",
    "yesterday",
    "2026-13-45",
    "now",
    "9999999999999",
    "1776-07-04",
    "2500-01-01",
    "2026-01-01T25:00",
    SQL,
    "🦉",
]
CONDITIONS: dict[str, tuple[Any, str]] = {
    "unknown event": ({"did": "Ordr Completed"}, "Order Completed"),
    "unknown trait": ({"trait": "pln", "eq": "pro"}, "plan"),
    "unknown segment": ({"in_segment": "actve"}, "active"),
    "unknown stage": ({"in_stage": "value.loyl"}, "loyal"),
    "unknown lifecycle": ({"in_stage": "valu.loyal"}, "value"),
    "unknown word": ({"dd": "Order Completed"}, "did"),
    "bad duration": ({"did": "Order Completed", "within": "30 parsecs"}, "14d"),
    "too long a duration": ({"did": "Order Completed", "within": "9999999w"}, "100 years"),
    "negative duration": ({"did": "Order Completed", "within": "-3d"}, ""),
    "bad time": ({"did": "Order Completed", "since": "2026-02-30"}, ""),
    "a list": ([1, 2, 3], ""),
    "a number": (7, ""),
    "a text": ("hello", ""),
    "nothing": (None, ""),
    "text compared as a number": ({"trait": "plan", "gt": {"a": 1}}, ""),
    "count of text": ({"did": "Order Completed", "count": {"gte": "many"}}, ""),
    "too many of anyone": ({"any": ["anyone"] * 5000}, "400"),
    "too many properties": ({"did": "Order Completed", "where": {f"p{n}": 1 for n in range(2000)}}, "400"),
    "too many steps": ({"sequence": [{"did": "Order Completed"}] * 350}, "50"),
    "sum of nothing": ({"did": "Order Completed", "sum": {"gte": 3}}, ""),
    "broken expression": ({"trait": "plan", "matches": "(((("}, ""),
    "deep": ({"not": {"not": {"not": {"trait": "pln", "exists": True}}}}, "plan"),
    "sql": ({"did": SQL}, ""),
    "sql in a trait": ({"trait": SQL, "eq": SQL}, ""),
}
HARMLESS: dict[str, Any] = {
    "sql as a value": {"trait": "plan", "eq": SQL},
    "unknown property": {"did": "Order Completed", "where": {"totl": 1}},
    "sql in a property": {"did": "Order Completed", "where": {SQL: SQL}},
    "owl as a value": {"trait": "plan", "eq": "🦉"},
    "long value": {"trait": "plan", "contains": "a" * 5000},
    "empty all": {"all": []},
    "in 1970": {"did": "Order Completed", "between": ["1970-01-01", "1970-01-02"]},
    "until 2100": {"did": "Order Completed", "since": "2100-01-01"},
}
FILES: dict[str, bytes] = {
    "empty.csv": b"",
    "blank.csv": b"\n\n\n",
    "binary.csv": bytes(range(256)) * 40,
    "picture.csv": b"\x89PNG\r\n\x1a\n" + b"\0" * 500,
    "header.csv": b"who,at\n",
    "zeros.csv": b"\0" * 3000,
    "broken.gz": b"\x1f\x8b" + b"nonsense",
    "broken.parquet": b"PAR1" + b"\0" * 100,
    "list.ndjson": b"[1,2,3]\n7\n",
    "no_columns.csv": b"a,b\n1,2\n",
    "page.csv": b"<!doctype html><html></html>",
    "one_long_line.csv": b"x" * 200_000,
    "endless_line.csv": b"x" * 3_000_000,
    "endless_header.csv": b",".join(b"c%d" % n for n in range(100_000)) + b"\n",
    "twice.csv": b"who,who,at\n1,2,2026-01-01\n",
}
GOOD_JSON = b'{"who":"u3","at":"2026-01-01"}\n'
ROWS: dict[str, bytes] = {
    "half.csv": b"who,at\nu1,2026-01-01\nu2,20",
    "zones.csv": b"who,at\nu1,2026-01-01T10:00:00+99:00\nu2,2026-01-01\n",
    "years.csv": b"who,at\nu1,1969-12-31\nu2,2101-01-01\nu3,9999-12-31\nu4,1970-01-02\nu5,2099-12-31\n",
    "ids.csv": f"who,at\n🦉,2026-01-01\nשלום,2026-01-01\n{SQL},2026-01-01\nnull,2026-01-01\n".encode(),
    "utf16.csv": "who,at\nu1,2026-01-01\n".encode("utf-16"),
    "nul.csv": b"who,at\nu\x001,2026-01-01\nu2,2026-01-01\n",
    "latin.csv": b"who,at\nJos\xe9,2026-01-01\nAna,2026-01-01\n",
    "ragged.csv": b"who,at\nu1\nu2,2026-01-01,more,and more\nu3,2026-01-01\n",
    "quotes.csv": b'who,at\n"u1,2026-01-01\nu2,2026-01-01\n',
    "deep.ndjson": b'{"who":"u1","at":"2026-01-01","x":' + b"[" * 2000 + b"]" * 2000 + b"}\n" + GOOD_JSON,
    "nan.ndjson": b'{"who":"u1","at":"2026-01-01","n":NaN}\n{"who":"u2","at":"2026-01-01","n":1e999}\n' + GOOD_JSON,
}
PLAYBOOKS: dict[str, str] = {
    "cycle": "segments: [{id: a, who: {in_segment: b}}, {id: b, who: {in_segment: a}}]",
    "itself": "segments: [{id: a, who: {not: {in_segment: a}}}]",
    "twice": "segments: [{id: a, who: anyone}, {id: a, who: anyone}]",
    "not yaml": "segments: [{id: a, who: {did: X}",
    "tabs": "segments:\n\t- id: a",
    "unknown section": "segmnts: []",
    "wrong types": "segments: {a: 1}\nlifecycles: 7",
    "bad id": "segments: [{id: 'A B', who: anyone}]",
    "bad lifecycle": "lifecycles: [{id: x, stages: [{id: a, when: anyone}, {id: a, when: anyone}]}]",
    "no stages": "lifecycles: [{id: x, stages: []}]",
    "python": "segments: !!python/object/apply:os.system [id]",
    "bomb": "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nsegments: [*b,*b,*b,*b]",
    "nul": 'segments: [{id: a, who: {did: "a\\0b"}}]',
    "sql id": f'segments: [{{id: "{SQL}", who: anyone}}]',
    "bad zone": "segments: [{id: a, who: {trait: x, before: '2026-01-01T00:00:00+99:00'}}]",
}
SETTINGS = [
    "[workspace\n",
    "[workspace]\nzone = 'Mars/Base'\n",
    "[wrkspace]\n",
    "[server]\nport = 'many'\n",
    "\0",
    "[server]\nport = 99999\n",
]
SETTINGS += [
    "[store]\nurl = 'postgresql://nobody@127.0.0.1:1/nowhere'\n",
    "[store]\nurl = 'mysql://x/y'\n",
    "[warehouse]\nmemory = 'lots'\n",
    "[workspace]\nzone = 7\n",
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, migrated_folder: Path) -> Iterator[Path]:
    """A small shop with two customers; the tests must leave it as it is."""
    folder = workspaces.make(tmp_path_factory.mktemp("hostile") / "shop", migrated_folder, lifecycles=["value"])
    file = folder.parent / "orders.csv"
    file.write_text("who,at,total,plan\nanna,2026-01-01,5,pro\nbob,2026-01-02,7,free\n")
    options = ["--event", "Order Completed", "--profile", "who", "--time", "at", "--property", "total=total"]
    assert keepers("-w", folder, "import", file, *options, "--trait", "plan=plan").code == 0
    assert keepers("-w", folder, "tick", "--now", "2026-02-01").code == 0
    before = _figures(folder)
    yield folder
    assert _figures(folder) == before


def _figures(folder: Path) -> tuple[Any, ...]:
    with workspaces.opened(folder) as workspace:
        outcome = workspaces.outcome(workspace)
        return sorted(workspace.active_playbook().versions.items()), outcome.states, outcome.changes, outcome.tracks


def refused(ran: Ran, hint: str = "") -> str:
    """Asserts that a command told the person what is wrong; returns the sentence."""
    output = ran.err + ran.out
    assert "Traceback" not in output, output
    assert ran.code == 2, ran
    assert "internal" not in output
    assert len(output.strip()) > 10
    assert hint in output, output
    return output


def fine(ran: Ran) -> None:
    """Asserts that a command was either done or refused decently."""
    if ran.code != 0:
        refused(ran)
    assert "Traceback" not in ran.err + ran.out


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_that_cannot_be_counted_is_refused_with_file_and_hint(
    shop: Path, tmp_path: Path, name: str
) -> None:
    condition, hint = CONDITIONS[name]
    file = tmp_path / "condition.yaml"
    file.write_text(json.dumps(condition))
    assert str(file) in refused(keepers("-w", shop, "count", file), hint)
    error = keepers("-w", shop, "count", file, "--json")
    assert error.json["error"]["message"]
    assert error.code == 2


@pytest.mark.parametrize("name", HARMLESS)
def test_strange_conditions_are_answered(shop: Path, tmp_path: Path, name: str) -> None:
    file = tmp_path / "condition.yaml"
    file.write_text(json.dumps(HARMLESS[name], ensure_ascii=False))
    ran = keepers("-w", shop, "count", file, "--json")
    assert (ran.code, ran.json["count"]) == (0, 0), ran


def test_condition_files_that_are_none(shop: Path, tmp_path: Path) -> None:
    for content in (b"", b"\0\0", b"\xff\xfe\x00", b"{" * 5000, b"did: [", b"a: b: c", bytes(range(256)), b"- " * 3000):
        file = tmp_path / "condition.yaml"
        file.write_bytes(content)
        refused(keepers("-w", shop, "count", file))
    for target in (tmp_path, tmp_path / "absent.yaml"):
        refused(keepers("-w", shop, "count", target))


def test_strange_names_are_refused_everywhere(shop: Path) -> None:
    for text in STRANGE:
        for command in (("count",), ("stages",), ("profile",), ("moves", "--since", "7d ago")):
            refused(keepers("-w", shop, *command, "--", text))
        refused(keepers("-w", shop, "keys", "revoke", "--", text))
        refused(keepers("-w", shop, "unmerge", "--", text))
    refused(keepers("-w", shop, "keys", "create", "admin"), "write")


def test_moments_that_are_none_are_refused(shop: Path) -> None:
    for text in MOMENTS:
        for command in ("stages", "tick", "plan"):
            refused(keepers("-w", shop, command, "--now", text))
    for text in ("", "soon", "99", SQL, "2027-01-01"):
        refused(keepers("-w", shop, "moves", "--since", text))


def test_moments_long_ago_and_far_ahead_are_answered(shop: Path) -> None:
    for now, profiles in (
        ("1970-01-01", 0),
        ("2100-01-01", 2),
        ("2026-01-01T12:00:00+14:00", 0),
        ("2026-01-01T23:00", 1),
    ):
        ran = keepers("-w", shop, "stages", "--now", now, "--json")
        assert sum(stage["profiles"] for stage in ran.json["stages"]) == profiles
    assert "last tick" in refused(keepers("-w", shop, "tick", "--now", "1970-01-01"))
    refused(keepers("-w", shop, "profile", "anna", "--now", "1970-01-01"), "not known yet")


@pytest.mark.parametrize("name", FILES)
def test_files_without_a_usable_row_are_refused(shop: Path, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(FILES[name])
    for more in ([], ["--dry-run"]):
        ran = keepers(
            "-w", shop, "import", file, "--event", "Order", "--profile", "who", "--time", "at", *more, "--json"
        )
        fine(ran)
        if ran.code == 0 and not more:
            assert ran.json["loaded"] == 0, ran
        if ran.code == 2:
            assert name in ran.json["error"]["message"]


@pytest.mark.parametrize("name", ROWS)
def test_rows_that_cannot_be_used_are_told_and_the_rest_is_kept(
    tmp_path: Path, migrated_folder: Path, name: str
) -> None:
    folder = workspaces.make(tmp_path / "shop", migrated_folder)
    file = tmp_path / name
    file.write_bytes(ROWS[name])
    ran = keepers("-w", folder, "import", file, "--event", "Order", "--profile", "who", "--time", "at", "--json")
    fine(ran)
    assert ran.code == 0, ran
    report = ran.json
    assert report["loaded"] >= 1
    assert report["loaded"] + report["rejected"] == report["rows"]
    if report["rejected"]:
        assert all(problem["line"] > 0 and problem["reason"] for problem in report["problems"])
    assert keepers("-w", folder, "tick", "--until-idle", "--json").code == 0


def test_mappings_that_fit_nothing_are_refused(shop: Path, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("who,at,total\nu1,2026-01-01,5\n")
    good = ["--profile", "who", "--time", "at", "--event", "Order"]
    for wrong in (
        ["--profile", "whoo", "--time", "at", "--event", "Order"],
        ["--profile", "who", "--event", "Order"],
        ["--profile", "who", "--time", "at", "--event", ""],
        ["--profile", "who", "--time", "at", "--event", "a" * 5000],
        [*good, "--property", "total"],
        [*good, "--property", "a=total", "--property", "a=total"],
        [*good, "--property", "a=totl"],
        [*good, "--zone", "Mars/Base"],
        [*good, "--time-format", "%Q"],
        [*good, "--delimiter", "and"],
        [*good, "--columns", "a,a"],
        [*good, "--columns", SQL],
        [*good, "--now", "soon"],
    ):
        ran = keepers("-w", shop, "import", file, *wrong, "--json")
        refused(ran)
    refused(keepers("-w", shop, "import", tmp_path / "absent.csv", *good), "absent.csv")
    refused(keepers("-w", shop, "import", tmp_path, *good))


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_a_playbook_with_a_mistake_changes_nothing(tmp_path: Path, migrated_folder: Path, name: str) -> None:
    folder = workspaces.make(
        tmp_path / "shop", migrated_folder, playbook={"segments": [{"id": "old", "who": "anyone"}]}
    )
    with workspaces.opened(folder) as workspace:
        before = workspace.active_playbook().versions
    (folder / "playbook" / "own.yaml").write_text(PLAYBOOKS[name])
    for command in ("apply", "plan"):
        assert "own.yaml" in refused(keepers("-w", folder, command))
    checked = keepers("-w", folder, "check", "--json")
    assert (checked.code, checked.json["errors"] > 0) == (2, True)
    assert all(finding["file"].endswith("own.yaml") for finding in checked.json["findings"])
    refused(keepers("-w", folder, "check"))
    with workspaces.opened(folder) as workspace:
        assert workspace.active_playbook().versions == before


@pytest.mark.parametrize("settings", SETTINGS)
def test_settings_that_cannot_be_used_are_refused_by_every_command(
    tmp_path: Path, migrated_folder: Path, settings: str
) -> None:
    folder = workspaces.make(tmp_path / "shop", migrated_folder)
    (folder / "keepers.toml").write_text(settings)
    for command in ("tick", "stages", "doctor"):
        refused(keepers("-w", folder, command))


def test_workspaces_that_are_none(tmp_path: Path, shop: Path) -> None:
    refused(keepers("-w", tmp_path / "nowhere", "tick"), "keepers init")
    refused(keepers("init", shop), "already")
    file = tmp_path / "file"
    file.write_text("")
    refused(keepers("init", file))
    refused(keepers("init", tmp_path / "new", "--lifecycle", "valu"), "value")
    refused(keepers("init", tmp_path / "new", "--zone", "Mars/Base"), "Mars/Base")
    assert not (tmp_path / "new" / "keepers.toml").exists()
    strange = tmp_path / "магазин 🦉 'x'; --"
    assert keepers("init", strange, "--name", SQL, "--json").code == 0
    assert keepers("-w", strange, "tick", "--json").code == 0


def test_damaged_stores_are_refused_with_their_path(tmp_path: Path, migrated_folder: Path) -> None:
    for name in ("warehouse.duckdb", "keepers.db", "inbox.db"):
        folder = workspaces.make(tmp_path / name, migrated_folder)
        for beside in (folder / "data").glob(f"{name}*"):
            beside.unlink()
        (folder / "data" / name).write_bytes(b"not a database at all, " * 400)
        assert name in refused(keepers("-w", folder, "tick")).replace("\n", "")


def test_a_compressed_file_is_read_and_half_of_one_is_refused(tmp_path: Path, migrated_folder: Path) -> None:
    folder = workspaces.make(tmp_path / "shop", migrated_folder)
    packed = gzip.compress(b"who,at\n" + b"".join(b"u%d,2026-01-01\n" % n for n in range(5000)))
    options = ["--event", "Order", "--profile", "who", "--time", "at", "--json"]
    file = tmp_path / "orders.csv.gz"
    file.write_bytes(packed[: len(packed) // 2])
    fine(keepers("-w", folder, "import", file, *options))
    file.write_bytes(packed)
    assert keepers("-w", folder, "import", file, *options).json["loaded"] >= 1


def test_a_word_of_very_many_sources_is_still_answered(tmp_path: Path, migrated_folder: Path) -> None:
    many = [{"from": "Order", "where": {"total": n}} for n in range(150)]
    folder = workspaces.make(
        tmp_path / "shop",
        migrated_folder,
        playbook={"events": [{"id": "word", "any": many}], "segments": [{"id": "those", "who": {"did": "word"}}]},
    )
    file = tmp_path / "orders.csv"
    file.write_text("who,at,total\nanna,2026-01-01,149\nbob,2026-01-02,150\n")
    assert keepers("-w", folder, "import", file, "--event", "Order", "--profile", "who", "--time", "at").code == 0
    assert keepers("-w", folder, "tick", "--now", "2026-02-01").code == 0
    assert keepers("-w", folder, "count", "those", "--json").json["count"] == 1
