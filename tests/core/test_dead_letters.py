from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.core.dead_letters import REPLAYS, input_of
from greenroom.errors import NotReplayableError
from greenroom.messages import control, outputs, stats
from greenroom.messages.calls import CALLS, TrackStatsBatch
from greenroom.messages.codec import MESSAGE_TYPES, encode
from greenroom.messages.control import DeadLetter, Input
from greenroom.messages.ids import Incarnation, TrackID
from greenroom.messages.sample import sample_of
from greenroom.messages.stats import SampleReplayed, TrackStat
from greenroom.testing.samples import ALICES_WORKER, stat
from greenroom.testing.strategies import messages

REPLAYED = {*CALLS, TrackStatsBatch, TrackStat, *get_args(control.Replayed)}
REPLAYED |= set(get_args(outputs.RecorderCommand))


def letter(message: object, key: str = ALICES_WORKER.text) -> DeadLetter:
    return DeadLetter(
        *("StatsWorker", key, type(message).__name__, 0, 0, "E", "T"),
        body=encode(message),
        incarnation=7,
    )


def test_for_every_message_it_is_decided_whether_it_can_be_replayed() -> None:
    assert set(REPLAYS) == set(MESSAGE_TYPES)


@given(st.sampled_from(sorted(REPLAYED, key=lambda kind: kind.__name__)).flatmap(messages))
def test_calls_and_data_become_an_input(message: object) -> None:
    entering = input_of(letter(message))

    assert type(entering) in get_args(Input)
    assert entering == (
        SampleReplayed(ALICES_WORKER, Incarnation(7), message)
        if isinstance(message, TrackStat)
        else message
    )


@given(st.sampled_from([k for k in MESSAGE_TYPES if k not in REPLAYED]).flatmap(messages))
def test_what_only_steers_is_refused_with_a_reason_and_with_what_to_do(message: object) -> None:
    with pytest.raises(NotReplayableError) as caught:
        input_of(letter(message))

    start, reason = str(caught.value).split(": ", maxsplit=1)
    assert start == f"this {type(message).__name__} cannot be replayed"
    assert ";" in reason


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        (letter(stats.Flush(1, 7)), "call flush_stats"),
        (DeadLetter("HttpPoster", "", "Attempt", 0, 0, "E", "T", b""), "kept without its content"),
        (DeadLetter("Notifier", "", "Notify", 0, 0, "E", "T", b"\xc1"), "cannot be decoded"),
        (letter(TrackStat(TrackID("TR_1"), 0, sample_of(stat())), key=""), "whose sample"),
    ],
    ids=lambda value: value.message if isinstance(value, DeadLetter) else value,
)
def test_a_refusal_names_its_cause(refused: DeadLetter, why: str) -> None:
    with pytest.raises(NotReplayableError, match=why):
        input_of(refused)
