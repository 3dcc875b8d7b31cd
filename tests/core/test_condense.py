from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol.analytics import AnalyticsStat, AnalyticsStream

from greenroom.core.coalesce import is_valid
from greenroom.core.condense import CondensedStat, condense

VECTORS: Final = Path(__file__).resolve().parents[1] / "data" / "condense.jsonl.gz"


def vectors() -> list[Any]:
    with gzip.open(VECTORS, "rt", encoding="utf-8") as lines:
        return [pytest.param(line, id=line["name"]) for line in map(json.loads, lines)]


def unix_ns(text: str) -> int:
    timestamp = Timestamp()
    timestamp.FromJsonString(text)
    return timestamp.ToNanoseconds()


def expected_stat(vector: dict[str, Any]) -> CondensedStat | None:
    expected = vector["expect"]
    if expected is None:
        return None
    return CondensedStat(
        start_ns=unix_ns(expected["start_time"]),
        end_ns=unix_ns(expected["end_time"]),
        bytes=expected["bytes"],
        packets=expected["packets"],
        packets_lost=expected["packets_lost"],
        frames=expected["frames"],
    )


# a sample has few streams: near the bounds two are enough to wrap
halves = st.integers(0, 100) | st.integers(2**31 - 3, 2**31)
streams = st.builds(
    AnalyticsStream,
    primary_packets=halves,
    primary_bytes=st.integers(0, 100) | st.integers(2**63 - 3, 2**63),
    packets_lost=halves,
    frames=halves,
    nacks=halves,
)
stats = st.builds(AnalyticsStat, streams=st.lists(streams, max_size=5))


@pytest.mark.parametrize("vector", vectors())
def test_the_numbers_are_those_of_livekit(vector: dict[str, Any]) -> None:
    result = condense(ParseDict(vector["stat"], AnalyticsStat()))

    assert result == expected_stat(vector)


@given(stats)
def test_sums_are_preserved_modulo_their_width_or_the_stat_is_not_valid(
    stat: AnalyticsStat,
) -> None:
    before = stat.SerializeToString(deterministic=True)

    result = condense(stat)

    assert stat.SerializeToString(deterministic=True) == before
    assert (result is not None) == is_valid(stat)
    if result is not None:
        assert result.bytes == sum(one.primary_bytes for one in stat.streams) % 2**64
        assert result.packets == sum(one.primary_packets for one in stat.streams) % 2**32
        assert result.packets_lost == sum(one.packets_lost for one in stat.streams) % 2**32
        assert result.frames == sum(one.frames for one in stat.streams) % 2**32
