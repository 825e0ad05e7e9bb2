"""What names somebody goes from the workspace's files with them, and nothing that names others or nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from bounds import bounded
from keepers.app.customers.erasing_files import Quotable, forget_in_files, is_searched_for
from keepers.app.customers.erasure import EraseProfile, erase_profile
from keepers.app.operations.imports import ImportFile, import_file
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.ingest.imports.mapping import Mapping
from unit.broadcasts.mailing import Shop, playbook
from unit.privacy.conftest import Shops
from workspaces import send

UUID = "0b5e3f1c-7d3a-4f4e-9c55-1f7c2ab90e41"
HEADER = "line,reason,row,who"


@pytest.mark.parametrize(
    ("text", "of_trusted", "of_public"),
    [
        (UUID, True, True),
        ("anna@shop.example", True, True),
        ("+48600100200", True, True),
        ("cust-104711", True, False),
        ("104711", True, False),
        ("1", False, False),
        ("1042", False, False),
        ("never", False, False),
        ("ValueError", False, False),
        ("sqlite3.OperationalError", False, False),
        ("2026-02-01T10:00:00Z", True, False),
        ("anna@shop", False, False),
        ("@", False, False),
        ("", False, False),
        # What could be made to stand around somebody else's.
        ("<anna@shop.example", True, False),
        (f'"{UUID}', True, False),
        (f"{UUID} failed", True, False),
        (f".{UUID}", True, False),
        ("anna@shop.example.", True, False),
        ("ania@żółw.example", True, False),
    ],
)
def test_only_what_names_nobody_by_chance_is_searched_for(text: str, of_trusted: bool, of_public: bool) -> None:
    assert is_searched_for(Quotable(text, True)) == of_trusted
    assert is_searched_for(Quotable(text, False)) == of_public


@pytest.mark.parametrize(
    ("line", "is_theirs"),
    [
        (f"no order of {UUID}.", True),
        (f'{{"userId":"{UUID}","total":1}}', True),
        (f"x\\n{UUID}", True),
        (f"{UUID}-2 is somebody else", False),
        (f"a{UUID}", False),
        (UUID.upper(), False),
        ("550 <ANNA@Shop.example>: unknown", True),
        ("anna@shop.example.com is somebody else", False),
        ("joanna@shop.example", False),
        ("jo.anna@shop.example", False),
        ("anna+news@shop.example", False),
    ],
)
def test_a_text_counts_where_it_stands_as_a_whole(tmp_path: Path, line: str, is_theirs: bool) -> None:
    (tmp_path / "errors.log").write_text(f"Before\n{line}\nAfter\n")
    named = [Quotable(UUID, False), Quotable("Anna@shop.example", True)]
    assert forget_in_files(tmp_path, None, named)["error_lines"] == is_theirs
    lines = (tmp_path / "errors.log").read_text().splitlines()
    assert (lines[0], lines[2]) == ("Before", "After")
    assert (lines[1] == line) != is_theirs


def test_signs_that_no_word_has_are_searched_for_too(tmp_path: Path) -> None:
    lines = ["user 12 34 56 left", "order:77/123456:x", "ania@\\u017c\\xf3\\u0142w.example", "order:77/1234567"]
    (tmp_path / "errors.log").write_text("\n".join(lines))
    texts = ("12 34 56", "77/123456", "ania@żółw.example")
    assert forget_in_files(tmp_path, None, [Quotable(one, True) for one in texts])["error_lines"] == 3
    assert (tmp_path / "errors.log").read_text().splitlines()[-1] == lines[-1]


def test_many_that_were_made_up_cost_little(tmp_path: Path) -> None:
    """A browser may say that it has another address a hundred thousand times."""
    (tmp_path / "errors.log").write_text("".join(f"failed for c{n}@example.com\n" for n in range(2_000)))
    named = [Quotable(f"made-up-{n}@example.com", False) for n in range(100_000)]
    with bounded(20, 500_000_000):
        assert forget_in_files(tmp_path, None, named)["error_lines"] == 0


@pytest.fixture
def shop(tmp_path: Path, shops: Shops) -> Shop:
    """A shop with two customers, whose import failed for 20 rows and which logged 20 errors."""
    made = shops.make(playbook())
    made.customers(size=2, at=made.workspace.clock())
    rows = "".join(f"customer-{n:05},never,{n},c{n}@example.com\n" for n in range(20))
    (tmp_path / "a.csv").write_text(f"customer,when,total,email\n{rows}")
    mapping = Mapping(profile="customer", event="Ordered", time="when", properties={"total": "total"})
    import_file(made.workspace, COMMAND_LINE, ImportFile(path=str(tmp_path / "a.csv"), mapping=mapping))
    lines = "".join(f"line {n} failed for c{n}@example.com\n" for n in range(20))
    (made.workspace.data_folder / "errors.log").write_text(lines)
    return made


def test_what_anybody_may_say_takes_nothing_of_others_away(shop: Shop) -> None:
    """Words that stand in every line, said to be devices and addresses of a customer who is then erased."""
    workspace = shop.workspace
    words = ("c", "1", ",", "never", "line", "reason", "row", "failed", "for", "expected", "customer-00001")
    send(workspace.store, workspace.clock(), [
        *({"type": "identify", "userId": "u1", "anonymousId": word} for word in words),
        *({"type": "identify", "userId": "u1", "traits": {"email": w, "phone": w, "chat": w}} for w in words),
    ], trust="public")  # fmt: skip
    shop.tick(workspace.clock())
    before = written(shop)
    erased = erase_profile(workspace, COMMAND_LINE, EraseProfile(id="u1"))
    assert (erased.identities, erased.rejects, erased.error_lines) == (len(words) + 1, 0, 0)
    assert written(shop) == before


def test_what_others_are_known_by_takes_nothing_of_theirs_away(shop: Shop) -> None:
    """By a server, while a customer who is then erased says the same of herself."""
    workspace = shop.workspace
    victim = {"type": "identify", "userId": UUID, "traits": {"email": "c7@example.com"}}
    mallory = {"type": "identify", "userId": "u1", "anonymousId": UUID, "traits": {"email": "C7@example.com"}}
    send(workspace.store, workspace.clock(), [victim])
    send(workspace.store, workspace.clock(), [mallory], trust="public")
    shop.tick(workspace.clock())
    log = workspace.data_folder / "errors.log"
    log.write_text(f"{log.read_text()}no order of {UUID}\n")
    before = written(shop)
    erase_profile(workspace, COMMAND_LINE, EraseProfile(id="u1"))
    assert written(shop) == before


def test_a_short_name_of_a_trusted_source_takes_nothing_away(shop: Shop) -> None:
    workspace = shop.workspace
    send(workspace.store, workspace.clock(), [{"type": "identify", "userId": name} for name in ("1", "never", "line")])
    shop.tick(workspace.clock())
    before = written(shop)
    for name in ("1", "never", "line"):
        erase_profile(workspace, COMMAND_LINE, EraseProfile(id=name))
    assert written(shop) == before


def test_a_short_name_takes_the_rows_that_are_about_it_alone(shop: Shop) -> None:
    """Other rows that hold the same text as a value stay; one that could not be taken apart may be theirs."""
    workspace = shop.workspace
    send(workspace.store, workspace.clock(), [{"type": "identify", "userId": "00010"}])
    shop.tick(workspace.clock())
    file = workspace.folder / "b.csv"
    file.write_text("customer,when,total,email\n00010,never,5,x\n00011,never,00010,x\n00010,never\n00012,never\n")
    mapping = Mapping(profile="customer", event="Ordered", time="when", properties={"total": "total"})
    done = import_file(workspace, COMMAND_LINE, ImportFile(path=str(file), mapping=mapping))
    assert done.rejected == 4
    log = workspace.data_folder / "errors.log"
    log.write_text("no order of “00010”\nline 00010 failed\n")
    erased = erase_profile(workspace, COMMAND_LINE, EraseProfile(id="00010"))
    assert (erased.rejects, erased.error_lines) == (2, 1)
    (rejects,) = (workspace.data_folder / "rejects").glob("b.csv*")
    assert [line.split(",")[0] for line in rejects.read_text().splitlines()] == ["line", "3", "5"]
    assert log.read_text().splitlines()[1] == "line 00010 failed"


def test_their_rows_go_and_the_header_stays(shop: Shop) -> None:
    """By the identifier of a server, and by an address that only a browser gave and nobody else has."""
    workspace = shop.workspace
    send(workspace.store, workspace.clock(), [{"type": "identify", "userId": "customer-00003"}])
    browser = {"type": "identify", "anonymousId": UUID, "traits": {"email": "c5@example.com"}}
    send(workspace.store, workspace.clock(), [browser], trust="public")
    shop.tick(workspace.clock())
    rows, lines = written(shop)
    for name in ("customer-00003", UUID):
        erase_profile(workspace, COMMAND_LINE, EraseProfile(id=name))
    left, kept = written(shop)
    assert left[0] == HEADER
    assert set(rows) - set(left) == {row for row in rows if "customer-00003" in row or "c5@" in row}
    assert [one for one in lines if one not in kept] == ["line 5 failed for c5@example.com"]
    assert len(kept) == len(lines)


def written(shop: Shop) -> tuple[list[str], list[str]]:
    """The lines of the file of rejects and of the log of errors."""
    (rejects,) = (shop.workspace.data_folder / "rejects").iterdir()
    return rejects.read_text().splitlines(), (shop.workspace.data_folder / "errors.log").read_text().splitlines()
