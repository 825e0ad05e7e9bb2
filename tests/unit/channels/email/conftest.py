"""A running mailbox, and a process that reads mail, for each test that asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from keepers.channels.email.bounces.mail_reader import MailReader
from posting import VERP, Post


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    made = Post(tmp_path)
    yield made
    for mailbox in made.mailboxes:
        mailbox.stop()


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailReader]:
    made = MailReader(VERP, tmp_path_factory.mktemp("set-aside"))
    yield made
    made.stop()
