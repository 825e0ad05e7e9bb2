"""Every shipped template loads, checks clean, follows DEFAULTS and speaks five languages natively."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from keepers.conditions.schema import EventTable, Schema
from keepers.i18n.catalogues import FILE, add_folder, languages, remove_folder
from keepers.model.errors import ConflictError, NotFoundError
from keepers.playbook.check import check, order
from keepers.playbook.load import Playbook, load
from keepers.playbook.shipped import lifecycles
from keepers.playbook.shipped.install import install
from keepers.playbook.shipped.texts import translated

ALL = tuple(lifecycles.templates())
STAGES = {
    "three-phase": "collect convert create",
    "funnel": "awareness engagement consideration conversion retention loyalty",
    "value": "potential new loyal churned",
    "finders-keepers": "awareness consideration purchase retention advocacy",
    "attract-advocate": "attract convert fulfil retain advocate",
    "acquisition-advocacy": "acquisition onboarding engagement retention advocacy",
    "discovery-referral": "discovery interest purchase loyalty referral",
    "four-stage": "acquisition onboarding engagement retention",
    "six-stage": "awareness consideration purchase retention advocacy loyalty",
    "journey": "awareness deliberation decision purchase post-purchase",
    "b2b": "awareness consideration decision implementation retention advocacy",
}
ONLY_PURCHASES = Schema(1, {"Order Completed": EventTable("Order Completed")})
SAME_EVERYWHERE = {"NPS", "NPS 9–10"}


def _texts(data: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every text for people to read, with where it stands."""
    if isinstance(data, dict):
        for key, value in data.items():
            if key in ("name", "description"):
                yield f"{path}.{key}", value
            elif key in ("needs", "signals", "touchpoints", "metrics"):
                for n, item in enumerate(value):
                    yield f"{path}.{key}[{n}]", item
            else:
                yield from _texts(value, f"{path}.{key}")
    elif isinstance(data, list):
        for n, item in enumerate(data):
            yield from _texts(item, f"{path}[{n}]")


FILES = sorted(lifecycles.FOLDER.glob("*.yaml"))


def test_all_eleven_are_there_with_their_stages_in_order() -> None:
    assert {t.id: " ".join(s.id for s in t.stages) for t in lifecycles.templates().values()} == STAGES
    assert list(lifecycles.templates()) == list(STAGES)


def test_all_together_check_clean_and_have_an_order() -> None:
    assert check(lifecycles.shipped()) == []
    assert sum(map(len, order(lifecycles.shipped()))) == len(lifecycles.shipped().segments_and_lifecycles)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_text_is_there_in_five_languages_and_in_its_own(path: Path) -> None:
    count = 0
    for where, text in _texts(yaml.safe_load(lifecycles.template_text(path))):
        count += 1
        assert isinstance(text, dict), f"{where}: one text per locale"
        assert set(text) == set(languages()), where
        assert all(t.strip() == t and t for t in text.values()), where
        if text["en"] in SAME_EVERYWHERE:
            continue
        assert re.search("[а-яё]", text["ru"]), where
        assert re.search("[\u4e00-\u9fff]", text["zh"]), where
        assert not re.search("[а-яё\u4e00-\u9fff]", text["en"] + text["pl"] + text["it"]), where
        latin = [text[x].casefold() for x in ("en", "pl", "it")]
        assert len(set(latin)) == 3, f"{where}: {latin}"
    assert count > 10


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_no_file_is_longer_than_a_person_reads(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 500


def test_every_stage_has_needs_signals_touchpoints_and_metrics() -> None:
    for lifecycle in lifecycles.shipped().lifecycles.values():
        for stage in lifecycle.stages:
            for texts in (stage.needs, stage.signals, stage.touchpoints, stage.metrics):
                assert texts, f"{lifecycle.id}.{stage.id}"
                assert len({t["en"] for t in texts if isinstance(t, dict)}) == len(texts)


def test_everything_in_the_vocabulary_is_used_by_some_template() -> None:
    shipped = lifecycles.shipped()
    used = lifecycles.needed(shipped.lifecycles)
    assert {f"event:{e}" for e in shipped.events} | {f"segment:{s}" for s in shipped.segments} <= used


@pytest.mark.parametrize("name", ALL)
def test_the_words_a_template_declares_are_those_it_asks_about(name: str) -> None:
    template = lifecycles.template(name)
    nodes = lifecycles.needed(template.lifecycles)
    read = {n.removeprefix("event:") for n in nodes if n.startswith("event:")}
    if template.of == "account":
        read.discard("purchase")  # only the rhythm of people needs it
    assert set(template.words) == read
    for word, events in template.words.items():
        sources = {s.event for s in lifecycles.shipped().events[word].sources}
        assert set(events) | {word} == sources | {word}


@pytest.mark.parametrize("name", ALL)
def test_a_template_installed_alone_checks_clean(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "playbook"
    written = install(folder, [name])
    assert all(p.is_file() for p in written)
    playbook = load(folder)
    assert check(playbook) == []
    assert set(lifecycles.template(name).lifecycles) <= set(playbook.lifecycles)
    nodes = {f"event:{e}" for e in playbook.events} | {f"segment:{s}" for s in playbook.segments}
    assert nodes == {
        n for n in lifecycles.needed([name, *lifecycles.template(name).lifecycles]) if not n.startswith("life")
    }
    assert not any("template:" in p.read_text() for p in written)


def _definitions(playbook: Playbook) -> tuple[Any, ...]:
    return playbook.events, playbook.segments, playbook.lifecycles


def test_installed_one_after_another_they_are_the_same_as_together(tmp_path: Path) -> None:
    install(tmp_path / "together", ALL)
    for name in reversed(ALL):
        install(tmp_path / "apart", [name])
    assert _definitions(load(tmp_path / "together")) == _definitions(lifecycles.shipped())
    assert _definitions(load(tmp_path / "apart")) == _definitions(lifecycles.shipped())


def test_what_a_marketer_has_edited_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("events:\n  - {id: purchase, from: Sale}\n")
    install(tmp_path, ["value"])
    assert load(tmp_path).events["purchase"].sources[0].event == "Sale"
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(ConflictError, match="already, in"):
        install(tmp_path, ["funnel", "value"])
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_an_unknown_template_gets_a_hint_and_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="Did you mean “finders-keepers”"):
        install(tmp_path / "playbook", ["value", "finder-keepers"])
    assert not (tmp_path / "playbook").exists()


def test_no_template_gives_the_words_everybody_needs(tmp_path: Path) -> None:
    install(tmp_path / "playbook", [])
    playbook = load(tmp_path / "playbook")
    assert list(playbook.events) == ["purchase"]
    assert set(playbook.segments) == {"active", "slipping", "lost"}


def test_value_and_its_phases_see_everything_with_purchases_alone() -> None:
    assert lifecycles.blind_words(lifecycles.template("value"), ONLY_PURCHASES) == []


def test_what_purchases_alone_cannot_show_is_said() -> None:
    blind = {b.word: b for b in lifecycles.blind_words(lifecycles.template("finders-keepers"), ONLY_PURCHASES)}
    assert set(blind) == {"interest", "complaint", "referral_converted", "review", "promoter", "shared"}
    assert blind["interest"].stages == ("finders-keepers.consideration",)
    assert blind["interest"].empty == (), "lost buyers are still seen there"
    assert blind["review"].empty == ("finders-keepers.advocacy",)
    assert blind["complaint"].empty == (), "a complaint keeps people out, it brings nobody in"
    assert "Product Viewed" in blind["interest"].events


def test_a_word_mapped_by_the_workspace_is_no_longer_blind(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("events:\n  - {id: interest, from: Kartka otwarta}\n")
    schema = Schema(1, {e: EventTable(e) for e in ("Order Completed", "Kartka otwarta")})
    blind = lifecycles.blind_words(lifecycles.template("finders-keepers"), schema, load(tmp_path))
    assert "interest" not in {b.word for b in blind}


@pytest.mark.parametrize("name", [n for n in ALL if n != "b2b"])
def test_buyers_are_staged_when_only_purchases_arrive(name: str) -> None:
    """Every template keeps a place for those who never bought, and for those who did."""
    template = lifecycles.template(name)
    empty = {e for b in lifecycles.blind_words(template, ONLY_PURCHASES) for e in b.empty}
    reachable = [s.id for s in template.stages if f"{name}.{s.id}" not in empty]
    assert reachable[0] == template.stages[0].id
    assert len(reachable) >= 2


TEMPLATE = """# What it is for.
lifecycles:
  - id: fans
    name: Fans  # shown in lists
    of: person
    stages:
      - id: new
        name: New customers
        when: {did: purchase}
        needs:
          - "Yes: quickly"
          - NPS
        signals: []
  - name: Loyal customers
"""


def test_a_template_is_filled_in_the_languages_that_have_its_texts() -> None:
    filled = translated(TEMPLATE, ["en", "pl", "tlh"])
    assert filled.startswith("# What it is for.\nlifecycles:\n  - id: fans\n")
    fans, loyal = yaml.safe_load(filled)["lifecycles"]
    assert fans["name"] == {"en": "Fans"}
    (stage,) = fans["stages"]
    assert stage["name"]["pl"] == lifecycles.shipped().lifecycles["value"].stages[1].name["pl"]  # type: ignore[index]
    assert stage["needs"] == [{"en": "Yes: quickly"}, {"en": "NPS", "pl": "NPS"}]
    assert stage["when"] == {"did": "purchase"}
    assert set(loyal["name"]) == {"en", "pl"}


def test_an_installed_template_speaks_the_languages_of_a_folder_added(tmp_path: Path) -> None:
    path = tmp_path / "locale" / "de" / FILE
    path.parent.mkdir(parents=True)
    head = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n\n'
    path.write_text(f'{head}msgctxt "template"\nmsgid "Loyal customers"\nmsgstr "Treue Kunden"\n', encoding="utf-8")
    add_folder(tmp_path / "locale")
    try:
        install(tmp_path / "playbook", ["value"])
    finally:
        remove_folder(tmp_path / "locale")
    stages = {stage.id: stage.name for stage in load(tmp_path / "playbook").lifecycles["value"].stages}
    assert stages["loyal"]["de"] == "Treue Kunden"  # type: ignore[index]
    assert "de" not in stages["new"]
