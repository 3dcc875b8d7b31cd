"""A frame is taken only as it was sealed, by whom it was sealed for, once, and in time."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thespian.actors import ActorAddress

from greenroom.runtime.secure.buffers import FrameBuffer
from greenroom.runtime.secure.frames import (
    HEADER_SIZE,
    TAG_SIZE,
    WINDOW_MS,
    FrameKey,
    Kind,
    now_ms,
)
from greenroom.runtime.secure.refusals import Reason, RefusedError
from greenroom.runtime.secure.wire import LOOPBACK, Wire, configure

from .probes import OTHER_SECRET, SECRET

KEY: Final = FrameKey(SECRET, lambda: 1_000_000)
HERE: Final = (LOOPBACK, 7900)
SENDER: Final = ActorAddress("somebody")


def opened(key: FrameKey, frame: bytes) -> bytes:
    """The body of a frame, after all checks that need no process."""
    header = key.open_header(frame[:HEADER_SIZE])
    body, tag = frame[HEADER_SIZE:-TAG_SIZE], frame[-TAG_SIZE:]
    key.check_body(header.nonce, body, tag)
    return body


@given(st.binary(max_size=300))
def test_what_was_sealed_is_opened(body: bytes) -> None:
    frame, nonce = KEY.seal_message(body, HERE)
    header = KEY.open_header(frame[:HEADER_SIZE])

    assert opened(KEY, frame) == body
    assert (header.nonce, header.target, header.frame_size) == (nonce, HERE, len(frame))


@given(st.binary(max_size=50), st.data())
def test_every_flipped_bit_is_noticed(body: bytes, data: st.DataObject) -> None:
    frame = bytearray(KEY.seal_message(body, HERE)[0])
    bit = data.draw(st.integers(0, 8 * len(frame) - 1))
    frame[bit // 8] ^= 1 << bit % 8

    with pytest.raises(RefusedError) as refused:
        opened(KEY, bytes(frame))

    assert refused.value.reason is Reason.UNAUTHENTIC


def test_another_secret_opens_nothing() -> None:
    frame, nonce = KEY.seal_message(b"body", HERE)
    other = FrameKey(OTHER_SECRET, lambda: 1_000_000)

    with pytest.raises(RefusedError):
        other.open_header(frame[:HEADER_SIZE])
    with pytest.raises(RefusedError):
        other.check_body(nonce, b"body", frame[-TAG_SIZE:])


def test_the_body_of_one_frame_does_not_go_with_the_header_of_another() -> None:
    first, nonce = KEY.seal_message(b"first", HERE)
    second, _ = KEY.seal_message(b"other", HERE)

    with pytest.raises(RefusedError):
        KEY.check_body(nonce, second[HEADER_SIZE:-TAG_SIZE], second[-TAG_SIZE:])
    assert opened(KEY, first) == b"first"


@pytest.mark.parametrize("off_ms", [-WINDOW_MS, 0, WINDOW_MS])
def test_a_frame_is_valid_within_the_time_window(off_ms: int) -> None:
    frame, _ = KEY.seal_message(b"", HERE)

    assert opened(FrameKey(SECRET, lambda: 1_000_000 + off_ms), frame) == b""


@pytest.mark.parametrize("off_ms", [-WINDOW_MS - 1, WINDOW_MS + 1])
def test_a_frame_is_not_valid_outside_the_time_window(off_ms: int) -> None:
    frame, _ = KEY.seal_message(b"", HERE)

    with pytest.raises(RefusedError) as refused:
        opened(FrameKey(SECRET, lambda: 1_000_000 + off_ms), frame)

    assert refused.value.reason is Reason.STALE


@pytest.fixture
def wire() -> Iterator[Wire]:
    """Of this process, which stands for one that listens at `HERE`."""
    wire = configure(SECRET, LOOPBACK)
    wire.listen(HERE, now_ms())
    yield wire
    wire.endpoints.clear()


def received(frame: bytes, answer_to: bytes | None = None) -> object:
    buffer = FrameBuffer()
    if answer_to is not None:
        buffer.expect_answer(answer_to)
    buffer.addMore(frame)
    completed = buffer.completed()
    assert completed is not None
    return completed[0]


def test_an_answer_counts_for_the_frame_that_it_answers_and_for_no_other(wire: Wire) -> None:
    answer = wire.key.seal_answer(Kind.TAKEN, b"n" * 16)

    assert received(answer, b"n" * 16) == "ACK"
    for another in (b"m" * 16, None):
        with pytest.raises(RefusedError) as refused:
            received(answer, another)
        assert refused.value.reason is Reason.UNEXPECTED_ANSWER


def test_a_message_may_cross_the_answer_that_a_connection_waits_for(wire: Wire) -> None:
    frame, _ = wire.key.seal_message(pickle.dumps((SENDER, b"message")), HERE)

    assert received(frame, b"n" * 16) == (SENDER, b"message")


def test_a_frame_comes_in_pieces_with_another_behind_it(wire: Wire) -> None:
    frame, _ = wire.key.seal_message(pickle.dumps((SENDER, b"message")), HERE)
    buffer = FrameBuffer()

    for at in range(len(frame)):
        assert buffer.completed() is None
        assert buffer.remainingAmount() > 0
        buffer.addMore(frame[at : at + 1])
    buffer.addMore(b"more")

    assert buffer.completed() == ((SENDER, b"message"), b"more")
    assert buffer.completed() == ((SENDER, b"message"), b"more")  # Thespian looks twice


def test_a_replayed_frame_is_refused_before_its_body_is_received(wire: Wire) -> None:
    frame, _ = wire.key.seal_message(pickle.dumps((SENDER, b"message")), HERE)
    received(frame)

    with pytest.raises(RefusedError) as refused:
        FrameBuffer().addMore(frame[:HEADER_SIZE])

    assert refused.value.reason is Reason.REPLAYED


def test_what_was_sealed_for_the_process_before_is_refused(wire: Wire) -> None:
    wire.listen(HERE, now_ms() + 1000)
    frame, _ = wire.key.seal_message(b"", HERE)

    with pytest.raises(RefusedError) as refused:
        FrameBuffer().addMore(frame)

    assert refused.value.reason is Reason.STALE


@pytest.mark.parametrize("content", [b"bytes", (SENDER,), (b"sender", b"message"), [SENDER, 1]])
def test_what_is_no_sender_with_a_message_is_malformed(wire: Wire, content: object) -> None:
    frame, _ = wire.key.seal_message(pickle.dumps(content), HERE)

    with pytest.raises(RefusedError) as refused:
        received(frame)

    assert refused.value.reason is Reason.MALFORMED


def test_what_is_no_pickle_is_malformed(wire: Wire) -> None:
    frame, _ = wire.key.seal_message(b"no pickle", HERE)

    with pytest.raises(RefusedError) as refused:
        received(frame)

    assert refused.value.reason is Reason.MALFORMED


def test_each_refusal_is_counted_once(wire: Wire) -> None:
    before = wire.refusals.counts().get("unauthentic", 0)
    buffer = FrameBuffer()

    with pytest.raises(RefusedError):
        buffer.addMore(bytes(HEADER_SIZE))

    assert wire.refusals.counts()["unauthentic"] == before + 1
    assert not buffer.cut_off
