"""pytest plugin: the tests inside the installed Thespian, run on greenroom's in-process base.

    make thespian

Nothing is copied and no test is edited: the fixture that gives Thespian's tests their actor system
gives them one on the base "greenroomBase". docs/thespian-conformance.md names the tests that
cannot apply to actors in one process, and why.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Generator
from typing import Any, Final

import pytest
from listed import Listed
from thespian.actors import ActorSystem

from greenroom.runtime import by_name

BASE: Final = "greenroomBase"
HEADING: Final = "Thespian's own tests on the in-process base"
OTHER_BASE: Final = re.compile(r"\[.*(simpleSystemBase|multiproc\w+Base)")
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


def pytest_configure(config: pytest.Config) -> None:
    """Compare what happens with the list."""
    config.pluginmanager.register(Listed(HEADING, BASE, OTHER_BASE.search))
