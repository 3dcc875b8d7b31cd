from __future__ import annotations

from greenroom.messages.calls import FlushStats
from greenroom.messages.control import Stamped
from greenroom.runtime.clock import VirtualClock
from greenroom.runtime.door import Door, Mark


def door(inputs_per_turn: int = 2) -> Door:
    return Door(
        VirtualClock(1), inputs_per_turn=inputs_per_turn, on_drop=lambda reason, body: None
    )


def admitted(door: Door) -> list[object]:
    """All that is admitted: a position for each input, the message of each turn."""
    found: list[object] = []
    while (next_one := door.admit()) is not None:
        message = next_one[1]
        found.append(message.position if isinstance(message, Stamped) else message)
    return found


def test_a_turn_is_given_at_once_when_no_input_waits_and_bears_no_stamp() -> None:
    turns = door()

    turns.take_turn("worker", "my turn")

    assert not turns.is_empty
    assert turns.admit() == ("worker", "my turn")
    assert turns.is_empty
    assert turns.statistics().admitted == 0


def test_waiting_inputs_go_first_but_no_more_than_so_many() -> None:
    turns = door(inputs_per_turn=2)
    for _ in range(5):
        turns.enter("supervisor", FlushStats())
    turns.take_turn("worker", "first")
    turns.take_turn("worker", "second")

    assert admitted(turns) == [1, 2, "first", 3, 4, "second", 5]


def test_a_mark_is_reached_when_the_turns_before_it_are_done() -> None:
    turns = door()
    mark = Mark()
    turns.take_turn("worker", "my turn")
    turns.enter("supervisor", FlushStats())
    turns.mark(mark)

    assert [turns.admit() for _ in range(2)] == [
        ("supervisor", Stamped(1, 1, FlushStats())),
        ("worker", "my turn"),
    ]
    assert not mark.wait(0), "what the turn causes is not done before the next is asked for"
    assert turns.admit() is None
    assert mark.wait(0)
    assert turns.is_empty


def test_inputs_behind_such_a_mark_do_not_wait_for_it() -> None:
    turns = door(inputs_per_turn=10)
    mark = Mark()
    turns.mark(mark)
    turns.enter("supervisor", FlushStats())
    turns.take_turn("worker", "my turn")

    assert admitted(turns) == [1, "my turn"]
    assert mark.wait(0)


def test_at_the_end_turns_are_dropped_and_marks_reached() -> None:
    turns = door()
    mark = Mark()
    turns.enter("supervisor", FlushStats())
    turns.mark(mark)
    turns.take_turn("worker", "my turn")

    turns.finish()

    assert mark.wait(0)
    assert turns.is_empty
    assert turns.statistics().waiting == 0
