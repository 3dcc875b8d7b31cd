"""pytest plugin: the tests inside the installed Thespian, run on greenroom's authenticated base.

    make thespian-tcp

Nothing is copied and no test is edited: where Thespian's tests name their own multiprocTCPBase,
they get greenroom's, so all those for it run, and no others. Their messages are allowed.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Final

import pytest
from listed import Listed

from greenroom.runtime.secure import allowed, base
from greenroom.runtime.secure.allowed import ClassName
from greenroom.runtime.secure.secret import VARIABLE, Secret
from greenroom.runtime.secure.wire import LOOPBACK, configure

BASE: Final = "multiprocTCPBase"
HEADING: Final = "Thespian's own tests on the authenticated base"

# what nodes do not use, and these tests do: troupes, commands, and actors as source text
MODULES_OF_TESTS: Final = ("thespian.test.", "thespian.troupe", "thespian.runcommand")
SINGLE_CLASSES: Final[set[ClassName]] = {
    ("datetime", "datetime"),
    ("thespian.actors", "LoadedSource"),
    ("thespian.actors", "UnloadedSource"),
    ("thespian.actors", "ValidateSource"),
    ("thespian.actors", "ValidatedSource"),
    ("thespian.system.messages.admin", "NotifyOnSourceAvailability"),
    ("thespian.system.messages.admin", "RegisterSourceAuthority"),
    ("thespian.system.messages.convention", "SourceHashTransferReply"),
    ("thespian.system.messages.convention", "SourceHashTransferRequest"),
}


class TestsToo(dict[ClassName, type]):
    """What is allowed, and the classes that Thespian's tests send each other."""

    def __missing__(self, name: ClassName) -> type:
        """Find a class of the tests.

        Raises:
            KeyError: It is not theirs.
        """
        module, qualified_name = name
        if not module.startswith(MODULES_OF_TESTS) and name not in SINGLE_CLASSES:
            raise KeyError(name)
        found: object = importlib.import_module(module)
        for part in qualified_name.split("."):
            found = getattr(found, part)
        assert isinstance(found, type), "functions are not sent"
        self[name] = found
        return found


def is_left_out(node_id: str) -> bool:
    """Whether a test is for another base, for none, or passes messages on through admins."""
    return BASE not in node_id or "AdminRouting" in node_id


def pytest_configure(config: pytest.Config) -> None:
    """Put greenroom's base where Thespian's tests look for Thespian's."""
    os.environ.pop("PYTHONUNBUFFERED", None)  # testCommandAbort takes buffers for granted
    os.environ[VARIABLE] = "of these tests, which are on loopback only"
    configure(Secret.from_environment(), LOOPBACK)
    vars(allowed)["_allowed"] = TestsToo(vars(allowed)["_allowed"])
    sys.modules[f"thespian.system.{BASE}"] = base  # what ActorSystem("multiprocTCPBase") imports
    config.pluginmanager.register(Listed(HEADING, BASE, is_left_out))
