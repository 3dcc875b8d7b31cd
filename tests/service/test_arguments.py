"""Every argument of every method, found through the signatures: new methods are covered too."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Union, get_args, get_origin, get_type_hints

import pytest
from google.protobuf.message import Message
from livekit.protocol.analytics import AnalyticsEvent, AnalyticsStat, AnalyticsVideoLayer
from livekit.protocol.egress import EgressInfo
from livekit.protocol.models import ParticipantInfo, ReconnectReason, Room, VideoQuality

from greenroom.messages import calls
from greenroom.messages.ids import StatsKey
from greenroom.service.protocol import TelemetryService
from greenroom.testing.fakes import RecordingTelemetry

KEY: Final = StatsKey.for_data("DE", 0, "PA_1", "TR_1")
NAMED_KEY: Final = {
    "country": "DE",
    "stream_type": "UPSTREAM",
    "participant_id": "PA_1",
    "track_id": "TR_1",
    "track_source": "UNKNOWN",
    "track_type": "AUDIO",
    "track": False,
}
LONE_SURROGATE: Final = "\ud800"  # a str, but no text: it has no UTF-8 form
METHODS: Final = {
    name: method
    for name, method in inspect.getmembers(TelemetryService, inspect.isfunction)
    if not name.startswith("_")
}


class Case(NamedTuple):
    method: str
    parameter: str
    value: object
    error: type[Exception]

    def __str__(self) -> str:
        shown = type(self.value).__name__ if isinstance(self.value, Message) else repr(self.value)
        return f"{self.method}({self.parameter}={shown})"


def hints_of(method: Callable[..., object]) -> dict[str, Any]:
    hints = get_type_hints(method)
    del hints["return"]
    return hints


def options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def right(hint: Any) -> object:
    """A value that is right for a parameter of this type."""
    kind = options(hint)[0]
    if kind is StatsKey:
        return KEY
    if get_origin(kind) is Sequence:
        return [right(get_args(kind)[0])]
    return kind()


def wrong(hint: Any) -> Iterator[tuple[object, type[Exception]]]:
    """Values that are not, and what each of them raises."""
    kinds = options(hint)
    yield complex(1, 2), TypeError  # a type that no parameter has
    if types.NoneType not in kinds:
        yield None, TypeError
    if str in kinds:
        yield LONE_SURROGATE, ValueError
        yield b"bytes", TypeError
    if kinds == (str,):
        yield 1, TypeError
    if int in kinds:
        yield True, TypeError
        yield 1.0, TypeError
        yield 2**64, ValueError
    if int in kinds and str in kinds:  # an enum
        yield "NO_SUCH_NAME", ValueError
        yield 2**31, ValueError
    if bool in kinds:
        yield 0, TypeError
        yield "true", TypeError
    if StatsKey in kinds:
        yield {}, TypeError
        yield {1: 2}, TypeError
        yield {**NAMED_KEY, "more": 1}, TypeError
        yield {**NAMED_KEY, "track_type": "SMELL"}, ValueError
        yield {**NAMED_KEY, "country": LONE_SURROGATE}, ValueError
    if get_origin(kinds[0]) is Sequence:
        yield [None], TypeError
        yield [*[right(get_args(kinds[0])[0])] * 2, AnalyticsEvent()], TypeError
    if isinstance(kinds[0], type) and issubclass(kinds[0], Message):
        yield AnalyticsVideoLayer(), TypeError  # a protobuf, but not this one
        yield kinds[0]().SerializeToString(), TypeError
        yield {}, TypeError


CASES: Final = [
    Case(name, parameter, value, error)
    for name, method in METHODS.items()
    for parameter, hint in hints_of(method).items()
    for value, error in wrong(hint)
]


def arguments(method: str) -> dict[str, object]:
    return {name: right(hint) for name, hint in hints_of(METHODS[method]).items()}


@pytest.mark.parametrize("method", METHODS)
def test_right_arguments_become_one_call(method: str) -> None:
    telemetry = RecordingTelemetry()

    getattr(telemetry, method)(**arguments(method))

    assert len(telemetry.calls) == (0 if method == "guard" else 1)


@pytest.mark.parametrize("method", [name for name in METHODS if name != "guard"])
def test_a_call_has_the_arguments_as_its_fields(method: str) -> None:
    telemetry = RecordingTelemetry()
    given = arguments(method)

    getattr(telemetry, method)(**given)

    (call,) = telemetry.calls
    for value, kept in zip(given.values(), fields_of(call), strict=True):
        if isinstance(call, calls.TrackStats) and isinstance(value, AnalyticsStat):
            assert kept == value.SerializeToString()
        else:
            assert kept == (tuple(value) if isinstance(value, list) else value)


def fields_of(call: object) -> list[object]:
    return [getattr(call, name) for name in type(call).__annotations__]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_wrong_argument_is_refused_by_name_and_nothing_enters(case: Case) -> None:
    telemetry = RecordingTelemetry()
    given = arguments(case.method) | {case.parameter: case.value}

    with pytest.raises(case.error, match=rf"^{case.parameter}\b"):
        getattr(telemetry, case.method)(**given)

    assert telemetry.calls == []


def test_every_parameter_of_every_method_has_a_wrong_value() -> None:
    assert {(case.method, case.parameter) for case in CASES} == {
        (name, parameter) for name, method in METHODS.items() for parameter in hints_of(method)
    }


@pytest.mark.parametrize(
    ("method", "parameter"),
    [
        (name, parameter)
        for name, method in METHODS.items()
        for parameter, hint in hints_of(method).items()
        if types.NoneType in options(hint)
    ],
)
def test_what_may_be_none_in_the_original_may_be_none(method: str, parameter: str) -> None:
    telemetry = RecordingTelemetry()

    getattr(telemetry, method)(**arguments(method) | {parameter: None})

    (call,) = telemetry.calls
    assert None in fields_of(call)


def test_only_what_may_be_none_in_the_original_may() -> None:
    assert {
        (name, parameter)
        for name, method in METHODS.items()
        for parameter, hint in hints_of(method).items()
        if types.NoneType not in options(hint) and is_protobuf(hint)
    } >= {("room_started", "room"), ("egress_started", "info"), ("track_published", "track")}


def is_protobuf(hint: Any) -> bool:
    return any(isinstance(kind, type) and issubclass(kind, Message) for kind in options(hint))


# ── snapshots ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("method", "parameter"),
    [
        (name, parameter)
        for name, method in METHODS.items()
        for parameter, hint in hints_of(method).items()
        if is_protobuf(hint)
    ],
)
def test_what_the_caller_changes_after_the_call_does_not_leak_in(
    method: str, parameter: str
) -> None:
    telemetry = RecordingTelemetry()
    given = arguments(method)
    passed = given[parameter]
    assert isinstance(passed, Message)

    getattr(telemetry, method)(**given)
    passed.MergeFromString(b"\xf8\x7f\x01")  # any change will do: field 2047 is 1

    assert passed.ByteSize() > 0
    (call,) = telemetry.calls
    kept = fields_of(call)[list(given).index(parameter)]
    assert kept == (b"" if method == "track_stats" else type(passed)())


def test_a_list_of_statistics_is_copied_with_its_items() -> None:
    telemetry = RecordingTelemetry()
    stats = [AnalyticsStat(mime="audio/opus")]

    telemetry.send_stats(stats)
    stats[0].mime = "video/vp8"
    stats.clear()

    assert telemetry.calls == [calls.SendStats((AnalyticsStat(mime="audio/opus"),))]


# ── forms that are accepted besides ─────────────────────────────────────────────────────────


def test_the_key_of_a_statistic_may_be_that_of_a_recording() -> None:
    telemetry = RecordingTelemetry()

    telemetry.track_stats("RM_1", "lobby", NAMED_KEY, AnalyticsStat())
    telemetry.track_stats("RM_1", "lobby", types.MappingProxyType(NAMED_KEY), AnalyticsStat())
    telemetry.track_stats("RM_1", "lobby", KEY, AnalyticsStat())

    first, second, third = telemetry.calls
    assert first == second == third


@pytest.mark.parametrize(
    "reason", ["RR_SWITCH_CANDIDATE", ReconnectReason.Value("RR_SWITCH_CANDIDATE")]
)
def test_an_enum_is_given_by_name_or_by_number(reason: int | str) -> None:
    telemetry = RecordingTelemetry()

    telemetry.participant_resumed(Room(), ParticipantInfo(), "ND_1", reason)

    (call,) = telemetry.calls
    assert isinstance(call, calls.ParticipantResumed)
    assert call.reason == ReconnectReason.RR_SWITCH_CANDIDATE


def test_an_enum_may_have_a_number_that_is_not_known_yet() -> None:
    telemetry = RecordingTelemetry()

    telemetry.track_max_subscribed_video_quality("r", "n", "p", None, "video/vp8", 99)

    assert 99 not in VideoQuality.values()
    assert len(telemetry.calls) == 1


def test_names_beyond_ascii_are_names() -> None:
    telemetry = RecordingTelemetry()

    telemetry.track_stats("RM_é", "日本語", KEY, AnalyticsStat())

    (call,) = telemetry.calls
    assert isinstance(call, calls.TrackStats)
    assert (call.room_id, call.room_name) == ("RM_é", "日本語")


def test_a_name_may_be_of_a_subclass_of_str() -> None:
    class Name(str):
        __slots__ = ()

    telemetry = RecordingTelemetry()

    telemetry.notify_egress_event(Name("egress_paused"), EgressInfo())
    telemetry.track_stats(Name("RM_1"), Name("lobby"), KEY, AnalyticsStat())

    assert len(telemetry.calls) == 2


def test_guards_are_never_the_same() -> None:
    telemetry = RecordingTelemetry()

    guards = [telemetry.guard() for _ in range(1_000)]

    assert len(set(guards)) == 1_000


def test_the_table_of_cases_is_as_large_as_the_service() -> None:
    assert len(CASES) > 300  # a mistake in `wrong` would make it small without a failing test
    assert isinstance(NAMED_KEY, Mapping)
