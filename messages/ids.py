"""Identifiers: LiveKit's string ids as NewTypes, and the keys built from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final, NamedTuple, NewType, Self

from livekit.protocol import analytics, models

RoomID = NewType("RoomID", str)
RoomName = NewType("RoomName", str)
ParticipantID = NewType("ParticipantID", str)
ParticipantIdentity = NewType("ParticipantIdentity", str)
TrackID = NewType("TrackID", str)
NodeID = NewType("NodeID", str)
EventID = NewType("EventID", str)
GuardID = NewType("GuardID", int)
Incarnation = NewType("Incarnation", int)


class WorkerKey(NamedTuple):
    """What a StatsWorker is for. Source: livekit telemetryservice.go, statsWorkerKey."""

    room_id: RoomID
    participant_id: ParticipantID

    @property
    def text(self) -> str:
        """`RM_1/PA_2`; what would make that ambiguous in an id is escaped as in a URL."""
        return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in self)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The key whose `text` this is.

        Raises:
            ValueError: It is none.
        """
        parts = [part.replace("%2F", "/").replace("%25", "%") for part in text.split("/")]
        if len(parts) != len(cls._fields):
            raise ValueError(f"expected a room's and a participant's id, got {text!r}")
        return cls(RoomID(parts[0]), ParticipantID(parts[1]))


@dataclass(frozen=True, slots=True)
class StatsKey:
    """Which track a statistic is about, and the labels it is counted under.

    One key may serve every statistic of its track. Source: livekit stats.go, StatsKey.

    Args:
        country: Label `country`, usually an ISO 3166 code or empty.
        stream_type: Number of `livekit.StreamType`: 0 UPSTREAM, 1 DOWNSTREAM.
        participant_id: Whose track; with the room's id it finds the worker.
        track_id: The track; statistics are coalesced per track and direction.
        track_source: Number of `livekit.TrackSource`.
        track_type: Number of `livekit.TrackType`.
        track: True for media tracks (loss, jitter and rtt are observed), False for data.

    Raises:
        TypeError: A field has the wrong type.
        ValueError: A text has no UTF-8 form.
    """

    country: str
    stream_type: int
    participant_id: ParticipantID
    track_id: TrackID
    track_source: int
    track_type: int
    track: bool

    def __post_init__(self) -> None:
        """Check every field once, so that a call with this key need not."""
        for name in ("country", "participant_id", "track_id"):
            self._keep(name, checked_text(getattr(self, name), f"key.{name}"))
        for name in ("stream_type", "track_source", "track_type"):
            self._keep(name, checked_number(getattr(self, name), f"key.{name}"))
        if not isinstance(self.track, bool):
            raise TypeError(f"key.track: expected bool, got {type(self.track).__name__}")

    def _keep(self, name: str, checked: str | int) -> None:
        if checked is not getattr(self, name):
            object.__setattr__(self, name, checked)  # it was of a subclass

    @classmethod
    def for_track(
        cls,
        country: str,
        stream_type: int,
        participant_id: str,
        track_id: str,
        track_source: int,
        track_type: int,
    ) -> Self:
        """Key of a media track. Source: livekit stats.go, StatsKeyForTrack."""
        participant = ParticipantID(participant_id)
        track = TrackID(track_id)
        return cls(country, stream_type, participant, track, track_source, track_type, track=True)

    @classmethod
    def for_data(cls, country: str, stream_type: int, participant_id: str, track_id: str) -> Self:
        """Key of a data channel. Source: livekit stats.go, StatsKeyForData."""
        participant = ParticipantID(participant_id)
        return cls(country, stream_type, participant, TrackID(track_id), 0, 0, track=False)

    @classmethod
    def from_names(cls, named: Mapping[str, object]) -> Self:
        """Read the form of a recording: the seven fields, enums by NAME.

        A number is taken only where the enum has no name for it: a newer host's.

        Raises:
            TypeError: A field is missing, unknown or of the wrong type.
            ValueError: An enum has no such name, or the number does not fit 32 bits.
        """
        expected = {field.name for field in fields(cls)}
        if named.keys() != expected:
            odd = sorted(map(str, named.keys() ^ expected))
            raise TypeError(f"key: missing or unknown fields {odd}")
        numbers = {name: _enum_number(named[name], name) for name in KEY_ENUMS}
        return cls(**{**named, **numbers})  # type: ignore[arg-type]  # __post_init__ checks them


KEY_ENUMS: Final = {
    "stream_type": analytics.StreamType,
    "track_source": models.TrackSource,
    "track_type": models.TrackType,
}


def checked_text(value: object, name: str) -> str:
    """`value` if it is text that protobuf and Prometheus can carry; of a subclass, a plain copy.

    Raises:
        TypeError: It is not a str.
        ValueError: It has lone surrogates, so it has no UTF-8 form.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected str, got {type(value).__name__}")
    value = str.__str__(value)  # a subclass has methods of its own, which could fail later
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{name}: not valid Unicode text ({error.reason})") from None
    return value


def checked_number(value: object, name: str) -> int:
    """`value` if it is an int that fits protobuf's int32; of a subclass, a plain copy.

    Raises:
        TypeError: It is not an int (a bool is not one here).
        ValueError: It is beyond 32 bits.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name}: expected int, got {type(value).__name__}")
    value = int.__int__(value)
    if not -(2**31) <= value < 2**31:
        raise ValueError(f"{name}: {value} does not fit 32 bits")
    return value


def _enum_number(text: object, name: str) -> int:
    if type(text) is int and text not in KEY_ENUMS[name].values():
        return checked_number(text, f"key.{name}")
    if not isinstance(text, str):
        raise TypeError(f"key.{name}: expected an enum name, got {type(text).__name__}")
    try:
        return int(KEY_ENUMS[name].Value(text))
    except ValueError:
        raise ValueError(
            f"key.{name}: {KEY_ENUMS[name].DESCRIPTOR.name} has no {text!r}"
        ) from None
