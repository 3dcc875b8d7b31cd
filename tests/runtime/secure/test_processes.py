"""A node is one unit: its processes end together, and nobody else's do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final

import pytest
from thespian.actors import ActorExitRequest, ActorSystem

from greenroom.errors import ConfigError, LifecycleError
from greenroom.runtime.secure.system import (
    join_system,
    kill_system,
    processes_of,
    start_system,
)
from greenroom.testing.loopback import unused_port
from greenroom.testing.patience import PATIENCE_SECONDS, wait_until

from .probes import (
    OTHER_SECRET,
    QUIET,
    SECRET,
    Node,
    Probe,
    all_pids,
    is_free,
    is_gone,
    running,
)

ROOT: Final = Path(__file__).parents[3]
SECRET_TEXT: Final = "a secret of the tests, on loopback"

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's part is Linux's")


@needs_linux
def test_all_end_with_the_admin_however_it_ends_and_its_port_is_free(node: Node) -> None:
    admin, *others = all_pids(node)

    os.kill(admin, signal.SIGKILL)

    wait_until(lambda: all(is_gone(pid) for pid in (admin, *others)))
    wait_until(lambda: is_free(node.port))


@needs_linux
@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_all_end_with_the_process_that_started_them(start_method: str) -> None:
    port = unused_port()
    command = [sys.executable, "-m", "tests.runtime.secure.host", str(port), start_method]
    environment = {**os.environ, "GREENROOM_SECRET": SECRET_TEXT}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, cwd=ROOT
    ) as host:
        assert host.stdout is not None
        pids = [int(pid) for pid in host.stdout.readline().split()]
        assert len(pids) == 4
        assert not any(is_gone(pid) for pid in pids)

        host.kill()

        wait_until(lambda: all(is_gone(pid) for pid in pids))
        wait_until(lambda: is_free(port))


@needs_linux
def test_the_children_of_an_actor_end_with_it_and_nothing_else_does(node: Node) -> None:
    parent = node.system.createActor(Probe)
    child = node.ask("child", parent)
    parent_pid, child_pid = node.ask("pid", parent), node.ask("pid", child)

    os.kill(parent_pid, signal.SIGKILL)

    wait_until(lambda: is_gone(parent_pid) and is_gone(child_pid))
    assert node.is_well()


@needs_linux
def test_the_children_of_an_actor_end_with_it_even_if_it_is_to_leave_them(node: Node) -> None:
    parent = node.system.createActor(Probe)
    child_pid = node.ask("pid", node.ask("child", parent))

    node.system.tell(parent, ActorExitRequest(recursive=False))

    wait_until(lambda: is_gone(child_pid))


def test_a_parent_is_told_that_its_child_was_killed(node: Node) -> None:
    child = node.ask("child")

    os.kill(node.ask("pid", child), signal.SIGKILL)

    wait_until(lambda: node.ask("exited") == 1)


def test_all_end_with_the_logger_which_no_actor_could_reach_if_it_came_back(
    node: Node,
) -> None:
    pids = all_pids(node)

    os.kill(processes_of(node.system).logger, signal.SIGKILL)

    wait_until(lambda: all(is_gone(pid) for pid in pids))
    wait_until(lambda: is_free(node.port))


def test_nothing_is_left_after_a_shutdown() -> None:
    with running() as node:
        pids = all_pids(node)

    wait_until(lambda: all(is_gone(pid) for pid in pids))
    assert is_free(node.port)


def test_a_forked_child_does_not_end_the_system_of_its_parent(node: Node) -> None:
    child = os.fork()
    if child == 0:
        try:
            node.system.shutdown()
        finally:
            os._exit(0)
    os.waitpid(child, 0)

    assert node.is_well()


@needs_linux
def test_nothing_is_left_after_a_kill(node: Node) -> None:
    pids = all_pids(node)

    kill_system(node.system)

    wait_until(lambda: all(is_gone(pid) for pid in pids))


def test_whoever_joined_a_system_can_leave_it_and_not_end_it(node: Node) -> None:
    joined = join_system(admin_port=node.port, secret=SECRET)

    assert joined.ask(node.actor, "hello", PATIENCE_SECONDS) == "hello"
    with pytest.raises(LifecycleError, match="only joined"):
        processes_of(joined)

    joined.shutdown()

    assert node.is_well()


def test_a_system_with_another_secret_is_not_joined(node: Node) -> None:
    command = [sys.executable, "-m", "tests.runtime.secure.joiner", str(node.port)]

    with pytest.raises(subprocess.CalledProcessError) as failed:
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)

    assert "does not answer as an actor system with this secret" in failed.value.stderr


def test_joining_starts_nothing() -> None:
    port = unused_port()

    with pytest.raises(LifecycleError, match="no actor system runs at"):
        join_system(admin_port=port, secret=SECRET)

    assert is_free(port)


def test_a_port_that_is_taken_is_told(node: Node) -> None:
    with pytest.raises(LifecycleError, match="is in use"):
        start_system({}, admin_port=node.port, secret=SECRET, log_config=QUIET)


def test_one_process_has_one_secret(node: Node) -> None:
    with pytest.raises(ConfigError, match="another secret"):
        join_system(admin_port=node.port, secret=OTHER_SECRET)


def test_a_system_is_started_on_the_main_thread_only() -> None:
    raised: list[BaseException] = []

    def start() -> None:
        try:
            start_system({}, admin_port=unused_port(), secret=SECRET)
        except LifecycleError as error:
            raised.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join(PATIENCE_SECONDS)

    assert "main thread" in str(raised[0])


@pytest.mark.parametrize("address", ["0.0.0.0", "", "::1", "localhost", "224.0.0.1"])
def test_an_address_that_is_not_one_of_one_interface_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="bind"):
        start_system({}, admin_port=unused_port(), secret=SECRET, bind=address)


def test_a_node_listens_on_the_given_address_only() -> None:
    port = unused_port()
    system = start_system({}, admin_port=port, secret=SECRET, bind="127.0.0.2", log_config=QUIET)
    try:
        assert is_free(port)  # on 127.0.0.1
        actor = system.createActor(Probe)
        details: Any = actor.addressDetails
        assert details.endpoint[0] == "127.0.0.2"
        assert system.ask(actor, "hello", PATIENCE_SECONDS) == "hello"
    finally:
        system.shutdown()


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigError, match="not an address of this machine"):
        start_system({}, admin_port=unused_port(), secret=SECRET, bind="192.0.2.1")


@pytest.mark.parametrize("capability", ["Admin Routing", "Outbound Only"])
def test_what_would_pass_messages_on_is_refused(capability: str) -> None:
    with pytest.raises(ConfigError, match=capability):
        start_system({capability: True}, admin_port=unused_port(), secret=SECRET)


def test_the_secret_is_not_in_the_capabilities(node: Node) -> None:
    assert SECRET_TEXT not in repr(node.system.capabilities)


def test_an_actor_system_of_its_own_is_not_what_thespian_gives_to_everybody(node: Node) -> None:
    assert getattr(ActorSystem, "systemBase", None) is None
