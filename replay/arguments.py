"""Arguments of a recorded call: from JSON values to what the method takes.

What a parameter is follows from the signature in `TelemetryService`, so a recorded line is
`getattr(telemetry, call)(**to_arguments(call, args))`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import NoneType
from typing import Final, TypeAlias, get_args, get_type_hints

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message
from livekit.protocol.analytics import AnalyticsStat
from livekit.protocol.models import ReconnectReason, VideoQuality

from ..messages.ids import StatsKey, checked_number, checked_text
from ..service.checks import checked_flag, checked_guard, enum_number
from ..service.protocol import TelemetryService

Converter: TypeAlias = Callable[[object, str], object]

ENUMS: Final = {"reason": ReconnectReason, "max_quality": VideoQuality}
NOT_RECORDED: Final = frozenset({"guard"})  # it answers, so it is no message to the service


def to_arguments(call: str, args: Mapping[str, object]) -> dict[str, object]:
    """Keyword arguments for the method `call` of a `TelemetryService`.

    Args:
        call: The method's name.
        args: Its arguments as in a recording: messages as protojson with proto or camel-case
            names, enums by name, a stats key as its seven fields.

    Raises:
        TypeError: An argument is missing, unknown or of the wrong type; the text names it.
        ValueError: There is no such call, or a value is impossible; the text names it.
    """
    try:
        converters = CALLS[call]
    except KeyError:
        raise ValueError(f"no call is named {call!r}") from None
    if args.keys() != converters.keys():
        raise TypeError(_difference(call, args, converters))
    return {name: convert(args[name], name) for name, convert in converters.items()}


def _difference(call: str, args: Mapping[str, object], wanted: Mapping[str, Converter]) -> str:
    missing = ", ".join(name for name in wanted if name not in args)
    unknown = ", ".join(name for name in args if name not in wanted)
    found = [f"without {missing}"] if missing else []
    if unknown:
        found.append(f"with unknown {unknown}")
    return f"{call} {' and '.join(found)}; it takes {', '.join(wanted) or 'nothing'}"


def _parsed(kind: type[Message], value: object, name: str) -> Message:
    if not isinstance(value, dict):
        found = "null" if value is None else type(value).__name__
        raise TypeError(f"{name}: expected {kind.__name__} as an object, got {found}")
    try:
        return ParseDict(value, kind())
    except (ParseError, ValueError, TypeError, RecursionError) as error:
        # protobuf appends the list of all fields that there are
        reason = str(error).partition(" Available Fields")[0].strip().replace("\n", " ")
        raise ValueError(f"{name}: {reason}") from None


def _parsed_or_none(kind: type[Message], value: object, name: str) -> Message | None:
    return None if value is None else _parsed(kind, value, name)


def _stats_key(value: object, name: str) -> StatsKey:
    if not isinstance(value, Mapping):
        raise TypeError(f"{name}: expected an object, got {type(value).__name__}")
    return StatsKey.from_names(value)


def _stats(value: object, name: str) -> list[Message]:
    if not isinstance(value, list):
        raise TypeError(f"{name}: expected a list, got {type(value).__name__}")
    return [_parsed(AnalyticsStat, stat, name) for stat in value]


def _guard(value: object, name: str) -> int | None:
    del name  # there is one parameter of this kind, and the check knows its name
    return checked_guard(value)


def _converter(name: str, hint: object) -> Converter:
    if name in ENUMS:
        return partial(enum_number, ENUMS[name])
    if hint in BY_TYPE:
        return BY_TYPE[hint]
    kinds = get_args(hint) or (hint,)
    (kind,) = (kind for kind in kinds if kind is not NoneType)
    return partial(_parsed_or_none if NoneType in kinds else _parsed, kind)


def _calls() -> dict[str, dict[str, Converter]]:
    calls = {}
    for call, method in vars(TelemetryService).items():
        if call.startswith("_") or call in NOT_RECORDED:
            continue
        hints = get_type_hints(method)
        del hints["return"]
        calls[call] = {name: _converter(name, hint) for name, hint in hints.items()}
    return calls


BY_TYPE: Final[Mapping[object, Converter]] = {
    str: checked_text,
    bool: checked_flag,
    int: checked_number,
    int | None: _guard,
    StatsKey | Mapping[str, object]: _stats_key,
    Sequence[AnalyticsStat]: _stats,
}
CALLS: Final[Mapping[str, Mapping[str, Converter]]] = _calls()
