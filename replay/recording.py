"""Recorded calls, read from a file as a stream: one JSON object a line, plain or gzipped."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, NoReturn, Self

from ..core.times import NS_PER_SECOND
from ..errors import RecordingError
from .arguments import to_arguments

GZIP_MAGIC: Final = b"\x1f\x8b"
LINE_BYTES_MAX: Final = 16 * 1024 * 1024  # the longest of a real call has 9 KB
AT_SECONDS_MAX: Final = 366 * 86_400  # beyond it, "at" is a date and not a time in the call
REASON_CHARS_MAX: Final = 300
KEYS: Final = ("at", "call", "args")


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One call: `getattr(telemetry, name)(**args)`.

    Args:
        where: `file:line`.
        at_ns: When it was made, since the recording began.
        name: The method's.
        args: Its keyword arguments.
    """

    where: str
    at_ns: int
    name: str
    args: dict[str, object]


class Recording:
    """A file of recorded calls, open for reading once; iterate over it.

    Lines are read one by one, so its size does not matter. Blank lines are passed over.

    Args:
        path: The file; gzip is recognised by its first bytes, whatever the name.

    Attributes:
        size_bytes: Of the file as it lies on the disk; None for a pipe.
        read_bytes: How much of that has been read; stays 0 for a pipe.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._raw = path.open("rb")
        self._lines: BinaryIO = self._raw
        if self._raw.peek(2).startswith(GZIP_MAGIC):
            self._lines = io.BufferedReader(gzip.GzipFile(fileobj=self._raw))
        self._seekable = self._raw.seekable()
        self.size_bytes = path.stat().st_size if self._seekable else None
        self.read_bytes = 0

    def __enter__(self) -> Self:
        """The recording itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()

    def __iter__(self) -> Iterator[RecordedCall]:
        """Every call, in order.

        Raises:
            RecordingError: A line is not understood; those before it have been yielded.
        """
        number, last_ns, found = 0, 0, False
        while line := self._read_line(number + 1):
            number += 1
            if line.isspace():
                continue
            where = f"{self._path}:{number}"
            call = _parsed(line, where)
            if call.at_ns < last_ns:
                at, last = call.at_ns / NS_PER_SECOND, last_ns / NS_PER_SECOND
                _refuse(where, f"at: {at:g} s comes after {last:g} s; time never goes back")
            last_ns, found = call.at_ns, True
            yield call
        if not found:
            _refuse(f"{self._path}:1", "the file holds no calls")

    def close(self) -> None:
        """Close the file."""
        self._lines.close()
        self._raw.close()

    def _read_line(self, number: int) -> bytes:
        where = f"{self._path}:{number}"
        try:
            line = self._lines.readline(LINE_BYTES_MAX + 1)
        except (EOFError, zlib.error, OSError) as error:
            raise RecordingError(where, f"cannot be read: {error}") from error
        if self._seekable:
            self.read_bytes = self._raw.tell()
        if len(line) > LINE_BYTES_MAX:
            _refuse(where, f"longer than {LINE_BYTES_MAX} bytes; is it one call a line?")
        return line


def _parsed(line: bytes, where: str) -> RecordedCall:
    value = _json(line, where)
    if not isinstance(value, dict):
        _refuse(where, f"expected an object with at, call and args, got {_kind(value)}")
    for key in KEYS:
        if key not in value:
            _refuse(where, f"{key}: missing; a line has at, call and args")
    if len(value) > len(KEYS):
        unknown = ", ".join(key for key in value if key not in KEYS)
        _refuse(where, f"unknown key {unknown}; a line has at, call and args")
    name, args = value["call"], value["args"]
    if not isinstance(name, str):
        _refuse(where, f"call: expected a method's name, got {_kind(name)}")
    if not isinstance(args, dict):
        _refuse(where, f"args: expected an object, got {_kind(args)}")
    at_ns = _at_ns(value["at"], where)
    try:
        return RecordedCall(where, at_ns, name, to_arguments(name, args))
    except (TypeError, ValueError) as error:
        _refuse(where, str(error))


def _json(line: bytes, where: str) -> object:
    try:
        return json.loads(line.decode(), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        _refuse(where, f"not UTF-8 text (byte {error.start + 1})")
    except json.JSONDecodeError as error:
        _refuse(where, f"not JSON: {error.msg} (column {error.colno})")
    except ValueError as error:
        _refuse(where, f"not JSON: {error}")
    except RecursionError:
        _refuse(where, "not JSON of a call: nested too deeply")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f'{name} is no JSON number; protojson writes it in quotes, "{name}"')


def _at_ns(at: object, where: str) -> int:
    if not isinstance(at, int | float) or isinstance(at, bool):
        _refuse(where, f"at: expected seconds as a number, got {_kind(at)}")
    if not 0 <= at <= AT_SECONDS_MAX:
        expected = f"expected 0 to {AT_SECONDS_MAX} seconds since the start"
        _refuse(where, f"at: {expected}, got {at!s:.20}")
    return round(at * NS_PER_SECOND)


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a bool", type(None): "null"}
    return names.get(type(value), "a number")


def _refuse(where: str, reason: str) -> NoReturn:
    if len(reason) > REASON_CHARS_MAX:
        reason = reason[:REASON_CHARS_MAX] + "…"
    raise RecordingError(where, reason) from None
