from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from greenroom.conformance.runner import read_files
from greenroom.conformance.vectors import Family, Vector, read_vectors
from greenroom.errors import RecordingError

LINES = {
    Family.SCENARIO: {"scenario": "s", "steps": [], "metrics": {}, "node_stats": {}},
    Family.WEBHOOK: {"kind": "filter", "name": "n", "stats": []},
    Family.COALESCE: {"name": "c", "stats": [], "expect": None},
    Family.CONDENSE: {"name": "d", "stat": {}, "expect": None},
}


def lines(*values: object) -> bytes:
    return "".join(f"{json.dumps(value)}\n" for value in values).encode()


def test_a_line_is_recognised_by_its_content_not_by_the_name_of_its_file(tmp_path: Path) -> None:
    path = tmp_path / "anything.txt"
    path.write_bytes(lines(*LINES.values()))

    assert [vector.family for vector in read_vectors(path)] == list(LINES)


def test_a_gzipped_file_is_recognised_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "vectors.jsonl"
    path.write_bytes(gzip.compress(lines(LINES[Family.CONDENSE])))

    assert [vector.name for vector in read_vectors(path)] == ["d"]


def test_blank_lines_are_passed_over_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "vectors.jsonl"
    path.write_bytes(b"\n  \n" + lines(LINES[Family.COALESCE]))

    assert [vector.where for vector in read_vectors(path)] == [f"{path}:3"]


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (b"", 1, "has none"),
        (b"\n\n", 1, "has none"),
        (b'{"kind": "filter"}\nnonsense\n', 2, "not JSON"),
        (b"[" * 100_000, 1, "not JSON"),
        (b"[1, 2]", 1, "expected an object, got list"),
        (b'{"call": "room_started", "at": 1}', 1, "not a vector: expected scenario, kind"),
        (b"{}", 1, "got nothing"),
        (b'{"scenario": 7}', 1, "the scenario's name is no text: 7"),
        (b"\xff\xfe", 1, "not UTF-8"),
        (b"\x1f\x8b damaged", 1, "damaged gzip data"),
        (gzip.compress(b'{"kind": "filter"}', mtime=0)[:-9], 1, "damaged gzip data"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_file_that_is_not_understood_is_refused_with_file_and_line(
    tmp_path: Path, content: bytes, line: int, reason: str
) -> None:
    path = tmp_path / "vectors.jsonl"
    path.write_bytes(content)

    with pytest.raises(RecordingError, match=reason) as raised:
        read_vectors(path)

    assert raised.value.where == f"{path}:{line}"


def test_an_unknown_kind_is_refused_before_anything_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "vectors.jsonl"
    path.write_bytes(lines({"kind": "filter"}, {"kind": "sorcery"}))

    with pytest.raises(RecordingError, match=r":2: unknown kind 'sorcery'.*known: blocked_key"):
        read_files([path])


def vector(**content: object) -> Vector:
    return Vector("file:1", Family.WEBHOOK, "kind", content)


def test_a_field_is_read_as_what_it_must_be() -> None:
    line = vector(text="a", whole=2, flag=True, null=None, many=[1, 2])

    assert line.read("text", str) == "a"
    assert line.read("whole", float) == 2.0
    assert line.read("flag", bool) is True
    assert line.read_or_none("null", str) is None
    assert line.read_list("many", int) == [1, 2]
    assert line.read_list("null", int) == []


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("missing", str, "file:1: kind: no missing"),
        ("text", int, "file:1 text: expected int, got 'a'"),
        ("flag", int, "file:1 flag: expected int, got True"),
        ("null", str, "file:1 null: expected str, got None"),
    ],
)
def test_a_field_that_is_something_else_is_refused(
    name: str, kind: type[object], reason: str
) -> None:
    with pytest.raises(RecordingError) as raised:
        vector(text="a", flag=True, null=None).read(name, kind)

    assert str(raised.value) == reason
