"""A playbook is read from all its files, and every mistake is told at once, with file, line and field."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from keepers.conditions import ast
from keepers.model.errors import NotFoundError, UserError
from keepers.playbook.load import Playbook, PlaybookErrors, load, load_bodies

GOOD = """\
events:
  - id: purchase
    from: Order Completed
segments:
  - id: nordic
    who: {trait: country, in: [NO, SE]}
  - id: buyers
    who:
      all:
        - {did: purchase}
        - {in_segment: nordic}
lifecycles:
  - id: simple
    stages:
      - {id: all, when: anyone}
      - {id: buyer, when: {in_segment: buyers}}
rhythm: {typical_gap: 45d}
"""


def _load(tmp_path: Path, **files: str | bytes) -> Playbook:
    folder = tmp_path / "playbook"
    for name, text in files.items():
        path = folder / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(folder)


def _errors(tmp_path: Path, **files: str | bytes) -> list[str]:
    with pytest.raises(PlaybookErrors) as caught:
        _load(tmp_path, **files)
    return [e.message for e in caught.value.errors]


def test_definitions_are_read_with_the_places_they_stand_in(tmp_path: Path) -> None:
    playbook = _load(tmp_path, main=GOOD)
    assert list(playbook.events) == ["purchase"]
    assert list(playbook.segments) == ["nordic", "buyers"]
    assert [s.id for s in playbook.lifecycles["simple"].stages] == ["all", "buyer"]
    assert playbook.scores["rhythm"].typical_gap == timedelta(days=45)
    assert playbook.sources["segment/buyers"] == ("playbook/main.yaml", 7)
    assert playbook.place("segment/buyers", "who.all[1].in_segment") == ("playbook/main.yaml", 11)
    assert playbook.bodies["segment/nordic"]["who"] == {"trait": "country", "in": ["NO", "SE"]}


def test_norway_is_no_boolean(tmp_path: Path) -> None:
    who = _load(tmp_path, main=GOOD).segments["nordic"].who
    assert isinstance(who, ast.Trait)
    assert who.tests[0].operand == ("NO", "SE")


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    bad = """\
segments:
  - id: a
    who:
      all:
        - {did: purchase, cuont: {gte: 2}}
  - id: Big
    who: anyone
lifecycles:
  - id: v
    stages:
      - {id: one, when: anyon}
      - {id: two, when: {did: x, within: 3 fortnights}}
      - {id: three, when: anyone}
"""
    errors = _errors(tmp_path, one=bad, two="segmets: []\n", three="just text\n", four="a: [\n")
    assert len(errors) == 7
    text = "\n".join(errors)
    assert "playbook/one.yaml:5, field segments[0].who.all[0]: “cuont”" in text
    assert "Did you mean “count”?" in text
    assert "playbook/one.yaml:6, field segments[1].id" in text
    assert "playbook/one.yaml:11, field lifecycles[0].stages[0].when" in text
    assert "playbook/one.yaml:12, field lifecycles[0].stages[1].when.within" in text
    assert "Did you mean “segments” or “events”?" in text
    assert "playbook/three.yaml:1: expected sections" in text
    assert "playbook/four.yaml" in text


def test_an_id_used_twice_names_both_places(tmp_path: Path) -> None:
    one = "segments:\n  - {id: a, who: anyone}\n"
    errors = _errors(tmp_path, a=one, b="\n" + one)
    assert errors == [
        "playbook/b.yaml:3, field segments[0].id: the segment “a” is already defined in playbook/a.yaml:2"
    ]


def test_one_id_may_name_a_segment_and_a_lifecycle(tmp_path: Path) -> None:
    playbook = _load(
        tmp_path,
        a="segments:\n  - {id: a, who: anyone}\nlifecycles:\n  - {id: a, stages: [{id: x, when: anyone}]}\n",
    )
    assert "segment/a" in playbook.sources
    assert "lifecycle/a" in playbook.sources


def test_two_rhythms_are_refused(tmp_path: Path) -> None:
    errors = _errors(tmp_path, a="rhythm: {typical_gap: 9d}\n", b="rhythm: {typical_gap: 10d}\n")
    assert "already defined in playbook/a.yaml:1" in errors[0]


def test_hidden_files_and_other_kinds_are_left_alone(tmp_path: Path) -> None:
    playbook = _load(tmp_path, main=GOOD)
    (tmp_path / "playbook" / ".draft.yaml").write_text("][")
    (tmp_path / "playbook" / "notes.txt").write_text("][")
    assert load(tmp_path / "playbook") == playbook


def test_folders_inside_and_yml_are_read(tmp_path: Path) -> None:
    (tmp_path / "playbook" / "deep").mkdir(parents=True)
    (tmp_path / "playbook" / "deep" / "a.yml").write_text("segments:\n  - {id: a, who: anyone}\n")
    assert load(tmp_path / "playbook").sources["segment/a"][0] == "playbook/deep/a.yml"


def test_empty_files_and_sections_are_fine(tmp_path: Path) -> None:
    assert _load(tmp_path, a="", b="# nothing yet\n", c="segments:\n").segments == {}


def test_a_folder_named_like_a_file_is_a_clear_mistake(tmp_path: Path) -> None:
    (tmp_path / "playbook" / "a.yaml").mkdir(parents=True)
    with pytest.raises(PlaybookErrors, match="cannot be read"):
        load(tmp_path / "playbook")


def test_no_folder_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="keepers init"):
        load(tmp_path / "playbook")


def test_a_section_that_is_no_list_is_refused(tmp_path: Path) -> None:
    errors = _errors(tmp_path, a="segments:\n  lapsed: {who: anyone}\n")
    assert "expected a list" in errors[0]


def test_many_mistakes_are_cut_short_in_the_text_only(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        _load(tmp_path, a="segments:\n" + "  - {id: a}\n" * 80)
    assert "… and 30 more" in caught.value.message
    assert len(caught.value.data["errors"]) == 80


def test_bodies_give_the_same_playbook_back(tmp_path: Path) -> None:
    playbook = _load(tmp_path, main=GOOD)
    again = load_bodies(playbook.bodies)
    assert again.events == playbook.events
    assert again.segments == playbook.segments
    assert again.lifecycles == playbook.lifecycles
    assert again.scores == playbook.scores
