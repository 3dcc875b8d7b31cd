from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import fields
from decimal import Decimal
from pathlib import Path

import pytest
from google.protobuf.json_format import Error, MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol.analytics import AnalyticsEvent, AnalyticsStat
from livekit.protocol.egress import EgressInfo
from livekit.protocol.models import ParticipantInfo, TrackSource

from greenroom.adapters.database import open_beside, open_owned
from greenroom.adapters.journal_copy import copy_journal
from greenroom.adapters.journal_rows import insert
from greenroom.core.times import NS_PER_SECOND
from greenroom.errors import ConfigError
from greenroom.messages.calls import (
    CALLS,
    Call,
    EgressStarted,
    FlushStats,
    NotifyEgressEvent,
    RoomEnded,
    RoomStarted,
    SendEvent,
    TrackStats,
    TrackStatsBatch,
)
from greenroom.messages.control import Input, Started
from greenroom.messages.ids import ParticipantID, StatsKey, TrackID
from greenroom.replay.journal import OTHER_ROOMS, JournalExport, ShardJournal, room_of
from greenroom.replay.recording import AT_SECONDS_MAX, RecordedCall, Recording
from greenroom.replay.run import ReplayOptions, replay
from greenroom.testing.fakes import RecordingTelemetry
from greenroom.testing.journals import Row, with_ticks, write_journal
from greenroom.testing.samples import ROOM_ID, ROOM_NAME, key, room
from greenroom.testing.strategies import calls, messages

BEGIN_NS = 1_700_000_000 * NS_PER_SECOND + 123_456_789
PUBLIC = Path(__file__).parent.parent / "data" / "call" / "calls.jsonl.gz"
PUBLIC_START_NS = 1_795_473_543_636_366_600


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("journal")


@pytest.fixture(scope="module")
def database(folder: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_owned(folder)) as connection:
        yield connection


def exported(
    database: sqlite3.Connection, rows: Sequence[Row], path: Path, *, after: int = 0
) -> tuple[JournalExport, list[str]]:
    """What the journal of these rows becomes, and what is said about it."""
    database.execute("DELETE FROM journal")
    first = 1
    for at_ns, inputs in rows:
        insert(database, first, at_ns, inputs)
        first += len(inputs)
    problems: list[str] = []
    export = JournalExport([ShardJournal("", database, after)], on_problem=problems.append)
    path.write_text("".join(export.lines()))
    return export, problems


def made(path: Path) -> tuple[list[int], list[Call]]:
    """When the calls of a recording are made, and what a host's telemetry makes of them."""
    telemetry, times = RecordingTelemetry(), []
    with Recording(path) as recording:
        for call in recording:
            times.append(call.at_ns)
            getattr(telemetry, call.name)(**call.args)
    return times, telemetry.calls


def has_json(call: Call) -> bool:
    """Protojson has no form for times after the year 9999."""
    values = [getattr(call, field.name) for field in fields(call)]
    if isinstance(call, TrackStats):
        values.append(AnalyticsStat.FromString(call.stat))
    try:
        for value in values:
            for one in value if isinstance(value, tuple) else [value]:
                if isinstance(one, Message):
                    MessageToDict(one)
    except Error:
        return False
    return True


def parts(call: Call) -> dict[str, object]:
    """Field by field; a statistic as the message that it is."""
    found = {field.name: getattr(call, field.name) for field in fields(call)}
    if isinstance(call, TrackStats):
        found["stat"] = AnalyticsStat.FromString(call.stat)
    return found


BATCHES = messages(TrackStatsBatch).filter(lambda batch: bool(batch.calls))
ANY_INPUT: st.SearchStrategy[Input] = calls() | BATCHES | messages(Started)
GAPS_NS = st.integers(0, 10**14) | st.integers(0, 2)


@given(rows=st.lists(st.tuples(GAPS_NS, st.lists(ANY_INPUT, min_size=1, max_size=3)), max_size=6))
def test_whatever_calls_a_journal_has_are_read_back_from_the_recording_with_their_times(
    database: sqlite3.Connection, folder: Path, rows: list[tuple[int, list[Input]]]
) -> None:
    at_ns, stamped, expected, lost = BEGIN_NS, list[Row](), list[tuple[int, Call]](), 0
    for gap_ns, inputs in rows:
        at_ns += gap_ns
        stamped.append((at_ns, inputs))
        for one in inputs:
            for call in one.calls if isinstance(one, TrackStatsBatch) else [one]:
                if isinstance(call, CALLS):
                    expected += [(at_ns, call)] if has_json(call) else []
                    lost += not has_json(call)

    export, problems = exported(database, stamped, folder / "calls.jsonl")

    assert len(problems) == lost
    if expected:
        times, found = made(folder / "calls.jsonl")
        assert [(type(call), parts(call)) for call in found] == [
            (type(call), parts(call)) for _, call in expected
        ]
        assert [export.plan.start_ns + time for time in times] == [time for time, _ in expected]


def test_an_enum_without_a_name_keeps_its_number(
    database: sqlite3.Connection, folder: Path
) -> None:
    strange = StatsKey("", 7, ParticipantID("PA_1"), TrackID("TR_1"), 99, TrackSource.CAMERA, True)

    exported(database, [(1, [TrackStats(ROOM_ID, ROOM_NAME, strange, b"")])], folder / "one.jsonl")

    assert [call.key for call in made(folder / "one.jsonl")[1]] == [strange]  # type: ignore[union-attr]


def test_what_cannot_be_written_is_named_with_its_position_and_the_rest_is_written(
    database: sqlite3.Connection, folder: Path
) -> None:
    late = RoomStarted(room())
    broken = TrackStats(ROOM_ID, ROOM_NAME, key(), b"\xff")
    never = SendEvent(AnalyticsEvent(timestamp=Timestamp(seconds=10**15)))

    rows: list[Row] = [(5, [late, broken, never]), (6, [FlushStats()])]

    _, problems = exported(database, rows, folder / "some.jsonl")

    assert problems[0] == "position 2: track_stats has no line: stat: no AnalyticsStat"
    assert problems[1].startswith("position 3: send_event has no line: event: ")
    assert made(folder / "some.jsonl")[1] == [late, FlushStats()]


def test_only_positions_after_the_given_one_are_written_even_within_a_row(
    database: sqlite3.Connection, folder: Path
) -> None:
    rows: list[Row] = [(1, [RoomStarted(room()), FlushStats()]), (2, [RoomEnded(room())])]

    exported(database, rows, folder / "late.jsonl", after=1)

    assert made(folder / "late.jsonl")[1] == [FlushStats(), RoomEnded(room())]


def test_of_one_room_there_are_its_calls_and_the_flushes_that_all_have(
    database: sqlite3.Connection,
) -> None:
    other = room()
    other.name = "attic"
    rows: list[Row] = [(1, [RoomStarted(room()), RoomStarted(other), FlushStats(), Started(1)])]
    exported(database, rows, Path("/dev/null"))

    export = JournalExport([ShardJournal("", database)], room="attic")
    list(export.lines())

    assert export.exported.calls == {"room_started": 1, "flush_stats": 1}
    assert export.exported.left_out == {OTHER_ROOMS: 1, "Started": 1}


@pytest.mark.parametrize(
    "call",
    [
        RoomStarted(room()),
        TrackStats(ROOM_ID, ROOM_NAME, key(), b""),
        EgressStarted(EgressInfo(room_name=ROOM_NAME)),
        NotifyEgressEvent("egress_started", EgressInfo(room_name=ROOM_NAME)),
        SendEvent(AnalyticsEvent(room=room(), participant=ParticipantInfo(sid="PA_1"))),
    ],
    ids=lambda call: type(call).__name__,
)
def test_the_room_that_a_call_is_about_is_found(call: Call) -> None:
    assert room_of(call) == ROOM_NAME


def test_what_is_about_no_room_has_none() -> None:
    assert [room_of(FlushStats()), room_of(NotifyEgressEvent("any", None))] == ["", ""]


def test_a_journal_that_is_longer_than_a_recording_may_be_is_refused(
    database: sqlite3.Connection, folder: Path
) -> None:
    rows = [(1, [FlushStats()]), (AT_SECONDS_MAX * NS_PER_SECOND + 2, [FlushStats()])]

    with pytest.raises(ConfigError, match=r"--since: .* export a part"):
        exported(database, rows, folder / "long.jsonl")


def test_a_copy_stays_what_it_is_while_the_journal_goes_on(tmp_path: Path) -> None:
    write_journal(tmp_path, [(at_ns, [FlushStats()]) for at_ns in (10, 20, 30, 40)])
    with closing(open_beside(tmp_path)) as connection, closing(open_owned(tmp_path)) as writer:
        rows = copy_journal(connection, after=1, since_ns=20, until_ns=40)
        writer.execute("DELETE FROM journal")

        export = JournalExport([ShardJournal("", connection)])
        assert rows == len(list(export.lines())) == 2


# ── a recorded call ─────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def recorded() -> list[RecordedCall]:
    with Recording(PUBLIC) as recording:
        return list(recording)


def rows_of(recorded: Sequence[RecordedCall]) -> Iterator[Row]:
    telemetry = RecordingTelemetry()
    for call in recorded:
        getattr(telemetry, call.name)(**call.args)
        yield PUBLIC_START_NS + call.at_ns, [telemetry.calls.pop()]


def played(path: Path, out: Path) -> tuple[str, list[str]]:
    """The metrics, and the analytics without the order of what is a map."""
    replay(
        ReplayOptions(
            path=path,
            start_unix=Decimal(PUBLIC_START_NS) / NS_PER_SECOND,
            analytics_out=out / "analytics.jsonl",
            metrics_out=out / "metrics.txt",
        )
    )
    lines = (out / "analytics.jsonl").read_text().splitlines()
    return (out / "metrics.txt").read_text(), [
        json.dumps(json.loads(line), sort_keys=True) for line in lines
    ]


@pytest.mark.parametrize("batch", [False, True], ids=["one by one", "in batches"])
def test_the_journal_of_a_call_replays_to_the_same_analytics_and_metrics(
    recorded: list[RecordedCall], tmp_path: Path, *, batch: bool
) -> None:
    rows = list(with_ticks(rows_of(recorded), PUBLIC_START_NS))
    if batch:
        rows = [
            (at_ns, [TrackStatsBatch((one,)) if isinstance(one, TrackStats) else one])
            for at_ns, (one,) in rows
        ]
    write_journal(tmp_path / "data", rows)
    with closing(open_beside(tmp_path / "data")) as connection:
        export = JournalExport([ShardJournal("", connection)])
        (tmp_path / "calls.jsonl").write_text("".join(export.lines()))

    assert export.plan.start_ns == PUBLIC_START_NS
    assert (export.exported.moved, export.plan.different) == (0, 0)
    assert export.exported.left_out == {"FlushTick": 8}
    assert played(tmp_path / "calls.jsonl", tmp_path) == played(PUBLIC, tmp_path)


def test_the_journals_of_shards_are_one_recording_in_the_order_of_time(
    recorded: list[RecordedCall], tmp_path: Path
) -> None:
    rows = list(rows_of(recorded))
    connections = []
    for number in (0, 1):
        own = [row for row in rows if (room_of(row[1][0]) == "garden") == (number == 0)]
        write_journal(tmp_path / str(number), with_ticks(own, PUBLIC_START_NS))
        connections.append(open_beside(tmp_path / str(number)))

    shards = [ShardJournal(str(number), one) for number, one in enumerate(connections)]
    export = JournalExport(shards)
    (tmp_path / "calls.jsonl").write_text("".join(export.lines()))
    for connection in connections:
        connection.close()

    assert played(tmp_path / "calls.jsonl", tmp_path) == played(PUBLIC, tmp_path)
