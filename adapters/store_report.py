"""What is said of a store's files: findings, each with what to do next."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

REPAIR: Final = "stop greenroom and run `greenroom store repair`"


class FindingKind(StrEnum):
    """What is the matter."""

    MISSING = "missing"  # the database's file
    NOT_A_FILE = "not_a_file"
    EMPTY = "empty"
    NOT_A_DATABASE = "not_a_database"
    TRUNCATED = "truncated"
    UNREADABLE = "unreadable"  # by the disk, or without permission
    MALFORMED = "malformed"
    LOG = "log"  # the write-ahead log
    SCHEMA = "schema"
    OLDER = "older"
    NEWER = "newer"
    ROWS = "rows"  # with values that no greenroom wrote
    JOURNAL_ROW = "journal_row"
    JOURNAL_OVERLAP = "journal_overlap"
    BUSY = "busy"


class Severity(StrEnum):
    """How bad it is."""

    NOTE = "note"
    DAMAGE = "damage"
    UNUSABLE = "unusable"  # nothing can be said, or not by this greenroom


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be, and what to do next."""

    kind: FindingKind
    severity: Severity
    text: str
    advice: str


@dataclass(slots=True)
class JournalSummary:
    """The journal; positions are 0 while there is none."""

    first: int = 0
    last: int = 0
    rows: int = 0
    inputs: int = 0
    damaged: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class StoreReport:
    """What was found in one directory.

    Args:
        directory: It.
        process: The pid of the one that holds it; empty: nobody.
        schema: Version of the database; None: it cannot be read.
        is_intact: SQLite's integrity_check; None: it could not be asked.
        tables: Rows of each table; None: they cannot be counted.
        journal: None: there is no such table, or it cannot be read.
        checkpoint: Its position; None: there is none.
        findings: In the order in which they came up.
    """

    directory: Path
    process: str = ""
    schema: int | None = None
    is_intact: bool | None = None
    tables: dict[str, int | None] = field(default_factory=dict)
    journal: JournalSummary | None = None
    checkpoint: int | None = None
    findings: list[Finding] = field(default_factory=list)

    def has(self, severity: Severity) -> bool:
        """Whether one of the findings is that bad."""
        return any(one.severity is severity for one in self.findings)

    def add(
        self,
        kind: FindingKind,
        text: str,
        advice: str = REPAIR,
        severity: Severity = Severity.DAMAGE,
    ) -> None:
        """One more finding."""
        self.findings.append(Finding(kind, severity, text, advice))
