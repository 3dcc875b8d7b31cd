"""pytest plugin: the tests inside the installed Thespian, run on greenroom's authenticated base."""

from __future__ import annotations

import importlib
import os
import re
import sys
from typing import Any, Final

import pytest

if not os.environ.get("PLAIN"):
    os.environ["GREENROOM_SECRET"] = "only for these tests, on loopback"
    from greenroom.runtime.secure import allowed, base
    from greenroom.runtime.secure.secret import Secret
    from greenroom.runtime.secure.wire import LOOPBACK, configure

    configure(Secret.from_environment(), LOOPBACK)
    sys.modules["thespian.system.multiprocTCPBase"] = base

    class _TestsToo(dict):
        def __missing__(self, name):
            module, qualname = name
            if module.startswith("thespian.test.") or name in SENT_BY_TESTS:
                found = importlib.import_module(module)
                for part in qualname.split("."):
                    found = getattr(found, part)
                self[name] = found
                return found
            raise KeyError(name)

    SENT_BY_TESTS: Final = {
        ("thespian.actors", "LoadedSource"),
        ("thespian.actors", "UnloadedSource"),
        ("thespian.actors", "ValidateSource"),
        ("thespian.actors", "ValidatedSource"),
        ("thespian.system.messages.admin", "RegisterSourceAuthority"),
        ("thespian.system.messages.admin", "NotifyOnSourceAvailability"),
        ("thespian.system.messages.convention", "SourceHashTransferRequest"),
        ("thespian.system.messages.convention", "SourceHashTransferReply"),
        ("thespian.troupe", "UpdateTroupeSettings"),
        ("thespian.troupe", "_TroupeMemberReady"),
        ("thespian.troupe", "_TroupeWork"),
    }
    allowed._allowed = _TestsToo(allowed._allowed)

OTHER = re.compile(r"simpleSystemBase|multiprocQueueBase|multiprocUDPBase|AdminRouting")


def pytest_collection_modifyitems(config, items):
    others = [i for i in items if OTHER.search(i.nodeid)]
    config.hook.pytest_deselected(items=others)
    items[:] = [i for i in items if i not in others]
    slow = ("SmallHive", "-100]", "test_troupe", "threadedExternal", "sourceLoading")
    items.sort(key=lambda i: next((r for r, p in enumerate(slow) if p in i.nodeid), 9))
