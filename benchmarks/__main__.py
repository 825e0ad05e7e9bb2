"""`python -m benchmarks [--only NAME] [--scale 1.0] [--quick]`: measures, prints a table, writes build/bench.json."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import (
    auditing,
    broadcast,
    delivering,
    evaluating,
    importing,
    ingest,
    moving,
    reacting,
    rendering,
    shop,
    smtp,
)
from benchmarks.figures import Figure, Plan, show, write
from keepers.app.workspace.clock import clock
from keepers.app.workspace.settings import TEST_CLOCK
from keepers.model.moments import format_instant

ALONE: dict[str, Callable[[Plan], list[Figure]]] = {
    "ingest_single": ingest.measure_single,
    "ingest_batch100": ingest.measure_batch,
    "import_1m": importing.measure,
    "journeys": moving.measure,
    "event_to_message": reacting.measure,
    "email": smtp.measure,
    "deliver": delivering.measure,
    "renders": rendering.measure,
    "broadcast_1m": broadcast.measure,
    "audited_call": auditing.measure,
}
NAMES = (*ALONE, "full_evaluation", "live_tick")
OUTPUT = Path("build/bench.json")


def main(
    only: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(NAMES)}; may be repeated.")] = None,
    scale: Annotated[float, typer.Option(min=0.001, max=10, help="Share of the data.")] = 1.0,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer rounds.")] = False,
) -> None:
    chosen = set(only or NAMES)
    if unknown := sorted(chosen - set(NAMES)):
        raise typer.BadParameter(f"{unknown[0]} is none of {', '.join(NAMES)}")
    # Every run begins at the same moment of the same day, for all its processes: none meets a night or a year's end.
    os.environ[TEST_CLOCK] = f"{format_instant(shop.NOW)}@{format_instant(clock())}"
    console = Console()
    figures: list[Figure] = []
    with (
        tempfile.TemporaryDirectory(prefix="keepers-bench-") as folder,
        console.status("…") as status,
    ):

        def say(text: str) -> None:
            status.update(text)
            if not console.is_terminal:
                console.print(text)

        plan = Plan(Path(folder), scale, quick, say)
        for name, measure in ALONE.items():
            if name in chosen:
                figures += measure(plan)
        if chosen & {"full_evaluation", "live_tick"}:
            figures += evaluating.measure(plan, full="full_evaluation" in chosen, live="live_tick" in chosen)
    show(figures, console)
    load = os.getloadavg()
    console.print(f"{os.cpu_count()} cores; load {load[0]:.1f} / {load[1]:.1f} (1 and 5 minutes, this run included)")
    write(figures, OUTPUT)
    console.print(f"Written to {OUTPUT}.")


typer.run(main)
