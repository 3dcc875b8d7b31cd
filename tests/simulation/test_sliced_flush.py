"""A flush that goes in slices gives what one gives that reaches all workers at once."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from greenroom.actors.stats_worker import StatsWorker
from greenroom.actors.supervisor import ConfigureSupervisor, Supervisor
from greenroom.config import Settings, WebhookSettings
from greenroom.core.metrics import Metrics
from greenroom.core.ports import Ports
from greenroom.core.series import flatten
from greenroom.messages.calls import Call
from greenroom.messages.control import AskWorkers, Workers
from greenroom.runtime.base import InProcessBase
from greenroom.runtime.clock import VirtualClock
from greenroom.runtime.door import INPUTS_PER_TURN, Door
from greenroom.runtime.schedule import Faults, SeededSchedule
from greenroom.testing.fakes import (
    FakePoster,
    RecordingAnalytics,
    RecordingDeadLetters,
    RecordingHost,
    RecordingReporter,
)
from greenroom.testing.simulated_host import SimulatedHost
from greenroom.testing.simulation import START_NS

SECOND = 1_000_000_000
ALL_AT_ONCE = 1_000_000


@dataclass
class Course:
    """What a host does: calls, and how long it waits after each few of them (seconds)."""

    steps: list[tuple[list[Call], float]] = field(default_factory=list)


def course_of(seed: int) -> Course:
    chance = random.Random(seed)
    host = SimulatedHost(chance)
    course = Course()
    for _ in range(25):
        some = [host.next_call() for _ in range(chance.randrange(12))]
        course.steps.append((some, chance.choice((0.0, 5.0, 31.0, 100.0, 200.0))))
    course.steps.append((host.last_calls(), 400.0))
    return course


def results(
    course: Course,
    *,
    flush_slice: int = ALL_AT_ONCE,
    inputs_per_turn: int = INPUTS_PER_TURN,
    schedule: SeededSchedule | None = None,
) -> dict[str, object]:
    """Everything that comes out, as far as order is promised; and who is there at each step."""
    clock = VirtualClock(START_NS)
    base = InProcessBase(clock, schedule=schedule)
    door = base.door = Door(
        clock, inputs_per_turn=inputs_per_turn, on_drop=lambda reason, body: None
    )
    metrics, analytics, reporter = Metrics(), RecordingAnalytics(), RecordingReporter()
    supervisor = base.newPrimaryActor(Supervisor)
    ports = Ports(
        door=door,
        metrics=metrics,
        analytics=analytics,
        poster=FakePoster(door),
        reporter=reporter,
        dead_letters=RecordingDeadLetters(),
        host=RecordingHost(),
    )
    settings = Settings(flush_slice=flush_slice, webhook=WebhookSettings())
    base.tell(supervisor, ConfigureSupervisor(settings, ports))
    attendance = []
    for some, seconds in course.steps:
        for call in some:
            door.enter(supervisor, call)
        base.advance_to(clock.now_ns() + round(seconds * SECOND))
        answer = base.ask(supervisor, AskWorkers(), 10.0)
        assert isinstance(answer, Workers)
        attendance.append(answer)
    stats = defaultdict(list)
    for stat in analytics.stats:
        key = (stat.room_id, stat.participant_id, stat.track_id, stat.kind)
        stats[key].append(stat.SerializeToString(deterministic=True))
    return {
        # two incarnations of one participant flush at the same time, in no promised order
        "stats": {key: sorted(of_one) for key, of_one in stats.items()},
        "events": [event.SerializeToString(deterministic=True) for event in analytics.events],
        "attendance": attendance,
        "metrics": flatten(metrics.snapshot(), {}),
        "failures": reporter.failures,
    }


def is_worker(actor: object, message: object) -> bool:
    return isinstance(actor, StatsWorker)


@given(seed=st.integers(0, 2**32), flush_slice=st.integers(1, 4), per_turn=st.integers(0, 6))
def test_slices_between_inputs_change_no_result(
    seed: int, flush_slice: int, per_turn: int
) -> None:
    course = course_of(seed)

    sliced = results(course, flush_slice=flush_slice, inputs_per_turn=per_turn)

    assert sliced == results(course)


@given(seed=st.integers(0, 2**32), order=st.integers(0, 2**32))
def test_neither_does_the_end_of_a_worker_and_the_beginning_of_its_heir(
    seed: int, order: int
) -> None:
    course = course_of(seed)
    faults = Faults(end=0.01, exposed=is_worker)

    ended = results(course, schedule=SeededSchedule(order, faults=faults))

    expected = results(course)
    for outputs in ("stats", "events", "failures"):
        assert ended[outputs] == expected[outputs]


@given(seed=st.integers(0, 2**32), flush_slice=st.integers(1, 4), order=st.integers(0, 2**32))
def test_neither_do_slices_in_any_order_of_delivery(
    seed: int, flush_slice: int, order: int
) -> None:
    course = course_of(seed)

    shuffled = results(
        course, flush_slice=flush_slice, inputs_per_turn=1, schedule=SeededSchedule(order)
    )

    assert shuffled == results(course)
