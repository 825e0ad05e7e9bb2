"""What is measured, as rows of one table and of `build/bench.json`."""

from __future__ import annotations

import json
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

from msgspec import Struct, structs
from rich.console import Console
from rich.table import Table

P = ParamSpec("P")
T = TypeVar("T")


class Figure(Struct, frozen=True):
    """`value` and `yardstick` in `unit`; `ratio` is value / yardstick. `met` is None where nothing is promised."""

    name: str
    value: float
    unit: str
    yardstick: float | None = None
    ratio: float | None = None
    goal: str = ""
    met: bool | None = None
    remark: str = ""


class Plan(Struct, frozen=True):
    """How much to measure: `scale` shrinks the data, `quick` the number of rounds."""

    folder: Path
    scale: float
    quick: bool
    say: Callable[[str], None]


def timed(work: Callable[P, T], *given: P.args, **more: P.kwargs) -> tuple[float, T]:
    """Seconds a call takes, and what it gives."""
    began = time.perf_counter()
    found = work(*given, **more)
    return time.perf_counter() - began, found


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def peak_of_children() -> float:
    """GB of memory the largest child process so far held at most."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6


def cpu_of_children() -> float:
    """Seconds of processor time that ended child processes used so far: what is left of a figure on a busy machine."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def show(figures: Sequence[Figure], console: Console) -> None:
    table = Table(title="Keepers, measured beside its yardsticks (medians of one run)")
    for name in ("figure", "value", "yardstick", "ratio", "goal", "met"):
        table.add_column(name, justify="left" if name in ("figure", "goal", "met") else "right")
    for one in figures:
        met = "" if one.met is None else "[green]yes[/]" if one.met else "[red]no[/]"
        beside = "" if one.yardstick is None else f"{one.yardstick:,.4g} {one.unit}"
        ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
        table.add_row(one.name, f"{one.value:,.4g} {one.unit}", beside, ratio, one.goal, met)
    console.print(table)
    for one in figures:
        if one.remark:
            console.print(f"[dim]{one.name}: {one.remark}[/]", highlight=False)


def write(figures: Sequence[Figure], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([structs.asdict(one) for one in figures], indent=2) + "\n", encoding="utf-8")
