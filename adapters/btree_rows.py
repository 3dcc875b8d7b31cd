"""The rows of a database whose trees may be broken: read page by page, from a `PageImage`.

SQLite gives up a whole tree when one page above it is broken. Here each page is read for itself:
from the top as far as that leads, and then all pages that nobody led to.

Source: sqlite.org/fileformat2.html, "B-tree Pages" and "Record Format".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .page_image import HEADER_SIZE, MAGIC, PageImage
from .table_shapes import Row

INDEX_NODE: Final = 2
TABLE_NODE: Final = 5
INDEX_LEAF: Final = 10
TABLE_LEAF: Final = 13
DEPTH_MAX: Final = 20  # SQLite's own limit
_INTEGER_SIZES: Final = (0, 1, 2, 3, 4, 6, 8)  # by serial type
_REAL: Final = 7


class DamagedError(ValueError):
    """A page or a cell is not of the format; the text says why."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A row as it is stored; `row_id` is 0 in an index."""

    row_id: int
    values: Row


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a tree.

    Args:
        number: Counted from 1.
        kind: One of the four numbers above.
        rows: Its rows; a text in place of one that is damaged.
        children: The pages below, in their order.
    """

    number: int
    kind: int
    rows: tuple[Cell | str, ...]
    children: tuple[int, ...]


class PageReader:
    """Reads the pages of trees.

    Args:
        image: Stays the caller's.
    """

    def __init__(self, image: PageImage) -> None:
        self._image = image
        # some systems' SQLite reserves bytes of each page; greenroom asks for none
        reserved = image.header[20] if image.header.startswith(MAGIC) else 0
        self._usable = image.page_size - (reserved if image.page_size - reserved >= 480 else 0)

    def kind(self, number: int) -> int:
        """What the page says to be; 0: it is not there."""
        content = self._image.page(number)
        return 0 if content is None else content[self._start(number)]

    def read(self, number: int) -> Page:
        """Read a page.

        Raises:
            DamagedError: It cannot be read, or is no page of a tree.
        """
        content = self._image.page(number)
        if content is None:
            raise DamagedError(f"page {number} is not there, or the disk does not give it")
        start = self._start(number)
        kind, _, count = struct.unpack_from(">BHH", content, start)
        is_node = kind in (INDEX_NODE, TABLE_NODE)
        if not is_node and kind not in (INDEX_LEAF, TABLE_LEAF):
            raise DamagedError(f"page {number} is overwritten")
        offset = start + (12 if is_node else 8)
        if offset + 2 * count > self._usable:
            raise DamagedError(f"page {number} is overwritten")
        rows: list[Cell | str] = []
        children: list[int] = []
        for index, pointer in enumerate(struct.unpack_from(f">{count}H", content, offset)):
            at = pointer & (self._image.page_size - 1)  # as SQLite does
            try:
                if not offset + 2 * count <= at < self._usable:
                    raise DamagedError("it is outside of the page")
                if is_node:
                    children.append(int.from_bytes(content[at : at + 4], "big"))
                if kind != TABLE_NODE:
                    rows.append(self._cell(content, at + 4 * is_node, is_table=kind == TABLE_LEAF))
            except (DamagedError, ValueError, IndexError, struct.error) as error:
                rows.append(f"cell {index} of page {number}: {error}")
        if is_node:
            children.append(int.from_bytes(content[start + 8 : start + 12], "big"))
        return Page(number, kind, tuple(rows), tuple(children))

    def free_pages(self) -> set[int]:
        """Pages that hold nothing any more, whatever they look like."""
        free: set[int] = set()
        number = int.from_bytes(self._image.header[32:36], "big")
        while number and number not in free:
            content = self._image.page(number)
            if content is None:
                break
            free.add(number)
            number, count = struct.unpack_from(">II", content)
            if count > self._usable // 4 - 2:
                break
            free.update(struct.unpack_from(f">{count}I", content, 8))
        return free

    def _start(self, number: int) -> int:
        return HEADER_SIZE if number == 1 else 0

    def _cell(self, content: bytes, at: int, *, is_table: bool) -> Cell:
        size, at = _varint(content, at)
        row_id = 0
        if is_table:
            row_id, at = _varint(content, at)
        usable = self._usable
        most = usable - 35 if is_table else (usable - 12) * 64 // 255 - 23
        if size <= most:
            if at + size > usable:
                raise DamagedError("it is longer than its page")
            return Cell(_signed(row_id), _record(content[at : at + size]))
        least = (usable - 12) * 32 // 255 - 23
        local = least + (size - least) % (usable - 4)
        local = local if local <= most else least
        if at + local + 4 > usable:
            raise DamagedError("it is longer than its page")
        (number,) = struct.unpack_from(">I", content, at + local)
        parts, left = [content[at : at + local]], size - local
        if left > self._image.last_page * usable:
            raise DamagedError("it is longer than the database")
        while left > 0:
            more = self._image.page(number)
            if more is None:
                raise DamagedError(f"page {number}, where it goes on, is not there")
            parts.append(more[4 : min(4 + left, usable)])
            left -= usable - 4
            number = int.from_bytes(more[:4], "big")
        if number:
            raise DamagedError("it goes on beyond its end")
        return Cell(_signed(row_id), _record(b"".join(parts)))


def walk(reader: PageReader, root: int, seen: set[int], *, is_index: bool) -> Iterator[Page | str]:
    """The pages of a tree from left to right; a text in place of what cannot be read.

    Args:
        reader: Of the database.
        root: The tree's top.
        seen: Pages that have their place already; those that are read are added.
        is_index: Whether it is a tree of an index.
    """
    kinds = (INDEX_NODE, INDEX_LEAF) if is_index else (TABLE_NODE, TABLE_LEAF)
    stack = [(root, 0)]
    while stack:
        number, depth = stack.pop()
        if number in seen or depth > DEPTH_MAX:
            yield f"page {number} is in two places"
            continue
        try:
            page = reader.read(number)
            if page.kind not in kinds:
                raise DamagedError(f"page {number} is of something else")
        except DamagedError as error:
            yield str(error)
            continue
        seen.add(number)
        yield page
        stack.extend((child, depth + 1) for child in reversed(page.children))


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(8):
        byte = content[at + index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + index + 1
    return value << 8 | content[at + 8], at + 9


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _record(payload: bytes) -> Row:
    head, at = _varint(payload, 0)
    if head > len(payload):
        raise DamagedError("its head is longer than the row")
    body = head
    values: list[object] = []
    while at < head:
        kind, at = _varint(payload, at)
        value, body = _value(payload, kind, body)
        values.append(value)
    if at != head or body != len(payload):
        raise DamagedError("its length is another")
    return tuple(values)


def _value(payload: bytes, kind: int, at: int) -> tuple[object, int]:
    if kind >= 12:
        end = at + (kind - 12) // 2
        if end > len(payload):
            raise DamagedError("a value is longer than the row")
        return (payload[at:end].decode() if kind % 2 else payload[at:end]), end
    if kind < len(_INTEGER_SIZES):
        end = at + _INTEGER_SIZES[kind]
        return (int.from_bytes(payload[at:end], "big", signed=True) if kind else None), end
    if kind == _REAL:
        return struct.unpack_from(">d", payload, at)[0], at + 8
    if kind in (8, 9):
        return kind - 8, at
    raise DamagedError(f"a value of type {kind}")
