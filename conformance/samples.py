"""Coalesce and condense vectors: pure functions of samples."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp
from livekit.protocol.analytics import AnalyticsStat

from ..core.coalesce import coalesce
from ..core.condense import condense
from ..core.times import NS_PER_SECOND
from ..errors import RecordingError
from .compare import diff, diff_messages, parsed
from .findings import Findings, compared
from .vectors import Json, Vector, typed

CONDENSED_TIMES = ("start_time", "end_time")
CONDENSED_NUMBERS = ("bytes", "packets", "packets_lost", "frames")


def check_coalesce(vector: Vector) -> Findings:
    """Many samples of one track become one, or none if there are none."""
    stats = vector.read_list("stats", dict)
    where = vector.where
    samples = [parsed(AnalyticsStat, stat, f"{where} stats[{i}]") for i, stat in enumerate(stats)]
    recorded = vector.read_or_none("expect", dict)
    got = coalesce(samples)
    if recorded is None or got is None:
        return Findings(diff(recorded, got, "expect"))
    expected = parsed(AnalyticsStat, recorded, f"{where} expect")
    return Findings(diff_messages([expected], [got], "expect"))


def check_condense(vector: Vector) -> Findings:
    """A sample becomes six numbers, or nothing if it is not valid."""
    sample = parsed(AnalyticsStat, vector.read("stat", dict), f"{vector.where} stat")
    recorded = vector.read_or_none("expect", dict)
    expected = None if recorded is None else _condensed(recorded, f"{vector.where} expect")
    got = condense(sample)
    if got is None:
        return compared(expected, None)
    numbers: dict[str, object] = {name: getattr(got, name) for name in CONDENSED_NUMBERS}
    return compared(expected, {"start_ns": got.start_ns, "end_ns": got.end_ns, **numbers})


def _condensed(recorded: Json, where: str) -> dict[str, object]:
    if recorded.keys() != {*CONDENSED_TIMES, *CONDENSED_NUMBERS}:
        raise RecordingError(where, f"unknown or missing fields: {', '.join(recorded)}")
    numbers = {name: typed(recorded[name], int, f"{where} {name}") for name in CONDENSED_NUMBERS}
    start, end = (typed(recorded[name], str, f"{where} {name}") for name in CONDENSED_TIMES)
    return {"start_ns": unix_ns(start, where), "end_ns": unix_ns(end, where), **numbers}


def unix_ns(text: str, where: str) -> int:
    """Unix ns of a protojson time.

    Raises:
        RecordingError: It is not one.
    """
    time = Timestamp()
    try:
        time.FromJsonString(text)
    except ValueError as error:
        raise RecordingError(where, str(error)) from None
    return time.seconds * NS_PER_SECOND + time.nanos
