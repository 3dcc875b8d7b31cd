"""Each actor has a handler for all that it may be told: the unions in `messages` say what."""

from __future__ import annotations

from typing import get_args

import pytest

from greenroom.actors._base import DeadEnvelope, GreenroomActor
from greenroom.actors.estate import Estate, HeirBegan
from greenroom.actors.notifier import Notifier
from greenroom.actors.recorder import Recorder
from greenroom.actors.stats_worker import RecorderMoved, StatsWorker
from greenroom.actors.supervisor import Supervisor
from greenroom.actors.timer import Timer
from greenroom.messages import outputs, stats
from greenroom.messages.calls import CALLS
from greenroom.messages.control import (
    AskWorkers,
    ChildFailed,
    Drain,
    Input,
    Replayed,
    RestartDue,
    Shared,
    Started,
)
from greenroom.messages.endpoints import EndpointInput
from greenroom.messages.handoff import AskReleased
from greenroom.messages.outputs import NotifierInput, Notify, RecorderCommand
from greenroom.messages.stats import FlushTick, WorkerClosed, WorkerCommand

ACTORS = [Supervisor, StatsWorker, Timer, Notifier, Recorder]
PASSED_ON = set(get_args(EndpointInput))  # by the supervisor to the notifier, as they are
THESPIANS = set(GreenroomActor.told_handlers)


def told_of(actor: type[GreenroomActor]) -> set[type]:
    return set(actor.told_handlers) - THESPIANS


def test_the_supervisor_handles_every_call_and_every_dead_letter_that_is_replayed() -> None:
    replayed = set(get_args(Replayed))
    own = {FlushTick, RestartDue, Started, *get_args(Shared)} | PASSED_ON
    assert set(Supervisor.stamped_handlers) == {*CALLS} | own | replayed


def test_the_supervisor_handles_every_report_and_question() -> None:
    reports = {AskWorkers, AskReleased, ChildFailed, Drain, Estate, HeirBegan, DeadEnvelope} | {
        stats.FlushSlice,
        stats.SaveSlice,
        WorkerClosed,
        stats.SampleSkipped,
    }

    assert told_of(Supervisor) == reports


def test_a_worker_handles_every_command() -> None:
    assert told_of(StatsWorker) == {*get_args(WorkerCommand), RecorderMoved}
    assert not StatsWorker.stamped_handlers


def test_the_recorder_handles_every_command() -> None:
    assert told_of(Recorder) == set(get_args(RecorderCommand))
    assert not Recorder.stamped_handlers


def test_the_notifier_handles_every_input_and_the_one_command() -> None:
    assert set(Notifier.stamped_handlers) == set(get_args(NotifierInput))
    assert told_of(Notifier) == {Notify}


def test_the_timer_handles_what_becomes_of_its_ticks() -> None:
    assert not Timer.stamped_handlers
    assert told_of(Timer) == {stats.TickTaken}


def test_every_input_has_exactly_one_actor_that_handles_it() -> None:
    handled = [kind for actor in ACTORS for kind in actor.stamped_handlers]
    for kind in PASSED_ON:
        handled.remove(kind)

    assert len(handled) == len(set(handled))
    assert set(handled) == set(get_args(Input))


def test_every_command_between_actors_has_a_receiver() -> None:
    defined = {
        kind
        for module in (outputs, stats)
        for kind in vars(module).values()
        if isinstance(kind, type) and kind.__module__ == module.__name__
    }
    handled = {
        kind for actor in ACTORS for kind in [*actor.told_handlers, *actor.stamped_handlers]
    }

    assert defined - handled == {stats.WorkerSpec}  # a part of a worker's first message


@pytest.mark.parametrize("actor", ACTORS, ids=lambda actor: actor.__name__)
def test_a_handler_is_named_after_what_it_handles_or_is_for_several(
    actor: type[GreenroomActor],
) -> None:
    handlers = [*actor.told_handlers.items(), *actor.stamped_handlers.items()]
    for kind, handler in handlers:
        alone = [other for _, other in handlers].count(handler) == 1
        snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in kind.__name__)
        same = f"on{snake}".replace("_r_t_p_", "_rtp_").replace("_a_p_i_", "_api_")
        assert handler.__name__.startswith("on_")
        if alone and kind not in THESPIANS:
            assert handler.__name__ == same
