"""What a row of each table looks like in each version of the schema."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from .schema import MIGRATIONS

Row: TypeAlias = tuple[Any, ...]
SEQUENCE_TABLE: Final = "sqlite_sequence"  # SQLite's own: the last id of each AUTOINCREMENT
_KINDS: Final = MappingProxyType({"INTEGER": int, "TEXT": str, "BLOB": bytes})


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `default` stands in the rows that are older than it."""

    name: str
    kind: type
    may_be_null: bool
    default: int | None


@dataclass(frozen=True, slots=True)
class TableShape:
    """A table.

    Args:
        name: Its name.
        columns: In their order.
        row_id: Which column is SQLite's rowid; None: the rowid has no name.
        is_clustered: WITHOUT ROWID: its rows are an index.
    """

    name: str
    columns: tuple[Column, ...]
    row_id: int | None
    is_clustered: bool

    def misfit(self, row: Sequence[object]) -> str:
        """Why that cannot be a row of it; empty: it can."""
        if len(row) != len(self.columns):
            return f"{len(row)} values, expected {len(self.columns)}"
        for column, value in zip(self.columns, row, strict=True):
            if value is None and column.may_be_null:
                continue
            if type(value) is not column.kind:
                found = "nothing" if value is None else f"a value of type {type(value).__name__}"
                return f"{column.name} has {found}"
        if self.name == SEQUENCE_TABLE and row[0] not in shapes(len(MIGRATIONS)):
            return f"no table {row[0]!r}"
        return ""


@cache
def shapes(version: int) -> MappingProxyType[str, TableShape]:
    """The tables of a version of the schema, by name."""
    found = {}
    with closing(new_schema(sqlite3.connect(":memory:", isolation_level=None), version)) as empty:
        for name, text in definitions(empty, "table").items():
            columns, keys = [], []
            info = empty.execute(f"PRAGMA table_info({name})").fetchall()
            for number, (_, column, kind, not_null, default, key) in enumerate(info):
                known = _KINDS.get(kind)
                if known is None:  # of sqlite_sequence, which declares none
                    known = str if column == "name" else int
                value = int(default) if default and default.isdigit() else None
                may_be_null = not not_null and not key and name != SEQUENCE_TABLE
                columns.append(Column(column, known, may_be_null, value))
                if key:
                    keys.append(number)
            is_clustered = "WITHOUT ROWID" in text.upper()
            has_row_id = len(keys) == 1 and columns[keys[0]].kind is int and not is_clustered
            row_id = keys[0] if has_row_id else None
            found[name] = TableShape(name, tuple(columns), row_id, is_clustered)
    return MappingProxyType(found)


def new_schema(connection: sqlite3.Connection, version: int) -> sqlite3.Connection:
    """Give an empty database the schema of that version; returns it."""
    for statements in MIGRATIONS[:version]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {version}")
    return connection


def definitions(connection: sqlite3.Connection, kind: str = "") -> dict[str, str]:
    """The statement that made each table and index ("table", "index", "": both), by name."""
    rows = connection.execute(
        "SELECT name, coalesce(sql, '') FROM sqlite_master WHERE ? IN ('', type)", (kind,)
    )
    return dict(rows.fetchall())


@cache
def schema(version: int) -> MappingProxyType[str, str]:
    """`definitions` of a database of that version."""
    with closing(new_schema(sqlite3.connect(":memory:", isolation_level=None), version)) as empty:
        return MappingProxyType(definitions(empty))
