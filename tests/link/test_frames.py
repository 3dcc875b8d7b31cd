from __future__ import annotations

import contextlib
from itertools import pairwise

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.errors import LinkError
from greenroom.link import frames as kinds
from greenroom.link.frames import PREAMBLE, Frame, FrameReader, to_bytes

NUMBERS = st.integers(0, 2**63 - 1)
BYTES = st.binary(max_size=64)
TEXTS = st.text(max_size=20)
FRAMES: st.SearchStrategy[Frame] = st.one_of(
    st.builds(kinds.Hello, TEXTS, NUMBERS, BYTES, st.booleans()),
    st.builds(kinds.Join, BYTES, BYTES, BYTES, TEXTS),
    st.builds(kinds.Welcome, BYTES, NUMBERS, NUMBERS),
    st.builds(kinds.Refused, TEXTS, TEXTS),
    st.builds(kinds.Batch, NUMBERS, NUMBERS, BYTES),
    st.builds(kinds.Ack, NUMBERS),
    st.builds(kinds.Drain, NUMBERS),
    st.just(kinds.Ping()),
    st.just(kinds.Pong()),
    st.builds(kinds.Ask, NUMBERS, TEXTS),
    st.builds(kinds.Answer, NUMBERS, BYTES),
)


def fed(data: bytes, cuts: list[int]) -> list[Frame]:
    """All frames of the bytes, given in pieces."""
    reader = FrameReader()
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    frames: list[Frame] = []
    for start, end in pairwise(edges):
        reader.feed(data[start:end])
        frames += reader.frames()
    return frames


@given(st.lists(FRAMES, max_size=8), st.lists(st.integers(0, 10_000), max_size=20))
def test_frames_come_out_as_they_went_in_however_they_are_cut(
    frames: list[Frame], cuts: list[int]
) -> None:
    data = PREAMBLE + b"".join(to_bytes(frame) for frame in frames)

    assert fed(data, cuts) == frames


@given(
    st.sampled_from([b"", PREAMBLE]),
    st.binary(max_size=200),
    st.lists(st.integers(0, 300), max_size=5),
)
def test_any_bytes_give_frames_or_a_link_error(start: bytes, data: bytes, cuts: list[int]) -> None:
    with contextlib.suppress(LinkError):
        fed(start + data, cuts)


@given(st.data(), st.lists(FRAMES, min_size=1, max_size=3))
def test_a_damaged_frame_gives_frames_or_a_link_error(
    data: st.DataObject, frames: list[Frame]
) -> None:
    whole = bytearray(PREAMBLE + b"".join(to_bytes(frame) for frame in frames))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))

    with contextlib.suppress(LinkError):
        fed(bytes(whole), [])


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | TEXTS | BYTES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(["ack", "join", "batch", "ping", "nothing"]) | ANYTHING, st.lists(ANYTHING))
def test_any_msgpack_gives_a_frame_or_a_link_error(kind: object, fields: list[object]) -> None:
    body = msgpack.packb([kind, *fields])

    with contextlib.suppress(LinkError):
        fed(PREAMBLE + len(body).to_bytes(4, "big") + body, [])


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x01", id="number"),
        pytest.param(b"\x90", id="no kind"),
        pytest.param(b"\x91" * 5_000 + b"\x01", id="deep"),
        pytest.param(msgpack.packb(["ack", True]), id="bool"),
        pytest.param(msgpack.packb(["ack", -1]), id="negative"),
        pytest.param(msgpack.packb(["ack", 2**63]), id="too high"),
        pytest.param(msgpack.packb(["ack"]), id="too few"),
        pytest.param(msgpack.packb(["ping", 1]), id="too many"),
        pytest.param(msgpack.packb([["ack"], 1]), id="kind of another type"),
        pytest.param(msgpack.packb({"ack": 1}), id="map"),
        pytest.param(msgpack.packb(["ack", 1]) + b"\x01", id="more behind"),
        pytest.param(msgpack.packb(msgpack.ExtType(5, b"")), id="extension"),
    ],
)
def test_a_malformed_body_is_a_link_error(body: bytes) -> None:
    reader = FrameReader(65_536)
    reader.feed(PREAMBLE + len(body).to_bytes(4, "big") + body)

    with pytest.raises(LinkError, match="malformed"):
        list(reader.frames())


@pytest.mark.parametrize("start", [b"HTTP", b"X", b"GRX", b"\x80\x04\x95\x00"])
def test_another_protocol_is_known_by_its_first_bytes(start: bytes) -> None:
    reader = FrameReader()
    reader.feed(start)

    with pytest.raises(LinkError, match="not the link protocol"):
        list(reader.frames())


def test_another_version_is_named() -> None:
    reader = FrameReader()
    reader.feed(b"GRL\x07")

    with pytest.raises(LinkError, match="version 7 of the link; this is version 1"):
        list(reader.frames())


def test_a_frame_that_is_too_long_is_refused_before_it_has_come() -> None:
    reader = FrameReader(100)
    reader.feed(PREAMBLE + (101).to_bytes(4, "big"))

    with pytest.raises(LinkError, match="a frame of 101 bytes; 100 are allowed"):
        list(reader.frames())
