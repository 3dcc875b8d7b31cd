"""Which rows of a damaged database can still be read, and a new database with them."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from .btree_rows import INDEX_LEAF, TABLE_LEAF, TABLE_NODE, Cell, DamagedError, PageReader, walk
from .database import transaction
from .journal_rows import DamagedRow, JournalReader, select
from .page_image import PageImage
from .schema import MIGRATIONS
from .table_shapes import SEQUENCE_TABLE, Row, TableShape, new_schema, schema, shapes

NEWER_MAX: Final = 100  # versions ahead that a newer greenroom may be; more is a broken number
ID_MAX: Final = 2**53  # beyond it an AUTOINCREMENT's last id is a broken number
UNIX_NS_MIN: Final = 10**15  # a time, and no id: rows of `sequences` look like those of an index
_COUNT_ANEW: Final = """
    INSERT INTO sequences (endpoint, key, last, used_at_ns)
    SELECT endpoint, key, max(sequence), max(queued_at_ns) FROM deliveries
    WHERE true GROUP BY endpoint, key
    ON CONFLICT DO UPDATE SET last = excluded.last WHERE excluded.last > last
"""


@dataclass(frozen=True, slots=True)
class Found:
    """A row; `is_sure`: its table's tree led to it."""

    table: str
    row: Row
    is_sure: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """A row or a page that cannot be kept, and why."""

    table: str
    what: str


@dataclass(slots=True)
class Salvaged:
    """What became of a database's rows.

    Args:
        kept: Rows by table, those without any left out.
        lost: In the order of the search.
        counted_anew: Sequences that were missing or too low, and follow from the deliveries.
    """

    kept: Counter[str] = field(default_factory=Counter)
    lost: list[Lost] = field(default_factory=list)
    counted_anew: int = 0


def schema_version(image: PageImage) -> tuple[int, int]:
    """The version that the database says it has, and the one that its tables are of.

    The second is more than `len(MIGRATIONS)` only if a newer greenroom wrote it.
    """
    said = int.from_bytes(image.header[60:64], "big")
    if len(MIGRATIONS) < said <= len(MIGRATIONS) + NEWER_MAX:
        return said, said
    there = {(row[1], row[4] or "") for row in _master(PageReader(image), set())}
    least = 0  # what is missing may be damaged; what is there was made by that version
    for version in range(1, len(MIGRATIONS) + 1):
        new = schema(version).items() - schema(version - 1).items()
        if new & there:
            least = version
    if least <= said <= len(MIGRATIONS):
        return said, said
    return said, least or len(MIGRATIONS)


def search(image: PageImage, version: int) -> Iterator[Found | Lost]:
    """Every row of each table that can be read, and what cannot.

    First come those that the tables' trees lead to. Then those of pages that nothing leads to,
    because what did is broken, if they look like rows of a table.
    """
    reader, tables = PageReader(image), shapes(version)
    seen: set[int] = set()
    roots = {name: (kind, root) for kind, name, _, root, _ in _master(reader, seen)}
    journal = JournalReader()
    astray = []
    for shape in tables.values():
        kind, root = roots.pop(shape.name, ("", 0))
        if kind != "table":
            astray.append(shape.name)
            continue
        for found in _tree(reader, root, shape, seen):
            yield _judged(found, journal)
    for name, (kind, root) in roots.items():  # so that their pages are known for what they are
        is_index = kind == "index" or tables.get(name, tables["dead_letters"]).is_clustered
        for _ in walk(reader, root, seen, is_index=is_index):
            pass
    seen |= reader.free_pages()
    for number in range(2, image.last_page + 1):
        if number not in seen:
            for found in _stray(reader, number, tables):
                if found.table in astray:
                    astray.remove(found.table)
                yield _judged(found, journal)
    for name in astray if image.last_page else ():
        yield Lost(name, "nothing says where it begins, and no page looks like one of its own")


def fill(connection: sqlite3.Connection, image: PageImage, version: int) -> Salvaged:
    """Make the schema in an empty database, and write every row that can be read.

    Raises:
        sqlite3.Error: It cannot be written.
    """
    salvaged = Salvaged()
    connection.execute("PRAGMA journal_mode = MEMORY")
    new_schema(connection, version)
    tables, last_ids = shapes(version), []
    with transaction(connection):
        for found in search(image, version):
            if isinstance(found, Lost):
                salvaged.lost.append(found)
            elif found.table == SEQUENCE_TABLE:
                last_ids.append(found.row)
            else:
                _insert(connection, tables[found.table], found, salvaged)
        for name, last_id in last_ids:
            _raise_last_id(connection, name, last_id)
        if "sequences" in tables:
            salvaged.counted_anew = connection.execute(_COUNT_ANEW).rowcount
        if "journal" in tables:
            _leave_out_overlaps(connection, salvaged)
    return salvaged


def _leave_out_overlaps(connection: sqlite3.Connection, salvaged: Salvaged) -> None:
    """No position has two inputs: a row that begins within another is of some other time."""
    end, overlapping = 0, []
    for row in select(connection):
        if row.first <= end:
            overlapping.append((row.first,))
        elif not isinstance(row, DamagedRow):
            end = row.last
    connection.executemany("DELETE FROM journal WHERE first = ?", overlapping)
    for (first,) in overlapping:
        salvaged.lost.append(Lost("journal", f"position {first}: it overlaps the row before"))
        salvaged.kept["journal"] -= 1


def _insert(
    connection: sqlite3.Connection, shape: TableShape, found: Found, salvaged: Salvaged
) -> None:
    marks = ", ".join("?" * len(shape.columns))
    try:
        connection.execute(f"INSERT INTO {shape.name} VALUES ({marks})", found.row)
    except sqlite3.IntegrityError as error:
        if found.is_sure:  # else it is an older copy of one that there is already
            salvaged.lost.append(Lost(shape.name, f"row {_name(found.row)}: {error}"))
    else:
        salvaged.kept[shape.name] += 1


def _raise_last_id(connection: sqlite3.Connection, name: str, last_id: int) -> None:
    """So that an id of a row that was deleted is not given again."""
    if not 0 < last_id < ID_MAX:
        return
    values = (last_id, name)
    changed = connection.execute(
        "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", values
    )
    if not changed.rowcount:
        connection.execute("INSERT INTO sqlite_sequence (seq, name) VALUES (?, ?)", values)


def _master(reader: PageReader, seen: set[int]) -> Iterator[Row]:
    """The rows of `sqlite_master`: type, name, table, first page, statement."""
    for page in walk(reader, 1, seen, is_index=False):
        for cell in () if isinstance(page, str) else page.rows:
            if isinstance(cell, Cell) and len(cell.values) == 5:
                kind, name, _, root, text = cell.values
                if (
                    kind in ("table", "index")
                    and type(name) is str
                    and type(root) is int
                    and (text is None or type(text) is str)
                ):
                    yield cell.values


def _tree(
    reader: PageReader, root: int, shape: TableShape, seen: set[int]
) -> Iterator[Found | Lost]:
    astray: list[Found] = []
    for page in walk(reader, root, seen, is_index=shape.is_clustered):
        if isinstance(page, str):
            yield Lost(shape.name, page)
            continue
        fitted = [_fitted(cell, shape) for cell in page.rows]
        if page.rows and not any(type(one) is tuple for one in fitted):
            seen.discard(page.number)  # of another table, perhaps
        wrong = set() if shape.is_clustered else _out_of_order(page.rows)
        for index, one in enumerate(fitted):
            if isinstance(one, str):
                yield Lost(shape.name, one)
            elif index in wrong:
                astray.append(Found(shape.name, one, is_sure=True))
            else:
                yield Found(shape.name, one, is_sure=True)
    yield from astray  # last: another row may have the id that a damaged one says to have


def _out_of_order(cells: Sequence[Cell | str]) -> set[int]:
    """Which of the cells has an id that its neighbours say it cannot have."""
    there = [(index, one.row_id) for index, one in enumerate(cells) if isinstance(one, Cell)]
    return {
        index
        for (_, before), (index, row_id), (_, after) in zip(
            there, there[1:], there[2:], strict=False
        )
        if before < after and not before < row_id < after
    }


def _stray(
    reader: PageReader, number: int, tables: Mapping[str, TableShape]
) -> Iterator[Found | Lost]:
    """The rows of a page that nothing leads to: of the table that most of them fit."""
    kind = reader.kind(number)
    if kind not in (TABLE_LEAF, INDEX_LEAF):
        return
    try:
        page = reader.read(number)
    except DamagedError:
        return
    best: list[Found] = []
    for shape in tables.values():
        if shape.is_clustered != (page.kind not in (TABLE_LEAF, TABLE_NODE)):
            continue
        rows = (_fitted(cell, shape) for cell in page.rows)
        found = [
            Found(shape.name, row, is_sure=False)
            for row in rows
            if isinstance(row, tuple) and (shape.name != "sequences" or row[3] >= UNIX_NS_MIN)
        ]
        best = max(best, found, key=len)
    yield from best
    if best:
        for cell in page.rows:
            if isinstance(cell, str):
                yield Lost(best[0].table, cell)


def _fitted(cell: Cell | str, shape: TableShape) -> Row | str:
    """The cell as a row of that table, or why it is none."""
    if isinstance(cell, str):
        return cell
    row = list(cell.values)
    row += [one.default for one in shape.columns[len(row) :] if one.default is not None]
    if shape.row_id is not None and len(row) > shape.row_id:
        if row[shape.row_id] is not None:
            return f"row {cell.row_id}: its id is in it twice"
        row[shape.row_id] = cell.row_id
    if why := shape.misfit(row):
        return f"row {_name(row) if shape.is_clustered else cell.row_id}: {why}"
    return tuple(row)


def _judged(found: Found | Lost, journal: JournalReader) -> Found | Lost:
    """Without the rows of the journal that are not what was written."""
    if isinstance(found, Found) and found.table == "journal":
        read = journal.read(*found.row)
        if isinstance(read, DamagedRow):
            return Lost("journal", f"position {read.first}: {read.error}")
    return found


def _name(row: Row | list[object]) -> str:
    """What a person finds it by: no body, and not for ever."""
    return repr(row[0])[:80] if row else ""
