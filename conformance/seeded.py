"""Scenario vectors in other orders of delivery than the usual one, all from one integer.

A seed decides how many calls enter before anyone looks (a run of them), how eagerly the door lets
them in while messages wait, and in which of the orders that Thespian allows they are delivered.
After each run everything that came out is compared with what the vector has for its calls, one
after the other; after the last step the totals. Whatever the order:

- events, webhooks and states of rooms come in the order of the calls, field by field;
- so do the statistics of one worker, each batch by itself;
- the current workers, the series and the node's counters are as recorded.

One thing is relaxed, because nobody promises it: when *several workers* of one (room,
participant) hand over in one run, one open and those closed before it, their batches are
compared as a multiset. Each is told its flush on its own, and no message orders one after the
other. Of different participants the order is not compared in the usual order either.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Final

from ..actors._base import GreenroomActor
from ..actors.stats_worker import StatsWorker
from ..messages.outputs import RecordStats
from ..runtime.cell import Cell, Envelope
from ..runtime.schedule import SeededSchedule
from .compare import Difference
from .outputs import Batch, Outputs, by_worker, diff_outputs
from .scenarios import Stage, Totals, read_totals
from .steps import Advance, CallStep, Step, read_steps
from .vectors import Family, Vector, read_vectors

# One seed plays every so manieth scenario, so each scenario meets every so manieth seed.
SHARES: Final = 20
# Of which one is taken: how many calls a run has at most, how likely the door lets one in early.
RUN_LENGTHS: Final = (1, 4, 16, 64)
EARLY_INPUTS: Final = (0.3, 0.9)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A vector, read once to be played often."""

    where: str
    steps: tuple[Step, ...]
    totals: Totals


def read_scenario(vector: Vector) -> Scenario:
    """A vector as it is played.

    Raises:
        RecordingError: It is not understood.
    """
    return Scenario(str(vector), tuple(read_steps(vector)), read_totals(vector))


@cache
def read_scenarios(path: Path) -> tuple[Scenario, ...]:
    """All scenarios of a file, in order.

    Raises:
        RecordingError: A line is not understood.
        OSError: The file cannot be read.
    """
    vectors = read_vectors(path)
    return tuple(read_scenario(one) for one in vectors if one.family is Family.SCENARIO)


def check_seed(seed: int, *, path: Path) -> None:
    """Play this seed's share of the scenarios in this seed's order.

    Args:
        seed: Any; `SHARES` consecutive ones play every scenario.
        path: A file of vectors.

    Raises:
        AssertionError: Something differs; the text says in which scenario, and what.
    """
    for scenario in read_scenarios(path)[seed % SHARES :: SHARES]:
        found = play(scenario, seed)
        assert not found, f"{scenario.where}: {'; '.join(map(str, found[:5]))}"


def play(
    scenario: Scenario, seed: int, worker: type[GreenroomActor] = StatsWorker
) -> list[Difference]:
    """What differs when the scenario is played in this seed's order.

    Args:
        scenario: What to play.
        seed: Decides the order.
        worker: The class of the workers.
    """
    chance = random.Random(seed)
    senders = _Senders()
    schedule = SeededSchedule(
        seed, early_inputs=chance.choice(EARLY_INPUTS), observe=senders.observe
    )
    found: list[Difference] = []
    with Stage(schedule, worker) as stage:
        for part in _runs(scenario.steps, chance):
            if isinstance(part, Advance):
                stage.advance(part.duration_ns)
                continue
            for step in part:
                stage.call(step)
            got, loose = stage.outputs(), senders.take_shared()
            path = f"seed {seed}, {part[0].path} to {part[-1].path}"
            found += diff_outputs(
                _without_order(_joined(part), loose), _without_order(got, loose), path
            )
        found += stage.diff_totals(scenario.totals)
    return found


def _runs(steps: Iterable[Step], chance: random.Random) -> Iterable[Advance | list[CallStep]]:
    """Calls that enter together; time passes only in between."""
    longest = chance.choice(RUN_LENGTHS)
    run: list[CallStep] = []
    for step in steps:
        if isinstance(step, CallStep):
            run.append(step)
            if len(run) < longest:
                continue
        if run:
            yield run
            run, longest = [], chance.choice(RUN_LENGTHS)
        if isinstance(step, Advance):
            yield step
    if run:
        yield run


def _joined(run: Sequence[CallStep]) -> Outputs:
    """What comes out of calls that enter together."""
    each = [step.expected for step in run]
    return Outputs(
        list(chain.from_iterable(one.events for one in each)),
        list(chain.from_iterable(one.webhooks for one in each)),
        list(chain.from_iterable(one.node_rooms for one in each)),
        sorted(chain.from_iterable(one.batches for one in each), key=by_worker),
        each[-1].workers,
    )


def _without_order(outputs: Outputs, loose: frozenset[tuple[bytes, bytes]]) -> Outputs:
    """The same with the batches of `loose`, and of no others, in an order of their own."""

    def order(batch: Batch) -> tuple[tuple[bytes, bytes], list[bytes]]:
        worker = by_worker(batch)
        content = [stat.SerializeToString(deterministic=True) for stat in batch]
        return worker, content if worker in loose else []

    return replace(outputs, batches=sorted(outputs.batches, key=order)) if loose else outputs


class _Senders:
    """Who handed over the statistics of each (room, participant)."""

    def __init__(self) -> None:
        self._senders: defaultdict[tuple[bytes, bytes], set[Cell]] = defaultdict(set)

    def observe(self, envelope: Envelope) -> None:
        """Look at what is delivered."""
        _, message, sender = envelope
        if isinstance(message, RecordStats) and message.stats:
            self._senders[by_worker(message.stats)].add(sender)

    def take_shared(self) -> frozenset[tuple[bytes, bytes]]:
        """Of which participants several workers handed over since this was last asked."""
        shared = frozenset(key for key, senders in self._senders.items() if len(senders) > 1)
        self._senders.clear()
        return shared
