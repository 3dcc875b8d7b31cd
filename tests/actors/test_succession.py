"""What a supervisor tells and waits for between the end of a child and its heir's beginning."""

from __future__ import annotations

from typing import Final

from greenroom.actors._base import ChildActorExited, Configure, DeadEnvelope
from greenroom.actors.estate import Estate, HeirBegan, Inherit
from greenroom.actors.notifier import Notifier
from greenroom.actors.recorder import Recorder
from greenroom.actors.stats_worker import RecorderMoved, StatsWorker
from greenroom.actors.succession import Probe
from greenroom.actors.supervisor import ConfigureSupervisor, Supervisor
from greenroom.config import Settings
from greenroom.messages import calls
from greenroom.messages.outputs import AttemptEnded, Notify, RecordEvent
from greenroom.testing.harness import ActorHarness, Sent
from greenroom.testing.samples import joined, room

AT_NS: Final = 1_700_000_000_500_000_000


def started() -> ActorHarness[Supervisor]:
    supervisor = ActorHarness(Supervisor, at_ns=AT_NS)
    supervisor.tell(ConfigureSupervisor(Settings(), supervisor.ports))
    return supervisor


def test_the_workers_are_told_of_a_new_recorder_and_events_go_there() -> None:
    supervisor = started()
    supervisor.enter(joined())
    old, worker = supervisor.child(Recorder), supervisor.child(StatsWorker)

    sent = supervisor.tell(Estate("Recorder", 0, {}, ()), old)

    heir = supervisor.child(Recorder, 1)
    assert sent == [Sent(worker, RecorderMoved(heir)), Sent(old, Probe())]
    assert heir in [target for target, _ in supervisor.enter(calls.RoomStarted(room()))]


def test_an_heir_begins_when_all_is_there_with_what_was_held_before_what_came_too_late() -> None:
    supervisor = started()
    old = supervisor.child(Notifier)
    event, other = Notify(None, (), 1), Notify(None, (), 2)  # type: ignore[arg-type]

    supervisor.tell(DeadEnvelope(old, other))
    supervisor.tell(Estate("Notifier", 0, {"state": 1}, (event,)), old)
    assert supervisor.tell(DeadEnvelope(old, Probe())) == []
    assert supervisor.tell(ChildActorExited(old)) == []
    sent = supervisor.pass_door()

    configure = Configure(Settings(), supervisor.ports)
    inherit = Inherit(configure, {"state": 1}, (event, other), AT_NS)
    assert sent == [Sent(supervisor.child(Notifier, 1), inherit)]


def test_what_others_tell_one_that_was_succeeded_long_ago_is_passed_on() -> None:
    supervisor = started()
    old = supervisor.child(Notifier)
    supervisor.tell(Estate("Notifier", 0, {}, ()), old)
    supervisor.tell(DeadEnvelope(old, Probe()))
    supervisor.tell(ChildActorExited(old))
    supervisor.pass_door()
    heir = supervisor.child(Notifier, 1)
    supervisor.tell(HeirBegan("Notifier", 0), heir)
    answer = AttemptEnded(1, 1, 200, "", "", retryable=True, sent=True)

    assert supervisor.tell(DeadEnvelope(old, answer)) == [Sent(heir, answer)]


def end_recorder(supervisor: ActorHarness[Supervisor], index: int) -> list[Sent]:
    old = supervisor.child(Recorder, index)
    supervisor.tell(Estate("Recorder", 0, {}, ()), old)
    supervisor.tell(DeadEnvelope(old, Probe()))
    supervisor.tell(ChildActorExited(old))
    return supervisor.pass_door()


def test_the_heir_of_the_second_end_in_a_minute_has_to_wait() -> None:
    supervisor = started()
    end_recorder(supervisor, 0)
    supervisor.tell(HeirBegan("Recorder", 0), supervisor.child(Recorder, 1))

    assert end_recorder(supervisor, 1) == []
    ((target, message),) = supervisor.advance(0.1)
    assert target is supervisor.child(Recorder, 2)
    assert isinstance(message, Inherit)


def test_an_undeliverable_message_is_counted() -> None:
    supervisor = started()

    supervisor.tell(DeadEnvelope(supervisor.address_of("nobody"), RecordEvent(None)))  # type: ignore[arg-type]

    name = 'greenroom_dropped_total{intentional="false",reason="undeliverable"}'
    assert supervisor.counted()[name] == 1
