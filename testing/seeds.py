"""Try a check with many seeds, on all cores, and say how to play a failing one again.

A check is a function of one seed that raises when something is wrong. It has to be importable by
its name, because it runs in other processes.
"""

from __future__ import annotations

import multiprocessing
import os
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

Check: TypeAlias = Callable[[int], object]

# So many seeds go to a process at once: a run takes milliseconds.
BATCH = 25


@dataclass(frozen=True, slots=True)
class FailedSeed:
    """A seed with which the check raised.

    Args:
        seed: The seed.
        error: The exception in one line.
        details: Its traceback.
    """

    seed: int
    error: str
    details: str


def try_seed(check: Check, seed: int) -> FailedSeed | None:
    """Run the check once, here; None: nothing is wrong."""
    try:
        check(seed)
    except Exception as error:  # noqa: BLE001  # whatever is wrong is the finding
        line = traceback.format_exception_only(error)[0].strip()
        return FailedSeed(seed, line, traceback.format_exc())
    return None


def find_failing(
    check: Check, seeds: Iterable[int], processes: int | None = None
) -> list[FailedSeed]:
    """Run the check once for each seed, in as many processes as there are cores.

    Args:
        check: What to try.
        seeds: With what.
        processes: How many; 1 runs here.

    Returns:
        The seeds that failed, in the order of `seeds`.
    """
    processes = processes or os.cpu_count() or 1
    attempt = partial(try_seed, check)
    if processes == 1:
        return [failed for seed in seeds if (failed := attempt(seed)) is not None]
    # spawned, because a fork copies the locks of whatever threads there are
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        found = pool.map(attempt, seeds, chunksize=BATCH)
        return [failed for failed in found if failed is not None]


def describe(failed: list[FailedSeed], command: str) -> str:
    """What to print: every failing seed, the first one's traceback, the command for each.

    Args:
        failed: At least one.
        command: Plays one seed when `{seed}` is filled in.
    """
    lines = [f"{len(failed)} seeds fail:"]
    lines += [f"  seed {each.seed}: {each.error}" for each in failed[:20]]
    lines += ["", failed[0].details, "To play it again:"]
    lines += [f"  {command.format(seed=failed[0].seed)}"]
    return "\n".join(lines)
