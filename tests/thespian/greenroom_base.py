"""pytest plugin: the tests inside the installed Thespian, run on greenroom's in-process base.

    make thespian

Nothing is copied and no test is edited: the fixture that gives Thespian's tests their actor system
gives them one on the base "greenroomBase". docs/thespian-conformance.md names the tests that
cannot apply to actors in one process, and why. The list is exact: a test that is not on it has to
pass, one that is on it must not, and a name that no test has is an error.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import pytest
from thespian.actors import ActorSystem

from greenroom.runtime import by_name

BASE: Final = "greenroomBase"
LIST: Final = Path(__file__).parents[2] / "docs" / "thespian-conformance.md"
OTHER_BASE: Final = re.compile(r"\[.*(simpleSystemBase|multiproc\w+Base)")
NAME: Final = re.compile(r"^- `([^`]+)`$", re.MULTILINE)

# Nearly all of the time is sleep, in a few tests: what sleeps longest starts first.
SLOWEST_FIRST: Final = ("SmallHive", "-100]", "test_troupe", "threadedExternal", "sourceLoading")
CAPABILITIES: Final = {
    "Foo Allowed": True,
    "Cows Allowed": True,
    "Dogs Allowed": True,
    "dog": "food",
}

sys.modules[f"thespian.system.{BASE}"] = by_name  # what ActorSystem("greenroomBase") imports
thespian_test: Any = importlib.import_module("thespian.test")  # has no type information


@pytest.fixture(params=[BASE])
def asys(request: pytest.FixtureRequest) -> Generator[Any]:
    """In the place of Thespian's own fixture, which goes through Thespian's bases."""
    system: Any = ActorSystem(BASE, capabilities=CAPABILITIES, logDefs=False, transientUnique=True)
    system.base_name, system.port_num, system.txonly = BASE, None, False
    yield system
    system.shutdown()


def actor_system_unsupported(system: Any, *bases: str) -> None:
    """Skip what neither simpleSystemBase nor the queue base can do: several systems."""
    if {"simpleSystemBase", "multiprocQueueBase"} <= set(bases):
        pytest.skip("needs several systems")


class LocallyManaged:
    """Has the unittest classes start greenroom's base where they would start the simple one."""

    original = thespian_test.LocallyManagedActorSystem.setSystemBase

    def setSystemBase(  # noqa: N802  # Thespian's name
        self,
        newBase: str = BASE,  # noqa: N803
        systemCapabilities: object = None,  # noqa: N803
        logDefs: object = "BestForBase",  # noqa: N803
    ) -> None:
        """As the original, with another default."""
        base = BASE if newBase == "simpleSystemBase" else newBase
        LocallyManaged.original(self, base, systemCapabilities, logDefs)


# before the test modules say `from thespian.test import *`
thespian_test.asys = asys
thespian_test.actor_system_unsupported = actor_system_unsupported
thespian_test.LocallyManagedActorSystem.setSystemBase = LocallyManaged.setSystemBase


def read_list(text: str) -> set[str]:
    """The names on the list: what stands in backquotes, alone in an item."""
    return set(NAME.findall(text))


LISTED: Final = read_list(LIST.read_text("utf-8"))


def name_of(node_id: str) -> str:
    """`test_troupe.py::testHive`, with the parameters that are not the base."""
    name = node_id.rpartition("/")[2]
    return name.replace(f"-{BASE}]", "]").replace(f"[{BASE}-", "[").replace(f"[{BASE}]", "")


class StaleName(pytest.Item):
    """Fails, because a name on the list is not that of any test."""

    def runtest(self) -> None:
        """Fail."""
        pytest.fail(f"no such test: take it out of {LIST.name}", pytrace=False)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what names another base; put in front what takes long; check the list's names."""
    others = [item for item in items if OTHER_BASE.search(item.nodeid)]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]
    for name in sorted(LISTED - {name_of(item.nodeid) for item in items}):
        items.append(StaleName.from_parent(items[0].session, name=f"stale: {name}"))
    items.sort(key=lambda item: _rank(item.nodeid))


def _rank(node_id: str) -> int:
    ranks = (rank for rank, part in enumerate(SLOWEST_FIRST) if part in node_id)
    return next(ranks, len(SLOWEST_FIRST))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Compare what happened with the list."""
    report = yield
    name = name_of(item.nodeid)
    if name not in LISTED:
        if report.skipped:
            report.outcome = "failed"
            report.longrepr = f"{name} was skipped, and is not in {LIST.name}"
    elif report.failed and call.when == "call":
        report.outcome = "skipped"  # expected to fail
        report.wasxfail = f"is in {LIST.name}"
    elif report.passed and call.when == "call":
        report.outcome = "failed"
        report.longrepr = f"{name} passes: take it out of {LIST.name}"
    return report
