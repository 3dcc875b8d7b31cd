from __future__ import annotations

from typing import ClassVar, Final

import pytest

from greenroom.actors._base import (
    ActorAddress,
    ActorExitRequest,
    Configure,
    GreenroomActor,
    WakeupMessage,
    stamped,
    told,
)
from greenroom.actors.estate import Estate, HeirBegan, Inherit, Undelivered
from greenroom.config import Settings
from greenroom.messages.calls import FlushStats, RoomEnded
from greenroom.messages.control import ChildFailed, Restart, Stamped
from greenroom.messages.outputs import RetryDue, SweepDue
from greenroom.messages.stats import Close, Flush, FlushTick
from greenroom.testing.harness import ActorHarness, Sent

AT_NS: Final = 1_700_000_000_000_000_000


class Parrot(GreenroomActor):
    """Repeats what it hears to its parent, and cannot digest some of it."""

    heard: list[object]

    def on_configure(self, configure: Configure) -> None:
        self.door = configure.ports.door
        self.heard = []
        if configure.settings.node_id == "broken":
            raise OSError("no voice")

    @told(Flush, Close)
    def on_said(self, said: Flush | Close, sender: ActorAddress) -> None:
        self.heard.append(said)
        if said.at_ns < 0:
            raise ValueError("before 1970")
        self.send(sender, said)

    @stamped(FlushTick, RetryDue)
    def on_due(self, due: FlushTick, stamp: Stamped) -> None:
        if due == FlushTick(13):
            raise LookupError("unlucky")
        self.send(self.parent, stamp)


class Macaw(Parrot):
    """A parrot that also sweeps, and flushes in its own way."""

    @told(Flush)
    def on_flush(self, flush: Flush, sender: ActorAddress) -> None:
        self.heard.append("flush")

    @stamped(SweepDue)
    def on_sweep(self, due: SweepDue, stamp: Stamped) -> None:
        self.heard.append(due)


def started(actor_class: type[Parrot] = Parrot) -> ActorHarness[Parrot]:
    harness = ActorHarness(actor_class, at_ns=AT_NS)
    harness.tell(Configure(Settings(), harness.ports))
    return harness


# ── dispatch ────────────────────────────────────────────────────────────────────────────────


def test_a_message_goes_to_its_handler_with_its_sender() -> None:
    parrot = started()
    someone = parrot.address_of("someone")

    assert parrot.tell(Flush(1, 7), someone) == [Sent(someone, Flush(1, 7))]
    assert parrot.tell(Close(8), someone) == [Sent(someone, Close(8))]


def test_an_input_goes_to_the_handler_of_its_body_with_its_stamp() -> None:
    parrot = started()

    sent = parrot.enter(FlushTick(1))

    assert sent == [Sent(parrot.parent, Stamped(1, AT_NS, FlushTick(1)))]


def test_an_input_without_a_stamp_is_not_taken_for_an_input() -> None:
    parrot = started()

    ((_, failure),) = parrot.tell(FlushTick(1))

    assert isinstance(failure, ChildFailed)
    assert "UnknownMessageError" in failure.letter.error


def test_a_subclass_adds_and_replaces_handlers_and_leaves_its_parents_alone() -> None:
    macaw = started(Macaw)
    parrot = started()

    macaw.tell(Flush(1, 7))
    macaw.tell(Close(8))
    macaw.enter(SweepDue())

    assert macaw.actor.heard == ["flush", Close(8), SweepDue()]
    assert Macaw.told_handlers[Flush] is not Parrot.told_handlers[Flush]
    assert SweepDue not in Parrot.stamped_handlers
    assert parrot.tell(Flush(1, 7)) == [Sent(parrot.parent, Flush(1, 7))]


# ── the first message ───────────────────────────────────────────────────────────────────────


def test_what_comes_before_the_first_message_is_kept_and_handled_in_its_order() -> None:
    parrot = ActorHarness(Parrot, at_ns=AT_NS)
    early, late = parrot.address_of("early"), parrot.address_of("late")

    assert parrot.tell(Flush(1, 7), early) == []
    assert parrot.enter(FlushTick(1)) == []
    assert parrot.tell(Close(8), late) == []
    sent = parrot.tell(Configure(Settings(), parrot.ports))

    assert sent == [
        Sent(early, Flush(1, 7)),
        Sent(parrot.parent, Stamped(1, AT_NS, FlushTick(1))),
        Sent(late, Close(8)),
    ]


def test_the_sender_of_the_first_message_is_the_parent() -> None:
    parrot = ActorHarness(Parrot)
    boss = parrot.address_of("boss")

    parrot.tell(Configure(Settings(), parrot.ports), boss)

    assert parrot.actor.parent is boss


def test_an_early_message_that_cannot_be_digested_does_not_keep_the_next_one_back() -> None:
    parrot = ActorHarness(Parrot)
    parrot.tell(Flush(1, -1))
    parrot.tell(Flush(2, 7))

    ((_, failure),) = parrot.tell(Configure(Settings(), parrot.ports))
    (answer,) = parrot.tell(Restart())

    assert isinstance(failure, ChildFailed)
    assert answer == Sent(parrot.parent, Flush(2, 7))


def test_a_first_message_that_cannot_be_digested_is_reported_to_its_sender() -> None:
    parrot = ActorHarness(Parrot)

    ((target, failure),) = parrot.tell(Configure(Settings(node_id="broken"), parrot.ports))

    assert target is parrot.parent
    assert isinstance(failure, ChildFailed)
    assert (failure.letter.actor, failure.letter.message) == ("Parrot", "Configure")


def test_to_be_asked_to_exit_before_the_first_message_is_no_failure() -> None:
    parrot = ActorHarness(Parrot)

    assert parrot.tell(ActorExitRequest()) == []


# ── failures ────────────────────────────────────────────────────────────────────────────────


def test_a_handlers_failure_stays_inside_and_is_reported_to_the_parent() -> None:
    parrot = started()

    ((target, failure),) = parrot.tell(Flush(1, -1), parrot.address_of("someone"))

    assert target is parrot.parent
    assert isinstance(failure, ChildFailed)
    assert (failure.letter.actor, failure.letter.message, failure.letter.position) == (
        "Parrot",
        "Flush",
        0,
    )
    assert failure.letter.error == "ValueError('before 1970')"
    assert "in on_said" in failure.letter.traceback


def test_the_failure_of_an_input_says_which_one_it_was() -> None:
    parrot = started()
    parrot.enter(FlushTick(1))

    ((_, failure),) = parrot.enter(FlushTick(13))

    assert isinstance(failure, ChildFailed)
    assert (failure.letter.message, failure.letter.position) == ("FlushTick", 2)


def test_only_the_input_that_failed_is_lost() -> None:
    parrot = started()

    for flush in (Flush(1, 7), Flush(2, -1), Flush(3, 9)):
        parrot.tell(flush)

    assert parrot.tell(Flush(4, 7)) == [], "it stands still"
    assert parrot.tell(Restart()) == [
        Sent(parrot.parent, Flush(3, 9)),
        Sent(parrot.parent, Flush(4, 7)),
    ]
    assert parrot.actor.heard == [Flush(1, 7), Flush(2, -1), Flush(3, 9), Flush(4, 7)]


def test_a_lookup_that_fails_in_a_handler_is_not_taken_for_an_unknown_message() -> None:
    parrot = started()

    ((_, failure),) = parrot.enter(FlushTick(13))

    assert isinstance(failure, ChildFailed)
    assert failure.letter.error == "LookupError('unlucky')"


@pytest.mark.parametrize("message", ["hello", None, RoomEnded, SweepDue()])
def test_a_message_without_a_handler_is_reported_and_not_silently_lost(message: object) -> None:
    parrot = started()

    ((target, failure),) = parrot.tell(message)

    assert target is parrot.parent
    assert isinstance(failure, ChildFailed)
    assert failure.letter.message == type(message).__name__
    assert "UnknownMessageError('Parrot has no handler for it')" in failure.letter.error


def test_an_input_without_a_handler_is_reported_with_its_position() -> None:
    parrot = started()

    ((_, failure),) = parrot.enter(FlushStats())

    assert isinstance(failure, ChildFailed)
    assert (failure.letter.message, failure.letter.position) == ("FlushStats", 1)
    assert "UnknownMessageError" in failure.letter.error


def test_thespians_own_messages_are_no_unknown_messages() -> None:
    parrot = started()

    assert parrot.tell(ActorExitRequest()) == []


# ── ends ────────────────────────────────────────────────────────────────────────────────────


class Heavy(Parrot):
    """A parrot whose ear-witness is left to its heir."""

    inherited: ClassVar[tuple[str, ...]] = ("heard",)


def test_who_is_ended_by_somebody_else_leaves_its_state_and_what_it_holds_to_its_parent() -> None:
    parrot = started(Heavy)
    for flush in (Flush(1, 7), Flush(2, -1), Flush(3, 9)):
        parrot.tell(flush)
    parrot.take()

    left = parrot.tell(ActorExitRequest(), parrot.address_of("someone"))

    state = {"heard": [Flush(1, 7), Flush(2, -1)]}
    assert left == [Sent(parrot.parent, Estate("Heavy", 0, state, (Flush(3, 9),)))]


@pytest.mark.parametrize("sender", ["parent", "itself"])
def test_who_is_ended_by_its_parent_or_itself_leaves_nothing(sender: str) -> None:
    parrot = started(Heavy)

    assert not parrot.tell(
        ActorExitRequest(), parrot.parent if sender == "parent" else parrot.address
    )


def test_who_is_ended_before_it_began_gives_back_what_it_was_told() -> None:
    parrot = ActorHarness(Heavy)
    early = parrot.address_of("early")
    parrot.tell(Flush(1, 7), early)

    assert parrot.tell(ActorExitRequest(), parrot.address_of("someone")) == [
        Sent(early, Undelivered(Flush(1, 7)))
    ]


def test_who_could_not_begin_gives_back_its_first_message_too() -> None:
    parrot = ActorHarness(Heavy)
    configure = Configure(Settings(node_id="broken"), parrot.ports)
    parrot.tell(configure)
    parrot.tell(Flush(1, 7))

    sent = parrot.tell(ActorExitRequest(), parrot.address_of("someone"))

    assert Sent(parrot.parent, Undelivered(Flush(1, 7))) in sent


def test_an_heir_handles_first_what_the_one_before_did_not_then_what_it_was_told() -> None:
    parrot = ActorHarness(Heavy)
    parrot.tell(Flush(3, 9))
    configure = Configure(Settings(), parrot.ports)

    sent = parrot.tell(Inherit(configure, {"heard": [Flush(1, 7)]}, (Flush(2, 8),), AT_NS))

    assert parrot.actor.heard == [Flush(1, 7), Flush(2, 8), Flush(3, 9)]
    assert sent[0] == Sent(parrot.parent, HeirBegan("Heavy", 0))


# ── time ────────────────────────────────────────────────────────────────────────────────────


def test_a_wakeup_goes_through_the_door_and_comes_back_stamped() -> None:
    parrot = started()
    parrot.actor.wake_after(2.5, FlushTick(1))

    assert parrot.advance(2.4) == []
    assert parrot.advance(0.1) == [
        Sent(parrot.parent, Stamped(1, AT_NS + 2_500_000_000, FlushTick(1)))
    ]


def test_a_wakeup_that_cannot_pass_the_door_is_not_handled() -> None:
    parrot = started()
    parrot.door.is_full = True

    assert parrot.tell(WakeupMessage(1.0, FlushTick(1)), parrot.address) == []
    assert parrot.door.refused == [(parrot.address, FlushTick(1))]


def test_a_wait_that_is_already_over_ends_at_once() -> None:
    parrot = started()
    parrot.actor.wake_after(-3.0, FlushTick(1))

    assert parrot.advance(0) == [Sent(parrot.parent, Stamped(1, AT_NS, FlushTick(1)))]


def test_an_actor_ends_itself_after_the_messages_that_it_has() -> None:
    parrot = started()

    parrot.actor.exit()

    assert parrot.has_exited
    assert parrot.take() == []
