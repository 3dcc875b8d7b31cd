"""Printing and saving what a benchmark measured."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

R = TypeVar("R")


def parser(description: str) -> argparse.ArgumentParser:
    """The options that every benchmark has."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument(
        "--json",
        type=Path,
        nargs="?",
        const=Path("/dev/stdout"),
        metavar="FILE",
        help="also write the figures there; without a FILE print them, last",
    )
    options.add_argument("--runs", type=int, default=5, help="medians of this many runs")
    return options


def rss_bytes() -> int:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def fresh(function: Callable[..., R], *arguments: object) -> R:
    """Call it in a process of its own, which nothing before has touched."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()


def percentile(ordered: Sequence[float], fraction: float) -> float:
    """The value below which that fraction of the ordered values lies."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * fraction))]


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values)


def show(title: str, rows: Sequence[tuple[str, str]]) -> None:
    """A small table, with the machine it was measured on."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    print(f"\n{title}")
    print(f"  Python {platform.python_version()}, {os.cpu_count()} cores, load {load}")
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"  {name:<{width}}  {value:>14}")


def save(path: Path | None, figures: dict[str, float]) -> None:
    """One flat JSON object, if a file is wanted."""
    if path is not None:
        path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
