"""Import: a million purchases from a CSV file to every customer's stage, as a user does it."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb

from benchmarks.figures import Figure, Plan, cpu_of_children, median, peak_of_children, timed
from benchmarks.workspace import keepers

_ROWS = 1_000_000
_CUSTOMERS = 200_000
_NOW = "2026-03-01T00:00:00Z"


def measure(plan: Plan) -> list[Figure]:
    """`keepers import` and the first `keepers tick`, beside DuckDB reading the file and grouping by customer."""
    file = plan.folder / "purchases.csv"
    rows = _generate(file, plan.scale)
    ours, imports, theirs, cpu = [], [], [], []
    rounds = 1 if plan.quick else 3
    for n in range(rounds):
        plan.say(f"import of {rows:,} rows: round {n + 1} of {rounds}")
        folder = plan.folder / f"import{n}"
        keepers("init", str(folder), "--lifecycle", "value")
        arguments = ["--event", "Order Completed", "--profile", "customer", "--time", "ordered_at", "-w", str(folder)]
        named = ["--property", "total=total", "--property", "order_id=order_id"]
        before = cpu_of_children()
        imported, _ = timed(keepers, "import", str(file), *arguments, *named, "--now", _NOW)
        ticked, _ = timed(keepers, "tick", "--now", _NOW, "-w", str(folder))
        cpu.append(cpu_of_children() - before)
        ours.append(imported + ticked)
        imports.append(imported)
        stages = json.loads(keepers("stages", "value", "-w", str(folder), "--json"))
        if (found := sum(stage["profiles"] for stage in stages["stages"])) < _CUSTOMERS * plan.scale * 0.9:
            raise RuntimeError(f"only {found} customers have a stage")
        theirs.append(timed(_by_hand, file, plan.folder / f"hand{n}.duckdb")[0])
    took, hand = median(ours), median(theirs)
    allowed = 30.0
    return [
        Figure(
            f"import of {rows / 1e6:g}M purchases to stages",
            took,
            "s",
            hand,
            took / hand,
            "≤ 30 s",
            took <= allowed if plan.scale >= 1 else None,
            f"of which the import itself {median(imports):.1f} s; {median(cpu):.1f} s of processor time in all",
        ),
        Figure("import: peak memory", peak_of_children(), "GB", remark="of the largest process"),
    ]


def _generate(file: Path, scale: float) -> int:
    rows, customers = round(_ROWS * scale), round(_CUSTOMERS * scale)
    with duckdb.connect() as connection:
        connection.execute(
            f"""
            COPY (
                SELECT 'o' || i AS order_id, 'c' || hash(i, 1) % {customers} AS customer,
                       strftime(TIMESTAMP '2024-03-01' + to_seconds((hash(i, 2) % 63072000)::BIGINT),
                                '%Y-%m-%d %H:%M:%S') AS ordered_at,
                       (1 + hash(i, 3) % 20000)::DOUBLE / 100 AS total
                FROM range({rows}) AS r(i)
            ) TO '{file}' (HEADER)
            """
        )
    return rows


def _by_hand(file: Path, database: Path) -> None:
    """The least that could be called the same: rows in a table on disk, a stage per customer by fixed rules."""
    with duckdb.connect(str(database)) as connection:
        connection.execute(f"CREATE TABLE orders AS SELECT * FROM read_csv('{file}')")
        connection.execute(
            """
            CREATE TABLE stages AS
            SELECT customer, CASE WHEN last < TIMESTAMP '2026-03-01' - INTERVAL 180 DAY THEN 'churned'
                                  WHEN n = 1 THEN 'new' ELSE 'loyal' END AS stage
            FROM (
                SELECT customer, count(DISTINCT ordered_at::DATE) AS n, max(ordered_at) AS last
                FROM orders GROUP BY customer
            )
            """
        )
