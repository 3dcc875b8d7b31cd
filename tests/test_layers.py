"""`core` and `messages` decide without I/O: what import contracts cannot see, read from the code.

pyproject.toml holds the contracts about who imports whom; `make check` runs them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent
PURE: Final = sorted([*ROOT.glob("core/**/*.py"), *ROOT.glob("messages/**/*.py")])

IMPURE_MODULES: Final = {
    "aiohttp",
    "asyncio",
    "http",
    "logging",
    "multiprocessing",
    "os",
    "queue",
    "random",
    "secrets",
    "select",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "thespian",
    "threading",
    "time",
    "uuid",
}
# attributes that read the clock, of whatever they are called on
CLOCK_READS: Final = {"GetCurrentTime", "now", "today", "utcnow"}  # the first is protobuf's
IMPURE_BUILTINS: Final = {"input", "open", "print"}


def impurities(code: str) -> Iterator[str]:
    """Each import and use, as `line: what`, that makes this code depend on more than its input."""
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Import(names=names):
                found = [name.name for name in names if name.name.split(".")[0] in IMPURE_MODULES]
            case ast.ImportFrom(module=str(module), level=0):
                found = [module] if module.split(".")[0] in IMPURE_MODULES else []
            case ast.Call(func=ast.Attribute(attr=attr)) if attr in CLOCK_READS:
                found = [f".{attr}()"]
            case ast.Call(func=ast.Name(id=name)) if name in IMPURE_BUILTINS:
                found = [f"{name}()"]
            case ast.Global(names=names):
                found = [f"global {', '.join(names)}"]
            case _:
                continue
        yield from (f"{node.lineno}: {what}" for what in found)


@pytest.mark.parametrize("path", PURE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_in_core_or_messages_knows_the_world(path: Path) -> None:
    assert list(impurities(path.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import time", ["1: time"]),
        ("import http.client as client", ["1: http.client"]),
        ("from random import random", ["1: random"]),
        ("def late():\n    import logging", ["2: logging"]),
        ("from datetime import datetime\ndatetime.now()", ["2: .now()"]),
        ("import datetime\ndatetime.datetime.utcnow()", ["2: .utcnow()"]),
        ("stamp.GetCurrentTime()", ["1: .GetCurrentTime()"]),
        ("print(1)", ["1: print()"]),
        ("from .times import now_ns\nfrom ..messages import ids", []),
        ("from datetime import datetime\ndatetime.fromtimestamp(at)", []),
        ("import time_machine", []),
    ],
    ids=str,
)
def test_the_scan_finds_what_reads_the_world_and_only_that(code: str, found: list[str]) -> None:
    assert list(impurities(code)) == found
