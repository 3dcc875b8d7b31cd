from __future__ import annotations

import logging
from typing import Final

import pytest

from greenroom.adapters.reporter import LoggingReporter
from greenroom.messages.control import DeadLetter
from greenroom.runtime.clock import VirtualClock

SECOND: Final = 1_000_000_000
FAILURE: Final = DeadLetter(
    actor="StatsWorker",
    key="",
    message="TrackStat",
    position=7,
    at_ns=0,
    error="ValueError('x')",
    traceback="Traceback …",
    body=b"",
)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(1_700_000_000 * SECOND)


@pytest.fixture
def reporter(clock: VirtualClock) -> LoggingReporter:
    return LoggingReporter(clock, every_seconds=60.0)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_failure_is_one_line_with_its_traceback_on_the_logger_of_greenroom(
    reporter: LoggingReporter, caplog: pytest.LogCaptureFixture
) -> None:
    reporter.input_failed(FAILURE)

    (record,) = caplog.records
    assert (record.name, record.levelno) == ("greenroom", logging.ERROR)
    assert record.getMessage() == (
        "StatsWorker dropped a TrackStat (input 7): ValueError('x')\nTraceback …"
    )


def test_a_kind_of_failure_is_logged_once_a_minute_and_the_next_line_counts_the_others(
    reporter: LoggingReporter, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(61):
        reporter.dropped("door_full", "TrackStats")
        clock.set_ns(clock.now_ns() + SECOND)

    assert lines(caplog) == [
        "dropped a TrackStats: door_full",
        "dropped a TrackStats: door_full (and 59 more like it since the last line)",
    ]


def test_one_kind_does_not_hide_another(
    reporter: LoggingReporter, caplog: pytest.LogCaptureFixture
) -> None:
    reporter.dropped("door_full", "TrackStats")
    reporter.dropped("analytics_full", "event")
    reporter.analytics_failed("send_event", OSError("no route"))
    reporter.analytics_failed("send_stats", OSError("no route"))
    reporter.input_failed(FAILURE)

    assert len(caplog.records) == 5


def test_what_the_hosts_analytics_raised_is_logged_with_its_traceback(
    reporter: LoggingReporter, caplog: pytest.LogCaptureFixture
) -> None:
    try:
        raise OSError("no route")
    except OSError as error:
        reporter.analytics_failed("send_event", error)

    (record,) = caplog.records
    assert record.getMessage().startswith("AnalyticsService.send_event raised")
    assert record.exc_info is not None
    assert "no route" in caplog.text


def test_a_percent_sign_in_what_is_logged_is_only_text(
    reporter: LoggingReporter, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    reporter.dropped("100%s", "%d")
    reporter.dropped("100%s", "%d")
    clock.set_ns(clock.now_ns() + 60 * SECOND)
    reporter.dropped("100%s", "%d")

    assert lines(caplog)[0] == "dropped a %d: 100%s"
    assert "and 1 more" in lines(caplog)[1]
