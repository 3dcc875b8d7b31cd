"""Whatever a host may call, the supervisor digests: hypothesis plays the host."""

from __future__ import annotations

from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.actors.stats_worker import StatsWorker
from greenroom.actors.supervisor import ConfigureSupervisor, Supervisor
from greenroom.config import Settings
from greenroom.messages import calls
from greenroom.messages.calls import Call
from greenroom.messages.control import AskWorkers, Workers
from greenroom.messages.ids import GuardID
from greenroom.messages.outputs import Notify
from greenroom.testing import strategies
from greenroom.testing.harness import ActorHarness
from greenroom.testing.samples import ALICE, BOB, active, joined, left, resumed, track_stats

SIDS: Final = st.sampled_from([ALICE, BOB])
GUARDS: Final = st.none() | st.integers(1, 4).map(GuardID)
SMALL_TALK: Final[st.SearchStrategy[Call]] = (
    st.builds(joined, SIDS, GUARDS)
    | st.builds(active, SIDS, GUARDS)
    | st.builds(resumed, SIDS)
    | st.builds(left, SIDS, GUARDS)
    | st.builds(track_stats, SIDS)
    | st.builds(calls.FlushStats)
)


def started() -> ActorHarness[Supervisor]:
    supervisor = ActorHarness(Supervisor, at_ns=1_700_000_000_000_000_000)
    supervisor.tell(ConfigureSupervisor(Settings(), supervisor.ports))
    return supervisor


@settings(max_examples=80)
@given(st.lists(strategies.calls(), max_size=8))
def test_no_call_is_indigestible(many: list[Call]) -> None:
    supervisor = started()

    for call in many:
        supervisor.enter(call)

    assert supervisor.reporter.failures == []


@settings(max_examples=80)
@given(st.lists(strategies.calls(), max_size=8))
def test_the_same_inputs_give_the_same_outputs_again(many: list[Call]) -> None:
    first, second = started(), started()

    for call in many:
        once, again = first.enter(call), second.enter(call)
        assert [message for _, message in once if isinstance(message, Notify)] == [
            message for _, message in again if isinstance(message, Notify)
        ]
        assert len(once) == len(again)

    assert first.counted() == second.counted()


@given(st.lists(SMALL_TALK, max_size=40))
def test_the_gauge_is_the_number_of_open_workers(many: list[Call]) -> None:
    supervisor = started()

    for call in many:
        supervisor.enter(call)

    started_workers = sum(child.actor_class is StatsWorker for child in supervisor.children)
    closed = [entry for entry in supervisor.actor.roster.newest_first() if entry.closed]
    gauge = supervisor.counted().get("livekit_participant_total", 0)
    assert gauge == started_workers - len(closed)


@given(st.lists(SMALL_TALK, max_size=40))
def test_a_participant_has_one_current_worker_or_none(many: list[Call]) -> None:
    supervisor = started()

    for call in many:
        supervisor.enter(call)

    ((_, answer),) = supervisor.tell(AskWorkers())
    assert isinstance(answer, Workers)
    keys = [worker.key for worker in answer.current]
    assert keys == sorted(set(keys))
    assert answer.retained >= len(keys)
