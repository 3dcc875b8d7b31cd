"""Each script runs in an interpreter of its own, as forks of a test runner are nobody's wish."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from greenroom.messages.calls import RoomStarted
from greenroom.testing.linked import FakeNode, fake_node
from greenroom.testing.patience import PATIENCE_SECONDS, wait_until

BEGIN: Final = """
import multiprocessing, os, sys, threading
import greenroom
from livekit.protocol.models import Room

def call(telemetry, name):
    telemetry.room_started(Room(sid="RM_1", name=name))

def fork(work):
    child = os.fork()
    if child == 0:
        work()
        sys.exit()
    assert os.waitpid(child, 0)[1] == 0

def child_of_spawn(address):
    call(greenroom.connect(address), "spawned")

if __name__ == "__main__":
    address = sys.argv[1]
    telemetry = greenroom.connect(address)
"""


def run(script: str, directory: Path, address: object, *, code: int = 0) -> str:
    """Run it, its lines put behind `BEGIN`; what it says."""
    file = directory / "script.py"
    file.write_text(BEGIN + "".join(f"    {line}\n" for line in script.strip().splitlines()))
    done = subprocess.run(
        [sys.executable, str(file), str(address)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def names(node: FakeNode) -> Counter[str]:
    return Counter(call.room.name for call in node.shard.taken if isinstance(call, RoomStarted))


def test_the_end_of_the_interpreter_right_after_a_call_delivers_it(
    node: FakeNode, directory: Path
) -> None:
    assert run('call(telemetry, "last")', directory, node.address) == ""

    assert names(node) == {"last": 1}


def test_an_exception_that_ends_the_interpreter_delivers_what_was_called(
    node: FakeNode, directory: Path
) -> None:
    run('call(telemetry, "last")\nraise SystemExit(3)', directory, node.address, code=3)

    assert names(node) == {"last": 1}


def test_without_a_node_the_interpreter_ends_all_the_same(directory: Path) -> None:
    said = run('call(telemetry, "lost")', directory, directory / "none.sock")

    assert said == ""  # nobody configured logging


FORKS: Final = {
    "before the first call": """
fork(lambda: call(telemetry, "child"))
call(telemetry, "parent")
""",
    "after the first call": """
call(telemetry, "parent")
fork(lambda: call(telemetry, "child"))
""",
    "while connected": """
call(telemetry, "parent")
assert telemetry.sync()
fork(lambda: call(telemetry, "child"))
""",
    "a child that syncs and ends without a word": """
call(telemetry, "parent")
def work():
    call(telemetry, "child")
    assert telemetry.sync()
    os._exit(0)
fork(work)
""",
    "a grandchild": """
call(telemetry, "parent")
fork(lambda: fork(lambda: call(telemetry, "child")))
""",
    "a child that closes": """
call(telemetry, "parent")
def work():
    call(telemetry, "child")
    assert telemetry.close()
fork(work)
""",
    "multiprocessing": """
call(telemetry, "parent")
child = multiprocessing.get_context("fork").Process(target=call, args=(telemetry, "child"))
child.start()
child.join()
""",
    "multiprocessing before the first call": """
child = multiprocessing.get_context("fork").Process(target=call, args=(telemetry, "child"))
child.start()
child.join()
call(telemetry, "parent")
""",
}


@pytest.mark.parametrize("script", FORKS.values(), ids=FORKS.keys())
def test_calls_of_a_forked_child_and_of_its_parent_arrive_once_each(
    node: FakeNode, directory: Path, script: str
) -> None:
    run(script, directory, node.address)

    assert names(node) == {"parent": 1, "child": 1}


def test_a_child_forked_while_threads_call_has_only_its_own_calls(
    node: FakeNode, directory: Path
) -> None:
    script = """
def work():
    for _ in range(2_000):
        call(telemetry, "parent")
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for _ in range(8):
    fork(lambda: call(telemetry, "child"))
for thread in threads:
    thread.join()
"""
    run(script, directory, node.address)

    assert names(node) == {"parent": 8_000, "child": 8}


def test_calls_made_while_no_node_was_there_are_not_the_childs_too(directory: Path) -> None:
    script = """
call(telemetry, "parent")
fork(lambda: call(telemetry, "child"))
print("forked", file=open(sys.argv[1] + ".forked", "w"))
assert telemetry.sync()
"""
    file = directory / "script.py"
    file.write_text(BEGIN + "".join(f"    {line}\n" for line in script.strip().splitlines()))
    socket = directory / "n.sock"
    parent = subprocess.Popen([sys.executable, str(file), str(socket)])
    wait_until(lambda: Path(f"{socket}.forked").exists())
    with fake_node(directory) as node:
        assert parent.wait(PATIENCE_SECONDS) == 0
        assert names(node)["parent"] == 1


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_children_made_from_scratch_deliver_before_they_end(
    node: FakeNode, directory: Path, method: str
) -> None:
    script = f"""
context = multiprocessing.get_context("{method}")
child = context.Process(target=child_of_spawn, args=(address,))
child.start()
child.join()
assert child.exitcode == 0
"""
    run(script, directory, node.address)

    assert names(node) == {"spawned": 1}


def test_workers_of_a_pool_deliver_before_the_pool_ends(node: FakeNode, directory: Path) -> None:
    script = """
from concurrent.futures import ProcessPoolExecutor
with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
    list(pool.map(child_of_spawn, [address] * 4))
"""
    run(script, directory, node.address)

    assert names(node) == {"spawned": 4}


def test_a_telemetry_that_was_closed_is_closed_in_a_child_too(
    node: FakeNode, directory: Path
) -> None:
    script = """
call(telemetry, "parent")
telemetry.close()
def work():
    try:
        call(telemetry, "child")
    except greenroom.SystemClosedError:
        return
    os._exit(1)
fork(work)
"""
    run(script, directory, node.address)

    assert names(node) == {"parent": 1}


def test_a_child_leaves_the_parents_connection_alone(node: FakeNode, directory: Path) -> None:
    script = """
call(telemetry, "parent")
assert telemetry.sync()
fork(lambda: None)
fork(lambda: call(telemetry, "child"))
call(telemetry, "parent")
assert telemetry.sync()
assert telemetry.statistics().connects == 1
"""
    run(script, directory, node.address)

    assert names(node) == {"parent": 2, "child": 1}


HEAVY: Final = ("asyncio", "thespian", "aiohttp", "uvloop", "sqlite3")


def test_connecting_imports_no_framework_and_starts_no_thread(directory: Path) -> None:
    script = f"""
heavy = [name for name in {HEAVY!r} if name in sys.modules]
assert not heavy, heavy
assert threading.active_count() == 1
call(telemetry, "first")
heavy = [name for name in {HEAVY!r} if name in sys.modules]
assert not heavy, heavy
telemetry.close(0.0)
"""
    run(script, directory, directory / "none.sock")
