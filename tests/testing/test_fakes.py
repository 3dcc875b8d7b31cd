from __future__ import annotations

import pytest

from greenroom.core.attempt import Attempt
from greenroom.core.ports import AnalyticsService, Door, Poster, Reporter
from greenroom.messages.calls import FlushStats
from greenroom.messages.outputs import AttemptEnded
from greenroom.testing.fakes import (
    DELIVERED,
    REFUSED,
    FakeDoor,
    FakePoster,
    Outcome,
    RecordingAnalytics,
    RecordingReporter,
    recording_notifier,
)


def attempt(delivery_id: int, number: int = 1) -> Attempt:
    return Attempt(delivery_id, number, "https://a.example", (), b"{}", 5.0, 15.0)


def statuses(door: FakeDoor) -> list[int | None]:
    found = []
    for body in door.take():
        assert isinstance(body, AttemptEnded)
        found.append(body.status)
    return found


def test_the_fakes_are_what_the_ports_ask_for() -> None:
    door: Door = FakeDoor()
    poster: Poster = FakePoster(door)
    reporter: Reporter = RecordingReporter()
    analytics: AnalyticsService = RecordingAnalytics()

    assert analytics.room_project_reporter() is None
    assert None not in (poster, reporter)


def test_a_door_keeps_what_enters_until_it_is_taken() -> None:
    door = FakeDoor()

    assert door.enter("supervisor", FlushStats())
    assert door.entered == [("supervisor", FlushStats())]
    assert door.take() == [FlushStats()]
    assert door.take() == []


def test_a_full_door_keeps_what_it_refuses_apart() -> None:
    door = FakeDoor(is_full=True)

    assert not door.enter("supervisor", FlushStats())
    assert door.refused == [("supervisor", FlushStats())]
    assert door.entered == []


def test_attempts_end_as_the_script_says_and_then_are_delivered() -> None:
    door = FakeDoor()
    poster = FakePoster(door, [Outcome(status=503), REFUSED])

    for number in (1, 2, 3):
        poster.post(attempt(7, number), "notifier")

    assert [(target, type(body)) for target, body in door.entered] == [
        ("notifier", AttemptEnded)
    ] * 3
    assert statuses(door) == [503, None, DELIVERED.status]
    assert [each.number for each in poster.attempts] == [1, 2, 3]


def test_an_outcome_belongs_to_its_attempt() -> None:
    door = FakeDoor()

    FakePoster(door, [REFUSED]).post(attempt(7, 2), "notifier")

    (ended,) = door.take()
    assert isinstance(ended, AttemptEnded)
    assert (ended.delivery_id, ended.attempt, ended.error) == (7, 2, "connection refused")


def test_a_poster_that_holds_keeps_attempts_in_flight_until_they_are_finished() -> None:
    door = FakeDoor()
    poster = FakePoster(door, holds=True)

    poster.post(attempt(1), "notifier")
    poster.post(attempt(2), "notifier")
    assert door.entered == []
    assert poster.finish(Outcome(status=410)) == attempt(1)
    assert poster.finish() == attempt(2)

    assert statuses(door) == [410, 200]
    with pytest.raises(IndexError):
        poster.finish()


def test_each_recording_notifier_has_a_log_of_its_own() -> None:
    first, second = recording_notifier([]), recording_notifier([])

    assert first is not second
    assert first.told_handlers == second.told_handlers
    assert first.__name__ == "RecordingNotifier"
