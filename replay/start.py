"""When a recording began, so that the virtual clock agrees with the times inside its messages."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

from livekit.protocol.models import ParticipantInfo, Room

from ..core.times import NS_PER_MS, NS_PER_SECOND
from ..errors import RecordingError
from .recording import RecordedCall

LOOK_AHEAD_CALLS: Final = 1_000
LATEST_NS: Final = 4_102_444_800 * NS_PER_SECOND  # the year 2100: a later time is a mistake


def find_start(calls: Iterator[RecordedCall]) -> tuple[int | None, Iterator[RecordedCall]]:
    """Look ahead for a call that says when it was made.

    The first `room_started` decides, by its room's creation time; without one, the first
    participant's time of joining. A bad line ends the search, and is raised again in its place.

    Args:
        calls: From here on, use the ones returned.

    Returns:
        Unix time in ns of the recording's "at" 0, or None; and all calls, from the first one on.

    Raises:
        RecordingError: The first line already is bad.
    """
    seen: list[RecordedCall] = []
    joined_ns: int | None = None
    try:
        for call in calls:
            seen.append(call)
            created_ns = _room_start(call)
            if created_ns is not None:
                return created_ns, chain(seen, calls)
            if joined_ns is None:
                joined_ns = _participant_start(call)
            if len(seen) == LOOK_AHEAD_CALLS:
                break
    except RecordingError as error:
        if not seen:
            raise
        return joined_ns, chain(seen, _raising(error))
    return joined_ns, chain(seen, calls)


def _raising(error: RecordingError) -> Iterator[RecordedCall]:
    yield from ()
    raise error


def _room_start(call: RecordedCall) -> int | None:
    room = call.args.get("room")
    if call.name != "room_started" or not isinstance(room, Room):
        return None
    return _start(room.creation_time_ms or room.creation_time * 1_000, call.at_ns)


def _participant_start(call: RecordedCall) -> int | None:
    participant = call.args.get("participant")
    if not isinstance(participant, ParticipantInfo):
        return None
    return _start(participant.joined_at_ms or participant.joined_at * 1_000, call.at_ns)


def _start(made_ms: int, at_ns: int) -> int | None:
    start_ns = made_ms * NS_PER_MS - at_ns
    return start_ns if made_ms and 0 <= start_ns < LATEST_NS else None
