"""What use cases say in plain texts is in the language of the request."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from keepers.app.operations.doctor import ExamineInstallation, doctor
from keepers.app.operations.health import ReadHealth, read_health
from keepers.app.use_cases.actor import COMMAND_LINE, EVERYTHING, Actor
from keepers.app.workspace.ticker_status import TickerStatus
from keepers.app.workspace.workspace import Workspace
from keepers.model.errors import KeepersError, problem
from keepers.store.messages import sending_switches
from unit.broadcasts.mailing import NOW, Shop, playbook

ITALIAN = Actor("key", "dashboard", EVERYTHING, locale="it", is_proven=True)


@pytest.fixture
def workspace(tmp_path: Path, migrated_folder: Path) -> Iterator[Workspace]:
    shop = Shop(tmp_path / "shop", migrated_folder, playbook())
    yield shop.workspace
    shop.close()


def test_why_ticks_fail(workspace: Workspace) -> None:
    fault = KeepersError(problem("{error}. Details are in data/errors.log.", error="KeyError"))
    workspace.ticker_status = lambda: TickerStatus(failures=1, trouble=fault)
    assert read_health(workspace, ITALIAN, ReadHealth()).trouble == "KeyError. I dettagli sono in data/errors.log."
    assert read_health(workspace, COMMAND_LINE, ReadHealth()).trouble == "KeyError. Details are in data/errors.log."
    workspace.ticker_status = TickerStatus
    assert read_health(workspace, ITALIAN, ReadHealth()).trouble == ""


def test_what_stops_sending(workspace: Workspace) -> None:
    with workspace.store.begin() as connection:
        sending_switches.put(connection, sending_switches.SENDING, False, "", NOW)
        sending_switches.set_breaker(connection, "email.marketing", True, "complaints", NOW - timedelta(hours=1))
    italian = doctor(workspace, ITALIAN, ExamineInstallation()).findings
    assert "Tutti gli invii sono disattivati: nessun motivo indicato." in italian
    assert "L’invio su email.marketing è fermo: troppe segnalazioni di spam." in italian
    english = doctor(workspace, COMMAND_LINE, ExamineInstallation()).findings
    assert "Sending is stopped on email.marketing: too many complaints." in english
    assert len(english) == len(italian)
