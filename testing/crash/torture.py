"""Rounds of killing a node, or a process with greenroom in it, under load; and the accounts."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from ...core.placement import Placement, room_route
from ...link.client import connect
from ...node.alive import is_alive
from ..nodes import RunningNode
from ..patience import wait_until
from ..webhook_site import KEYS
from .books import Finding
from .load import Caller
from .plan import FLUSH_SECONDS, WHOLE, Round, rounds
from .processes import MARK, Helper, left_over, pause, tree_of
from .records import Records, Summary

SHARDS: Final = 2
NODE_ID: Final = "torture"
PROBER: Final = "prober"
RECOVERY_SECONDS: Final = 60.0
Say = Callable[[str], None]


class NodeTorture:
    """A node, its clients, and who kills them.

    Args:
        directory: For all files; a short path, as it has the sockets.
        seed: Of the plan and the calls.
        clients: Processes that call.
        rate: Calls a second, of each client.
        options: More for the command line of the node.
    """

    def __init__(
        self,
        directory: Path,
        seed: int,
        *,
        clients: int = 3,
        rate: float = 300.0,
        options: tuple[str, ...] = (),
    ) -> None:
        self._directory = directory
        self._seed = seed
        self._rate = rate
        self._records = Records(directory, seed)
        self.summary = self._records.summary
        self._chance = random.Random(seed)
        self._config = directory / "greenroom.yaml"
        self._options = (
            *("--shards", str(SHARDS), "--node-id", NODE_ID, "--config", str(self._config)),
            *("--data-dir", str(directory / "data")),
            *("--analytics-dir", str(self._records.analytics_dir)),
            *options,
        )
        self._clients: dict[str, Helper] = {}
        self._born = 0
        self._node = self._start()
        self._own_client = connect(self._node.address)
        self._prober = Caller(self._own_client, self._records.open_ledger(PROBER), PROBER, seed)
        self._rooms = _room_on_each_shard()
        for _ in range(clients):
            self._new_client()

    def play(self, plan: Round) -> None:
        """One round.

        Raises:
            AssertionError: The node does not come back.
        """
        pause(plan.load_seconds)
        before = self._node.wait_ready()["shards"]
        began = time.monotonic()
        killed: dict[int, str] = {}
        for number, victim in enumerate(plan.victims):
            if number:
                pause(plan.apart_seconds)
            killed |= self._kill(victim, before)
            self.summary.killed[victim] += 1
        gone = {*killed}
        if not all(name.startswith("shard") for name in killed.values()):
            gone |= {*before}  # the shards ended with whoever it was
        self._recover(plan, gone)
        self.summary.recovered(" + ".join(sorted(plan.victims)), time.monotonic() - began)
        self.summary.rounds += 1

    def account(self, when: str) -> list[Finding]:
        """Have the clients pause, and account for everything."""
        self._records.pause(self._clients)
        self._prober.flush()
        assert self._prober.sync(RECOVERY_SECONDS)
        found = self._records.account(when, lambda: self._node.get("/metrics")[1])
        for client in self._clients.values():
            client.tell("go")
        return found

    def progress(self) -> str:
        """A line about it."""
        return self._records.progress()

    def close(self) -> list[int]:
        """End everything; the processes that are left over all the same."""
        for client in self._clients.values():
            client.close()
        self._own_client.close(0.0)  # else its thread goes on looking for the node
        self._node.close()
        self._records.site.close()
        with suppress(AssertionError):
            wait_until(lambda: not left_over(self._directory))
        return left_over(self._directory)

    def _start(self) -> RunningNode:
        flush_seconds = self._chance.choice(FLUSH_SECONDS)
        webhook = {"urls": [self._records.url], "api_key": "APIkey", "allow_private": True}
        times = {"flush_interval_seconds": flush_seconds, "close_wait_seconds": 5.0}
        self._config.write_text(  # JSON is YAML
            json.dumps({"keys": KEYS, "webhook": webhook, "greenroom": times})
        )
        mark = {MARK: str(self._directory)}
        return RunningNode(self._directory, *self._options, environment=mark)

    def _new_client(self) -> None:
        self._born += 1
        name = f"client{self._born}"
        ledger, address = self._records.ledger(name), self._node.address
        self._clients[name] = Helper(
            *("client", ledger, name, self._seed, self._rate, address), directory=self._directory
        )

    def _kill(self, victim: str, shards: list[int]) -> dict[int, str]:
        """End it; which processes of the node that were, by their names."""
        if victim == "client":
            name = random.Random(f"{self._seed} {self._born}").choice([*self._clients])
            self._clients.pop(name).kill()
            self._new_client()
            return {}
        tree = tree_of(self._node.pid, shards)
        if victim == "SIGTERM":
            self._node.terminate()
            names = ["watcher"]
        elif victim in WHOLE:
            names = ["watcher"] if victim == "watcher" else [*tree]
            random.Random(self._born).shuffle(names)
        else:  # in the midst of a recovery it may not be there: then whoever is to make it
            names = [victim if victim in tree else [*tree][-1]]
        victims = {tree[name]: name for name in names}
        if victim != "SIGTERM":
            for pid in victims:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if self._node.pid in victims:
            self._node.wait()
            wait_until(lambda: not any(map(is_alive, tree.values())))
            self._node = self._start()
        return victims

    def _recover(self, plan: Round, killed: set[int]) -> None:
        limit = time.monotonic() + RECOVERY_SECONDS
        for room in self._rooms:
            self._prober.start_room(room)
        if not self._prober.sync(RECOVERY_SECONDS):
            raise AssertionError(f"calls do not take effect after round {plan}\n{self._node.log}")
        while True:
            seen = self._node.health()
            living = seen.get("shards", [])
            if seen.get("ready") and not killed & set(living) and all(map(is_alive, living)):
                return
            assert time.monotonic() < limit, f"not ready after round {plan}: {seen}"
            pause(0.01)


def _room_on_each_shard() -> list[str]:
    names = [f"{NODE_ID}/{number}" for number in range(SHARDS)]
    placement = Placement(names)
    found: dict[str, str] = {}
    number = 0
    while len(found) < SHARDS:
        number += 1
        name = f"probe-{number}"
        found.setdefault(placement.owner(room_route(name, "")), name)
    return [*found.values()]


def torture(
    directory: Path,
    seed: int,
    count: int,
    *,
    each: int = 25,
    say: Say = print,
    keep_going: bool = False,
) -> Summary:
    """Play so many rounds with one data directory.

    Args:
        directory: Of the run.
        seed: Of the plan.
        count: Rounds.
        each: Rounds between two accounts.
        say: Told what happens.
        keep_going: Whether to go on when something was found.
    """
    run = NodeTorture(directory, seed)
    try:
        for plan in rounds(seed, count):
            run.play(plan)
            if plan.number % each == 0 or plan.number == count:
                found = run.account(f"after round {plan.number}")
                say(run.progress())
                if found and not keep_going:
                    break
    finally:
        orphans = run.close()
    assert not orphans, f"left over: {orphans}"
    return run.summary
