from __future__ import annotations

import pytest
from livekit.protocol.analytics import AnalyticsEvent, AnalyticsStat
from livekit.protocol.models import Room

from greenroom.conformance.compare import ABSENT, Difference, diff, diff_messages, parsed
from greenroom.errors import RecordingError


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        ({"a": [1, {"b": "x"}]}, {"a": [1, {"b": "x"}]}),
        ({"a": 1}, {"a": 1.0}),
        ([], ()),
        (None, None),
    ],
)
def test_equal_data_has_no_difference(expected: object, got: object) -> None:
    assert diff(expected, got) == ()


@pytest.mark.parametrize(
    ("expected", "got", "difference"),
    [
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, Difference("x.a[0].b", 1, 2)),
        ({"a": 1}, {}, Difference("x.a", 1, ABSENT)),
        ({}, {"a": 1}, Difference("x.a", ABSENT, 1)),
        ([1, 2], [1], Difference("x[1]", 2, ABSENT)),
        ({"a": 1}, {"a": True}, Difference("x.a", 1, True)),
        ({"a": None}, {"a": []}, Difference("x.a", None, [])),
        ("ab", ["a", "b"], Difference("x", "ab", ["a", "b"])),
    ],
)
def test_a_difference_says_where(expected: object, got: object, difference: Difference) -> None:
    assert diff(expected, got, "x") == (difference,)


def test_the_difference_of_messages_names_the_field() -> None:
    found = diff_messages(
        [AnalyticsEvent(room=Room(name="a"))], [AnalyticsEvent(room=Room(name="b"))], "events"
    )

    assert list(map(str, found)) == ["events[0].room.name: expected 'a', got 'b'"]


def test_a_message_that_is_present_but_empty_is_not_one_that_is_absent() -> None:
    found = diff_messages([AnalyticsEvent(room=Room())], [AnalyticsEvent()], "events")

    assert list(map(str, found)) == ["events[0].room: expected {}, got nothing"]


def test_floats_are_compared_in_the_width_of_the_field() -> None:
    recorded = parsed(AnalyticsStat, {"score": 4.2, "min_score": "NaN"}, "file:1")

    assert diff_messages([recorded], [AnalyticsStat(score=4.2, min_score=float("nan"))], "") == ()
    assert diff_messages([recorded], [AnalyticsStat(score=4.2)], "") != ()


def test_a_long_value_is_shown_in_part() -> None:
    shown = str(Difference("x", "a" * 1000, "b"))

    assert len(shown) < 400
    assert "1002 characters" in shown


@pytest.mark.parametrize("value", [{"no_such_field": 1}, {"score": "high"}, None, 7])
def test_what_is_no_message_is_refused_with_file_and_line(value: object) -> None:
    with pytest.raises(RecordingError, match="AnalyticsStat") as raised:
        parsed(AnalyticsStat, value, "file:1 stat")

    assert raised.value.where == "file:1 stat"
