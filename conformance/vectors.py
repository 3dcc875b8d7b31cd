"""Vector files: one JSON object a line, plain or gzipped, each line recognised by its content.

scenario   {"scenario", "steps", …}     a call of the service and all that it causes
webhook    {"kind", …}                  one behaviour of the notifier
coalesce   {"name", "stats", "expect"}  many samples of a track and the one they become
condense   {"name", "stat", "expect"}   a sample and its six numbers
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from ..errors import RecordingError

Json: TypeAlias = Mapping[str, object]
T = TypeVar("T")

GZIP_MAGIC: Final = b"\x1f\x8b"


class Family(StrEnum):
    """What a line is a vector of."""

    SCENARIO = "scenario"
    WEBHOOK = "webhook"
    COALESCE = "coalesce"
    CONDENSE = "condense"


# what a line of a family must have; the first family of which all keys are there is its family
FAMILIES: Final[Mapping[Family, frozenset[str]]] = {
    Family.SCENARIO: frozenset({"scenario"}),
    Family.WEBHOOK: frozenset({"kind"}),
    Family.COALESCE: frozenset({"name", "stats"}),
    Family.CONDENSE: frozenset({"name", "stat"}),
}


@dataclass(frozen=True, slots=True)
class Vector:
    """One line.

    Args:
        where: `file:line`.
        family: What it is a vector of.
        name: A scenario's or a sample's name, or a webhook line's kind.
        content: The line.
    """

    where: str
    family: Family
    name: str
    content: Json

    def __str__(self) -> str:
        """As it is called in a report."""
        about = self.content.get("name") if self.family is Family.WEBHOOK else None
        return f"{self.where} {self.name}{f': {about}' if about else ''}"

    def read(self, name: str, kind: type[T]) -> T:
        """A field of the line.

        Raises:
            RecordingError: It is missing or of another type.
        """
        if name not in self.content:
            raise RecordingError(self.where, f"{self.name}: no {name}")
        return typed(self.content[name], kind, f"{self.where} {name}")

    def read_or_none(self, name: str, kind: type[T]) -> T | None:
        """The same for a field that may be null, but not missing."""
        is_null = name in self.content and self.content[name] is None
        return None if is_null else self.read(name, kind)

    def read_list(self, name: str, kind: type[T]) -> list[T]:
        """A field that is a list of one type, or null: then there is nothing in it."""
        values = self.read_or_none(name, list) or []
        return [
            typed(value, kind, f"{self.where} {name}[{index}]")
            for index, value in enumerate(values)
        ]


def typed(value: object, kind: type[T], where: str) -> T:
    """`value`, if it is a `kind`; a whole number is a float too, a bool is no number.

    Raises:
        RecordingError: It is not; the text has `where`.
    """
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise RecordingError(where, f"expected {kind.__name__}, got {value!r:.80}")
    return value


def read_vectors(path: Path) -> list[Vector]:
    """All vectors of a file, in order.

    Raises:
        RecordingError: A line is not understood, or there is none; the text says `file:line`.
        OSError: The file cannot be read.
    """
    vectors = [_vector(where, line) for where, line in _lines(path)]
    if not vectors:
        raise RecordingError(f"{path}:1", "expected vectors, but the file has none")
    return vectors


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    content = path.read_bytes()
    if content.startswith(GZIP_MAGIC):
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise RecordingError(f"{path}:1", f"damaged gzip data ({error})") from None
    for number, raw in enumerate(content.split(b"\n"), start=1):
        if raw.strip():
            try:
                yield f"{path}:{number}", raw.decode()
            except UnicodeDecodeError as error:
                raise RecordingError(f"{path}:{number}", f"not UTF-8 ({error.reason})") from None


def _vector(where: str, line: str) -> Vector:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RecordingError(where, f"not JSON ({error})") from None
    if not isinstance(content, dict):
        raise RecordingError(where, f"expected an object, got {type(content).__name__}")
    for family, keys in FAMILIES.items():
        if keys <= content.keys():
            name = content[min(keys & {"scenario", "kind", "name"})]
            if not isinstance(name, str):
                raise RecordingError(where, f"the {family}'s name is no text: {name!r}")
            return Vector(where, family, name, content)
    raise RecordingError(
        where,
        "not a vector: expected scenario, kind, name and stats, or name and stat; "
        f"got {', '.join(sorted(content)) or 'nothing'}",
    )
