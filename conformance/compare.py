"""What was recorded against what greenroom does: equal, or where exactly not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeGuard, TypeVar

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message

from ..errors import RecordingError

M = TypeVar("M", bound=Message)

_NODE: Final = re.compile(r'\bnode_id="([^"]*)",node_type="([^"]*)"')
SHOWN_MAX: Final = 300  # characters of one value in a report


class _Absent:
    """In place of a value that one side does not have."""

    def __repr__(self) -> str:
        return "nothing"


ABSENT: Final = _Absent()


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two values differ: `path` is like `steps[3].events[0].room.sid`."""

    path: str
    expected: object
    got: object

    def __str__(self) -> str:
        """Readable: which field, what was recorded, what greenroom has."""
        return f"{self.path}: expected {_shown(self.expected)}, got {_shown(self.got)}"


def diff(expected: object, got: object, path: str = "") -> tuple[Difference, ...]:
    """Every place where `got` is not what is expected; 1 and 1.0 are equal, 1 and True are not.

    Args:
        expected: Plain data: dicts, lists, texts, numbers.
        got: The same.
        path: Of the two in what they are part of.
    """
    return tuple(_walk(expected, got, path))


def diff_messages(
    expected: Sequence[Message], got: Sequence[Message], path: str
) -> tuple[Difference, ...]:
    """The same for lists of protobufs, which are quickly compared when they are equal."""
    if [_wire(message) for message in expected] == [_wire(message) for message in got]:
        return ()
    found = diff([plain(one) for one in expected], [plain(one) for one in got], path)
    return found or (Difference(path, expected, got),)


def plain(message: Message) -> dict[str, object]:
    """A protobuf as protojson with the names of the fields in the .proto file."""
    fields: dict[str, object] = MessageToDict(message, preserving_proto_field_name=True)
    return fields


def parsed(kind: type[M], value: object, where: str) -> M:
    """A protobuf from a vector's protojson.

    Raises:
        RecordingError: It is not one; the text has `where`.
    """
    if not isinstance(value, Mapping):
        raise RecordingError(where, f"expected {kind.__name__}, got {type(value).__name__}")
    try:
        return ParseDict(dict(value), kind())
    except (ParseError, ValueError, TypeError, RecursionError) as error:
        reason = str(error).partition(" Available Fields")[0].strip()
        raise RecordingError(where, f"not a {kind.__name__}: {reason}") from None


def node_labels(series: Iterable[str]) -> dict[str, str]:
    """The labels of the node that these series are from, as `name{labels}`."""
    node = next((match for name in series if (match := _NODE.search(name))), None)
    node_id, node_type = (node[1], node[2]) if node else ("node-1", "SERVER")
    return {"node_id": node_id, "node_type": node_type}


def _wire(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)


def _walk(expected: object, got: object, path: str) -> Iterator[Difference]:
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        for name in [*expected, *(name for name in got if name not in expected)]:
            inside = f"{path}.{name}" if path else str(name)
            yield from _walk(expected.get(name, ABSENT), got.get(name, ABSENT), inside)
    elif _is_list(expected) and _is_list(got):
        for index in range(max(len(expected), len(got))):
            yield from _walk(_item(expected, index), _item(got, index), f"{path}[{index}]")
    elif expected != got or isinstance(expected, bool) is not isinstance(got, bool):
        yield Difference(path, expected, got)


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _item(values: Sequence[object], index: int) -> object:
    return values[index] if index < len(values) else ABSENT


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}… ({len(text)} characters)"
