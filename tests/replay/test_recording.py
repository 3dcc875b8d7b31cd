from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from livekit.protocol.models import Room

from greenroom.errors import RecordingError
from greenroom.replay.recording import LINE_BYTES_MAX, RecordedCall, Recording
from greenroom.replay.start import find_start

STARTED = '{"at":1.5,"call":"room_started","args":{"room":{"sid":"RM_1","name":"a"}}}'
ENDED = '{"at":2,"call":"room_ended","args":{"room":{"sid":"RM_1","name":"a"}}}'


def write(folder: Path, *lines: str | bytes, name: str = "calls.jsonl") -> Path:
    path = folder / name
    path.write_bytes(b"".join(x.encode() if isinstance(x, str) else x for x in lines))
    return path


def read(path: Path) -> list[RecordedCall]:
    with Recording(path) as recording:
        return list(recording)


def test_each_line_is_a_call_with_its_place_and_time(tmp_path: Path) -> None:
    path = write(tmp_path, STARTED, "\n", ENDED, "\n")

    started, ended = read(path)

    assert started == RecordedCall(
        f"{path}:1", 1_500_000_000, "room_started", {"room": Room(sid="RM_1", name="a")}
    )
    assert (ended.where, ended.at_ns) == (f"{path}:2", 2_000_000_000)


def test_gzip_is_recognised_whatever_the_name(tmp_path: Path) -> None:
    plain = f"{STARTED}\n{ENDED}\n".encode()

    path = write(tmp_path, gzip.compress(plain), name="calls.txt")

    assert len(read(path)) == 2


def test_blank_lines_count_but_say_nothing_and_the_last_line_may_be_open(tmp_path: Path) -> None:
    path = write(tmp_path, "\n", STARTED, "\n \n", ENDED)

    assert [call.where for call in read(path)] == [f"{path}:2", f"{path}:4"]


def test_what_was_read_of_the_file_reaches_its_size(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(f"{STARTED}\n{ENDED}\n".encode()))

    with Recording(path) as recording:
        assert recording.read_bytes < path.stat().st_size
        list(recording)

        assert recording.read_bytes == recording.size_bytes == path.stat().st_size


def test_a_pipe_can_be_read_though_its_size_is_not_known(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(f"{STARTED}\n{ENDED}\n",))
    writer.start()

    with Recording(pipe) as recording:
        calls = list(recording)
        size = recording.size_bytes
    writer.join()

    assert len(calls) == 2
    assert size is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON: "),
        ("[" * 100_000, "nested too deeply"),
        ("\xff".encode("latin1"), "not UTF-8 text (byte 1)"),
        ("[]", "expected an object with at, call and args, got a list"),
        ("null", "got null"),
        ('{"call":"flush_stats","args":{}}', "at: missing"),
        ('{"at":1,"args":{}}', "call: missing"),
        ('{"at":1,"call":"flush_stats"}', "args: missing"),
        ('{"at":1,"call":"flush_stats","args":{},"x":1}', "unknown key x"),
        ('{"at":"1","call":"flush_stats","args":{}}', "at: expected seconds as a number"),
        ('{"at":true,"call":"flush_stats","args":{}}', "at: expected seconds as a number"),
        ('{"at":NaN,"call":"flush_stats","args":{}}', "NaN is no JSON number"),
        ('{"at":1e999,"call":"flush_stats","args":{}}', "at: expected 0 to"),
        ('{"at":-1,"call":"flush_stats","args":{}}', "at: expected 0 to"),
        (f'{{"at":1{"0" * 400},"call":"flush_stats","args":{{}}}}', "at: expected 0 to"),
        ('{"at":1795473545,"call":"flush_stats","args":{}}', "seconds since the start"),
        ('{"at":1,"call":7,"args":{}}', "call: expected a method's name, got a number"),
        ('{"at":1,"call":"__init__","args":{}}', "no call is named '__init__'"),
        ('{"at":1,"call":"flush_stats","args":[]}', "args: expected an object, got a list"),
        ('{"at":1,"call":"room_started","args":{}}', "room_started without room"),
        ('{"at":1,"call":"room_started","args":{"room":{"x":1}}}', 'no field named "x"'),
    ],
)
def test_a_bad_line_is_named_with_file_line_and_reason_after_the_good_ones(
    tmp_path: Path, line: str | bytes, reason: str
) -> None:
    path = write(tmp_path, STARTED.replace("1.5", "0.5"), "\n", line, "\n", ENDED, "\n")
    with Recording(path) as recording:
        calls = iter(recording)
        assert next(calls).name == "room_started"
        with pytest.raises(RecordingError) as caught:
            next(calls)

    assert caught.value.where == f"{path}:2"
    assert reason in caught.value.reason
    assert len(caught.value.reason) < 400


def test_a_call_never_goes_back_in_time(tmp_path: Path) -> None:
    path = write(tmp_path, ENDED, "\n", STARTED, "\n")

    with pytest.raises(RecordingError, match=r"calls\.jsonl:2: at: 1\.5 s comes after 2 s"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"\n\n"])
def test_a_file_without_calls_is_no_recording(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(RecordingError, match="holds no calls"):
        read(write(tmp_path, content))


def test_a_cut_off_gzip_stream_is_named_with_the_line_it_ends_in(tmp_path: Path) -> None:
    lines = "".join(STARTED.replace("RM_1", os.urandom(300).hex()) + "\n" for _ in range(2_000))
    path = write(tmp_path, gzip.compress(lines.encode())[:-200_000])

    with pytest.raises(RecordingError, match=r"calls\.jsonl:\d+: cannot be read"):
        read(path)


def test_a_line_without_an_end_is_not_read_into_memory(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(b" " * (LINE_BYTES_MAX + 1)))

    with pytest.raises(RecordingError, match="longer than"):
        read(path)


def call_at(at_seconds: float, name: str, **args: object) -> RecordedCall:
    return RecordedCall("f:1", round(at_seconds * 1e9), name, args)


def test_the_start_follows_from_the_first_room_that_was_made() -> None:
    calls = [
        call_at(1, "flush_stats"),
        call_at(2.5, "room_started", room=Room(creation_time=100, creation_time_ms=100_250)),
        call_at(3, "room_started", room=Room(creation_time_ms=999_000)),
    ]

    start_ns, again = find_start(iter(calls))

    assert start_ns == 97_750_000_000
    assert list(again) == calls


def test_without_a_time_in_it_a_recording_has_no_known_start() -> None:
    calls = [call_at(1, "room_started", room=Room(name="a")), call_at(2, "flush_stats")]

    start_ns, again = find_start(iter(calls))

    assert start_ns is None
    assert list(again) == calls


def test_a_bad_line_met_while_looking_for_the_start_is_raised_in_its_place() -> None:
    def calls() -> Iterator[RecordedCall]:
        yield call_at(1, "flush_stats")
        raise RecordingError("f:2", "bad")

    _, again = find_start(calls())

    assert next(again).name == "flush_stats"
    with pytest.raises(RecordingError, match="f:2: bad"):
        next(again)
