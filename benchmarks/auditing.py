"""What the audit log costs a management call: milliseconds of one that writes a row, beside the same without the log.

Both write to SQLite on disk. The log adds two transactions: a row before the change, its outcome afterwards.
"""

from __future__ import annotations

from benchmarks.figures import Figure, Plan, median, timed
from benchmarks.workspace import keepers
from keepers.app.messaging.sending_switches import StopSending, stop_sending
from keepers.app.use_cases.actor import COMMAND_LINE
from keepers.app.workspace.workspace import Workspace

_CALLS = 20


def measure(plan: Plan) -> list[Figure]:
    """Medians of calls in turns, so that both meet the same machine."""
    folder = plan.folder / "audited"
    keepers("init", str(folder), "--lifecycle", "value")
    workspace = Workspace.open(folder)
    request = StopSending(reason="measured")
    ours: list[float] = []
    theirs: list[float] = []
    rounds = 5 if plan.quick else 25

    def call_audited() -> None:
        for _ in range(_CALLS):
            stop_sending(workspace, COMMAND_LINE, request)

    def call_alone() -> None:
        for _ in range(_CALLS):
            stop_sending.function(workspace, COMMAND_LINE, request)

    for n in range(rounds + 1):
        plan.say(f"audited calls: round {n} of {rounds}" if n else "audited calls: warming up")
        for work, found in ((call_audited, ours), (call_alone, theirs)):
            seconds, _ = timed(work)
            if n:
                found.append(seconds / _CALLS * 1000)
    workspace.close()
    ratio = median([a / b for a, b in zip(ours, theirs, strict=True)])
    remark = "yardstick: the same change in one transaction, neither checked nor audited"
    return [Figure("audited call", median(ours), "ms", median(theirs), ratio, remark=remark)]
