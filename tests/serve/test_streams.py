from __future__ import annotations

import random
from collections import deque
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.node.messages import Forward, Forwarded
from greenroom.node.streams import RESEND_SECONDS, WINDOW, Inflow, Outflow, Part

PARTS = 40
SECONDS = 200


class Line:
    """A sender and a receiver that may be started again, and a line that loses and repeats."""

    def __init__(self, seed: int, loss: float) -> None:
        self.random = random.Random(seed)
        self.loss = loss
        self.there: deque[Forward] = deque()
        self.back: deque[Forwarded] = deque()
        names = count()
        self.outflow = Outflow(self.post, lambda: str(next(names)).encode())
        self.done: list[int] = []
        self.begin()

    def begin(self) -> None:
        """The receiver begins anew, and remembers nothing."""
        self.inflow = Inflow()
        self.taken: list[int] = []  # in this life
        self.working: list[Forward] = []

    def post(self, forward: Forward) -> None:
        """From the sender."""
        for _ in range(self.copies()):
            self.there.append(forward)

    def copies(self) -> int:
        """How often something arrives."""
        return 0 if self.random.random() < self.loss else self.random.choice((1, 1, 2))

    def part(self, number: int) -> Part:
        """One to send."""
        return Part(b"", b"", number, b"", lambda: self.done.append(number))

    def step(self, now: float) -> None:
        """Some of what is on its way arrives, and some of what was taken takes effect."""
        for _ in range(self.random.randrange(4 * WINDOW)):
            if self.there:
                self.receive(self.there.popleft())
            if self.working:
                each = self.working.pop(self.random.randrange(len(self.working)))
                self.inflow.done(each.stream, each.number)
                self.say(each.stream)
            if self.back:
                said = self.back.popleft()
                self.outflow.acked(said.stream, said.number, now)

    def receive(self, forward: Forward) -> None:
        """As the gateway does."""
        if self.inflow.admits(forward.stream, forward.number):
            self.taken.append(forward.sequence)
            self.working.append(forward)
        else:
            self.say(forward.stream)

    def say(self, stream: bytes) -> None:
        """Acknowledge."""
        self.back.extend([Forwarded(stream, self.inflow.done_of(stream))] * self.copies())


@settings(max_examples=60)
@given(st.integers(), st.floats(0, 0.4), st.sets(st.integers(1, 60), max_size=3))
def test_each_part_is_taken_once_in_order_in_each_life_and_none_is_left(
    seed: int, loss: float, restarts: set[int]
) -> None:
    line = Line(seed, loss)
    for number in range(PARTS):
        line.outflow.add(line.part(number), 0.0)

    for now in range(1, SECONDS):
        if now in restarts:
            line.begin()
            line.there.clear()
            line.outflow.begin_anew(float(now))
        line.outflow.resend(float(now))
        line.step(float(now))
        first = PARTS if not line.taken else line.taken[0]
        assert line.taken == [*range(first, first + len(line.taken))]
        if not len(line.outflow):
            break

    assert line.done == [*range(PARTS)]
    assert len(line.outflow) == 0


def test_no_more_parts_are_on_their_way_than_the_window_allows() -> None:
    line = Line(0, 0.0)
    for number in range(PARTS):
        line.outflow.add(line.part(number), 0.0)

    assert len({each.number for each in line.there}) == WINDOW
    assert len(line.outflow) == PARTS


def test_a_part_is_acknowledged_when_all_before_it_took_effect_too() -> None:
    inflow = Inflow()
    assert all(inflow.admits(b"s", number) for number in (1, 2, 3))

    inflow.done(b"s", 2)
    assert inflow.done_of(b"s") == 0
    inflow.done(b"s", 1)
    assert inflow.done_of(b"s") == 2


def test_an_acknowledgement_of_nothing_new_does_not_put_off_sending_again() -> None:
    line = Line(0, 0.0)
    line.outflow.add(line.part(0), 0.0)
    stream = line.there[0].stream
    line.there.clear()

    line.outflow.acked(stream, 0, RESEND_SECONDS)
    line.outflow.resend(RESEND_SECONDS)

    assert line.there


def test_parts_of_a_shard_that_is_gone_come_back_in_their_order() -> None:
    line = Line(0, 0.0)
    for number in range(PARTS):
        line.outflow.add(line.part(number), 0.0)

    assert [part.sequence for part in line.outflow.take_back()] == [*range(PARTS)]
    assert len(line.outflow) == 0
