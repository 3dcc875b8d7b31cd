"""What a check found out about one vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from .compare import Difference, diff
from .vectors import Vector


class Verdict(Enum):
    """How a vector is counted."""

    PASSED = "passed"
    FAILED = "failed"
    ON_PURPOSE = "differs on purpose"


@dataclass(frozen=True, slots=True)
class Findings:
    """What differs from what was expected.

    Args:
        differences: Empty when nothing does.
        on_purpose: Slugs of `differences.REASONS`. Not empty: then the vector records what
            greenroom does otherwise, and `differences` are those from what it promises instead.
    """

    differences: tuple[Difference, ...] = ()
    on_purpose: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Failed where anything differs, also from what was promised instead."""
        if self.differences:
            return Verdict.FAILED
        return Verdict.ON_PURPOSE if self.on_purpose else Verdict.PASSED


@dataclass(frozen=True, slots=True)
class Result:
    """One vector's findings."""

    vector: Vector
    findings: Findings


Check: TypeAlias = Callable[[Vector], Findings]


def compared(expected: object, got: object, *on_purpose: str) -> Findings:
    """Plain data against plain data.

    Args:
        expected: What was recorded; with `on_purpose`, what greenroom promises instead.
        got: What greenroom does.
        on_purpose: The slugs of what is different.
    """
    return Findings(diff(expected, got), on_purpose)
