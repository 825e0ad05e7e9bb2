"""A broadcast to a million customers, from its start to the last queued message, in a process of its own.

    python -m benchmarks.broadcast FOLDER CUSTOMERS

Prints one JSON object: seconds of the whole and of its parts, messages queued, peak memory in GB.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Plan, timed
from benchmarks.workspace import keepers

_CUSTOMERS = 1_000_000
_ALLOWED_S = 60.0
_NOW = datetime(2026, 3, 2, 12)
_PLAYBOOK = """
topics: [{id: news, name: News}]
segments: [{id: buyers, who: {trait: orders, gte: 1}}]
messages:
  - id: spring
    channel: email
    topic: news
    content: {en: {subject: "Spring, {{ customer.first_name }}", body: "<mj-section><mj-column><mj-text>Hello
      <a href='{{ links.unsubscribe }}'>stop</a></mj-text></mj-column></mj-section>"}}
broadcasts: [{id: spring, message: spring, include: [buyers], exclude: {trait: plan, eq: staff}}]
"""


def measure(plan: Plan) -> list[Figure]:
    """The broadcast beside the same rows written to the same table by nothing but SQLite."""
    customers = round(_CUSTOMERS * plan.scale)
    plan.say(f"broadcast to {customers:,} customers")
    full, small = _apart(plan.folder / "broadcast", customers), _apart(plan.folder / "small", customers // 10)
    remark = (
        f"audience taken down in {full['freeze']:.1f} s, {full['queued']:,} queued;"
        f" {full['cpu']:.0f} s of processor time; the count beforehand (preview) {full['preview']:.0f} s"
    )
    is_met = full["seconds"] <= _ALLOWED_S if plan.scale >= 1 else None
    hand = full["by_hand"]
    memory = f"{small['peak']:.2f} GB with a tenth of the customers"
    return [
        Figure(
            f"broadcast to {customers / 1e6:g}M customers queued", full["seconds"], "s", hand, full["seconds"] / hand,
            "≤ 60 s", is_met, remark,
        ),
        Figure(
            "broadcast: peak memory", full["peak"], "GB", small["peak"], full["peak"] / small["peak"], remark=memory
        ),
    ]  # fmt: skip


def _apart(folder: Path, customers: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.broadcast", str(folder), str(customers)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    if done.returncode:
        raise RuntimeError(f"the broadcast failed: {done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def run(folder: Path, customers: int) -> dict[str, Any]:
    """Makes a workspace with customers who agreed, nine of ten of them, and sends."""
    from keepers.app.tick import until_idle
    from keepers.app.workspace.workspace import Workspace
    from keepers.broadcasts import control

    keepers("init", str(folder), "--lifecycle", "value")
    (folder / "playbook" / "broadcast.yaml").write_text(_PLAYBOOK, encoding="utf-8")
    keepers("apply", "-w", str(folder))
    workspace = Workspace.open(folder)
    _fill(workspace, customers)
    with workspace.sequencing("bench") as ticker:
        until_idle(ticker, _NOW)
        live, queries = workspace.active_playbook(), workspace.active_queries()
        counted, found = timed(
            lambda: control.preview(
                workspace.store,
                workspace.evaluator,
                live,
                queries,
                "spring",
                workspace.addresses,
                workspace.secret,
                _NOW,
            )
        )
        control.start(workspace.store, live, "spring", _NOW)
        used = resource.getrusage(resource.RUSAGE_SELF)
        first, _ = timed(lambda: ticker.tick(_NOW))
        rest, _ = timed(lambda: until_idle(ticker, _NOW))
    after = resource.getrusage(resource.RUSAGE_SELF)
    status = control.statuses(workspace.store, "spring")[0]
    if not status.queued or status.queued != found.would_get:
        raise RuntimeError(f"{found.would_get} were counted beforehand, {status.queued} queued")
    by_hand, _ = timed(lambda: _by_hand(workspace))
    workspace.close()
    return {
        "seconds": first + rest,
        "preview": counted,
        "freeze": max(first - rest / max(status.audience / 100_000 - 1, 1), 0.0),
        "queued": status.queued,
        "cpu": after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime,
        "peak": after.ru_maxrss / 1e6,
        "by_hand": by_hand,
    }


def _fill(workspace: Any, customers: int) -> None:
    """Customers with five traits in the warehouse and their consent in the store, without an import's ado."""
    cursor = workspace.warehouse.cursor()
    cursor.execute(
        f"INSERT INTO profiles SELECT i + 1, 'person', 'user_id:c' || i, TIMESTAMP '2026-01-01', 'Europe/Warsaw'"
        f" FROM range({customers}) AS r(i)"
    )
    traits = {
        "email": "'\"c' || i || '@example.com\"'",
        "first_name": "'\"Name' || i % 999 || '\"'",
        "orders": "(i % 5 + 1)::VARCHAR",
        "country": "'\"PL\"'",
        "plan": "CASE WHEN i % 100 = 0 THEN '\"staff\"' ELSE '\"free\"' END",
    }
    for name, raw in traits.items():
        cursor.execute(
            f"""
            INSERT INTO trait_values
            SELECT i + 1, '{name}', TIMESTAMP '2026-01-01', 0, TIMESTAMP '2026-01-01', TRY_CAST({raw} AS DOUBLE),
                   trim({raw}, '"'), NULL, NULL, NULL, {raw}
            FROM range({customers}) AS r(i)
            """
        )
        cursor.execute("INSERT INTO trait_names VALUES (?)", [name])
    workspace.warehouse.reload()
    with workspace.store.begin() as connection:
        connection.exec_driver_sql(
            f"""
            WITH RECURSIVE r(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < {customers})
            INSERT INTO consents (profile_id, channel, topic, state, at, source, wording, basis)
            SELECT i, 'email', 'news', CASE WHEN i % 10 = 0 THEN 'unsubscribed' ELSE 'subscribed' END, 0, 'bench', '',
                   'consent'
            FROM r
            """
        )


def _by_hand(workspace: Any) -> None:
    """The same messages into the same table once more, with nothing decided."""
    with workspace.store.begin() as connection:
        connection.exec_driver_sql("CREATE TEMP TABLE kept AS SELECT * FROM messages")
        connection.exec_driver_sql("UPDATE kept SET id = NULL, key = 'again' || key")
        connection.exec_driver_sql("INSERT INTO messages SELECT * FROM kept")
        connection.rollback()


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]), int(sys.argv[2]))))
