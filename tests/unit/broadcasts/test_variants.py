"""Variants tried on a sample, the winner to the rest, and once more to who did not open."""

from __future__ import annotations

from typing import Any

import pytest

from conftest import ENGINES
from keepers.broadcasts import advance
from keepers.journeys.broadcast import VariantTest as BroadcastTest
from keepers.model.errors import ConflictError, UserError
from unit.broadcasts.conftest import Make
from unit.broadcasts.mailing import LOOSE, NOW, Shop, hours

TEST: dict[str, Any] = {
    "share": 0.5,
    "least": 3,
    "wait": "4h",
    "variants": [{"id": "a"}, {"id": "b", "subject": {"en": "Other words"}}],
}


def _arms(shop: Shop) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for profile_id, arm in shop.rows("profile_id", "step"):
        found.setdefault(arm, []).append(profile_id)
    return found


@pytest.mark.parametrize("engine", ENGINES)
def test_the_variant_people_click_goes_to_the_rest(shop: Make, engine: str) -> None:
    one = shop({"test": TEST}, engine=engine)
    one.customers(size=40)
    assert sum(one.preview().tested.values()) < one.preview().would_get == 40
    one.start()
    one.send()
    arms = _arms(one)
    sample = arms["a"] + arms["b"]
    assert len(one.wire.sent) == len(sample) < 40
    assert sorted(one.events("Experiment Viewed")) == sorted(sample)
    assert {m.content.subject for m in one.wire.sent} == {"Spring", "Other words"}
    # Machines click every link of the first variant; people some of the second.
    one.engage(arms["a"], NOW + hours(1), "https://shop.example", is_machine=True)
    one.engage(arms["b"][:2], NOW + hours(1), "https://shop.example")
    one.send(NOW + hours(3))
    assert (one.status().status, len(one.wire.sent)) == ("testing", len(sample))
    one.send(NOW + hours(5))
    status = one.status()
    assert (status.status, status.winner, status.winner_by) == ("finished", "b", "most clicks per message sent")
    assert one.status(locale="pl").winner_by == "najwięcej kliknięć na wysłaną wiadomość"
    assert status.variants["b"] == {"sent": len(arms["b"]), "opened": 2, "clicked": 2, "reached": 0}
    assert len(one.wire.sent) == 40 == len({m.recipient for m in one.wire.sent})
    rest = [m for m in one.wire.sent if m.profile_id in arms[""]]
    assert {m.content.subject for m in rest} == {"Other words"}
    assert sorted(one.events("Experiment Viewed")) == sorted(sample), "the rest took no part"


def test_a_variant_may_be_another_message_and_win_by_what_customers_do(shop: Make) -> None:
    test = TEST | {
        "variants": [{"id": "a"}, {"id": "b", "message": "again"}],
        "winner": "conversions",
        "goal": {"event": "Order Completed"},
    }
    one = shop({"test": test}, contact=LOOSE)
    ids = one.customers(size=30)
    one.start()
    one.send()
    arms = _arms(one)
    buyers = [(f"u{ids.index(i)}") for i in [*arms["b"][:3], *arms["a"][:1]]]
    one.did("Order Completed", buyers, NOW + hours(2))
    one.send(NOW + hours(5))
    assert one.status().winner == "b"
    assert one.status().variants["b"]["reached"] == 3
    assert set(one.rows("message")) == {"spring", "again"}
    assert {m.content.subject for m in one.wire.sent if m.profile_id in arms[""]} == {"Again"}


def test_a_sample_that_was_not_sent_yet_is_waited_for(shop: Make) -> None:
    one = shop({"test": TEST, "expires": "9d"}, contact=LOOSE)
    one.customers(size=20)
    one.start()
    one.tick()
    one.tick(NOW + hours(10))
    assert one.status().status == "testing"
    one.send(NOW + hours(11))
    one.send(NOW + hours(12))
    status = one.status()
    assert status.status == "finished"
    assert len(one.wire.sent) == 20


def test_too_small_a_sample_has_no_winner(shop: Make) -> None:
    one = shop({"test": TEST | {"least": 1000, "otherwise": "b"}})
    one.customers(size=10)
    assert one.preview().warnings[0].startswith("Fewer than 1000 would get variant a, b")
    one.start()
    one.send()
    one.send(NOW + hours(5))
    assert (one.status().winner, one.status().winner_by) == ("b", "fewer than 1000 messages of a variant were sent")


def test_a_stop_while_the_test_runs_keeps_the_rest_waiting_for_the_winner(shop: Make) -> None:
    one = shop({"test": TEST}, contact=LOOSE)
    one.customers(size=20)
    one.start()
    one.send()
    sample = len(one.wire.sent)
    one.stop(NOW + hours(1))
    one.send(NOW + hours(6))
    assert len(one.wire.sent) == sample
    one.resume(NOW + hours(7))
    one.send(NOW + hours(7))
    assert len(one.wire.sent) == 20 == len({m.recipient for m in one.wire.sent})


def test_who_did_not_open_is_written_to_once_more(shop: Make) -> None:
    one = shop({}, contact=LOOSE)
    ids = one.customers(size=6)
    with pytest.raises(ConflictError, match="not sent yet"):
        one.resend(NOW)
    one.start()
    one.send()
    one.engage(ids[:1], NOW + hours(1))
    one.engage(ids[1:2], NOW + hours(1), "https://shop.example")
    one.engage(ids[2:3], NOW + hours(1), is_machine=True)
    with pytest.raises(UserError, match="nope"):
        one.resend(NOW, "nope")
    one.resend(NOW + hours(30), "again")
    one.send(NOW + hours(30))
    again = one.wire.sent[6:]
    assert sorted(m.profile_id for m in again) == ids[2:], "a proxy's open is nobody's"
    assert {m.content.subject for m in again} == {"Again"}
    assert (one.status().of, one.status().status) == (1, "finished")


def test_a_sample_nobody_of_whom_can_be_written_to_is_not_waited_for(
    shop: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = shop({"test": TEST | {"otherwise": "b"}})
    one.customers(size=20)
    monkeypatch.setattr(BroadcastTest, "arm", lambda *_: "")
    one.start()
    one.tick()
    assert (one.status().status, one.status().winner) == ("sending", "b")
    assert one.reasons() == {"queued": 20}
    one.send()
    assert one.status().status == "finished"


def test_one_sending_that_fails_holds_up_neither_the_others_nor_the_tick(
    shop: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = shop({"id": "b"}, {"id": "c", "message": "again"}, contact=LOOSE)
    one.customers(size=3)
    one.start("b")
    one.start("c")
    rows_of = advance.rows_of

    def fails(connection: Any, sheet: Any, *rest: Any) -> Any:
        if sheet.broadcast.id == "b":
            raise KeyError("something")
        return rows_of(connection, sheet, *rest)

    monkeypatch.setattr(advance, "rows_of", fails)
    one.tick()
    assert (one.status("b").status, one.status("b").trouble) == ("queueing", "KeyError: 'something'")
    assert (one.status("c").status, one.status("c").trouble) == ("sending", "")
    monkeypatch.setattr(advance, "rows_of", rows_of)
    one.tick()
    assert (one.status("b").status, one.status("b").trouble, one.status("b").queued) == ("sending", "", 3)
