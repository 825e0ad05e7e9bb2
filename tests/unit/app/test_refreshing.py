"""What was applied reaches those who send: rules and templates first, and then the word that they are in use."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from keepers.app.workspace.sending import Sending
from keepers.delivery.worker import Deliverer, Options
from keepers.playbook.active_playbook import ActivePlaybook
from unit.broadcasts.mailing import NOW, Shop, playbook

PATIENCE_S = 20.0
WRITTEN = playbook()
CHANGED = playbook()
CHANGED["messages"][0]["content"]["en"]["subject"] = "Summer"


@pytest.fixture
def shop(tmp_path: Path, migrated_folder: Path) -> Iterator[Shop]:
    made = Shop(tmp_path / "shop", migrated_folder, WRITTEN)
    made.workspace.sending.refresh()
    yield made
    made.close()


def subject(shop: Shop) -> str:
    return str(shop.workspace.sending.playbook.messages["spring"].content["en"].subject)


def test_whoever_refreshes_while_another_does_waits_for_the_new_templates(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending, read = shop.workspace.sending, shop.workspace.active_playbook
    shop.apply(CHANGED)
    is_reading, may_go_on = threading.Event(), threading.Event()

    def reads_slowly() -> ActivePlaybook:
        is_reading.set()
        assert may_go_on.wait(PATIENCE_S)
        return read()

    monkeypatch.setattr(shop.workspace, "active_playbook", reads_slowly)

    def refreshed() -> str:
        sending.refresh()
        return subject(shop)

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(refreshed)
        assert is_reading.wait(PATIENCE_S)
        second = threads.submit(refreshed)
        wait([second], 0.3)
        may_go_on.set()
        assert [first.result(PATIENCE_S), second.result(PATIENCE_S)] == ["Summer", "Summer"]


def test_a_refresh_that_failed_is_made_up_for_by_the_next(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.apply(CHANGED)
    with monkeypatch.context() as broken:
        broken.setattr(shop.workspace, "active_playbook", lambda: (_ for _ in ()).throw(OSError("the store is away")))
        with pytest.raises(OSError, match="away"):
            shop.workspace.sending.refresh()
    assert subject(shop) == "Spring"
    shop.workspace.sending.refresh()
    assert subject(shop) == "Summer"


def test_a_message_is_rendered_by_definitions_at_least_as_new_as_what_queued_it(shop: Shop) -> None:
    """A worker of its own, as `keepers deliver` runs it, whom nobody tells to refresh."""
    sending = Sending(shop.workspace, lambda: NOW, is_apart=True)
    shop.customers(size=1)
    with Deliverer(
        shop.workspace.store, sending.eligibility, lambda rows, at: sending.message_builder.make(rows, at),
        {"email": shop.wire}, {}, None, "w", Options(), sending.refresh_as_of,
    ) as worker:  # fmt: skip
        assert not worker.run_once(NOW).did_something
        shop.apply(CHANGED)
        shop.start()
        shop.tick_once()
        worker.run_once(NOW)
    assert [outgoing.content.subject for outgoing in shop.wire.sent] == ["Summer"]
