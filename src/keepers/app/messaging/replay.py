"""What `keepers replay` does, apart from how it is asked for and shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from keepers.app.workspace.common_fields import moment, shown
from keepers.app.workspace.progress import Progress
from keepers.app.workspace.workspace import Workspace
from keepers.model.errors import DefinitionError, UserError
from keepers.model.moments import parse_duration
from keepers.orchestration.dry_run.replay import Replay
from keepers.playbook.check import check
from keepers.playbook.load import Playbook, PlaybookErrors, load

_SHARE = re.compile(r"(\d{1,3}(?:\.\d+)?)\s*%")


def replay(
    workspace: Workspace,
    progress: Progress,
    journey: str,
    since: str = "90d",
    sample: str = "100%",
    is_live: bool = False,
    now: str | None = None,
) -> Any:
    """What a journey would have done: as the playbook's files have it, or with `is_live` as it is in force."""
    until = moment(workspace, now)
    share = _share(sample)
    with workspace.sequencing("keepers replay") as ticker:
        ticker.load()
        live = workspace.in_force()
        playbook = live.playbook if is_live else _draft(workspace)
        chosen = Replay(workspace.store, workspace.answerer, live, playbook, workspace.zone, journey)
        done = chosen.run(until - parse_duration(since), until, workspace.addresses, workspace.secret, share)
    return shown(done) | {"busiest": {str(n): who for n, who in done.busiest.items()}, "sample": share}


def _share(text: str) -> float:
    found = _SHARE.fullmatch(text.strip())
    share = float(found[1]) / 100 if found else 0.0
    if not 0 < share <= 1:
        raise UserError(f"--sample {text}: expected a share of the customers such as 10%.", code="sample")
    return share


def _draft(workspace: Workspace) -> Playbook:
    """The playbook's files, refused when anything is wrong with them."""
    playbook = load(workspace.playbook_folder, workspace.zone)
    wrong = [f for f in check(playbook) if f.level == "error"]
    if wrong:
        raise PlaybookErrors([DefinitionError(f.message, field=f.field, file=f.file, line=f.line) for f in wrong])
    return playbook


COMMANDS: dict[str, Callable[..., Any]] = {"replay": replay}
