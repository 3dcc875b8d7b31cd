"""What both plugins share: the names of the tests that must not pass, and a check that it is so.

docs/thespian-conformance.md has one part for each base. The list of a part is exact: a test that
is not on it has to pass, one that is on it must not, and a name that no test has is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final

import pytest

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "thespian-conformance.md"
NAME: Final = re.compile(r"^- `([^`]+)`$", re.MULTILINE)

# Nearly all of the time is sleep, in a few tests: what sleeps longest starts first.
SLOWEST_FIRST: Final = ("SmallHive", "-100]", "test_troupe", "threadedExternal", "sourceLoading")


class StaleName(pytest.Item):
    """Fails, because a name on the list is not that of any test."""

    def runtest(self) -> None:
        """Fail."""
        pytest.fail(f"no such test: take it out of {DOCUMENT.name}", pytrace=False)


class Listed:
    """The hooks of a plugin whose tests have a list of those that must not pass.

    Args:
        heading: Of the document's part about the base.
        base: The parameter that stands for the base in the tests' names.
        left_out: Whether a test of this name is not for this base.
    """

    def __init__(self, heading: str, base: str, left_out: Callable[[str], object]) -> None:
        self._base = base
        self._left_out = left_out
        parts = DOCUMENT.read_text("utf-8").split("\n# ")
        (part,) = (part for part in parts if part.removeprefix("# ").startswith(f"{heading}\n"))
        self._names = set(NAME.findall(part))

    def name_of(self, node_id: str) -> str:
        """`test_troupe.py::testHive`, with the parameters that are not the base."""
        base, name = self._base, node_id.rpartition("/")[2]
        return name.replace(f"-{base}]", "]").replace(f"[{base}-", "[").replace(f"[{base}]", "")

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Leave out what is not for this base; put in front what takes long; check the names."""
        others = [item for item in items if self._left_out(item.nodeid)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]
        for name in sorted(self._names - {self.name_of(item.nodeid) for item in items}):
            items.append(StaleName.from_parent(items[0].session, name=f"stale: {name}"))
        items.sort(key=lambda item: _rank(item.nodeid))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Compare what happened with the list."""
        report = yield
        name = self.name_of(item.nodeid)
        if name not in self._names:
            if report.skipped:
                report.outcome = "failed"
                report.longrepr = f"{name} was skipped, and is not in {DOCUMENT.name}"
        elif report.failed and call.when == "call":
            report.outcome = "skipped"  # expected to fail
            report.wasxfail = f"is in {DOCUMENT.name}"
        elif report.passed and call.when == "call":
            report.outcome = "failed"
            report.longrepr = f"{name} passes: take it out of {DOCUMENT.name}"
        return report


def _rank(node_id: str) -> int:
    ranks = (rank for rank, part in enumerate(SLOWEST_FIRST) if part in node_id)
    return next(ranks, len(SLOWEST_FIRST))
