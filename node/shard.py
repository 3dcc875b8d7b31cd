"""A shard: a process of the node that runs greenroom's actors for a part of the rooms.

Thespian's loop is only its control plane. The data plane is the in-process base on its own
dispatch thread, fed by the link's thread.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from thespian.actors import (
    ActorAddress,
    ActorExitRequest,
    ThespianWatch,
    WatchMessage,
)

from .. import __version__
from ..adapters.analytics import JsonlAnalytics
from ..errors import GreenroomError
from ..link.address import Address
from ..link.intake import Intake
from ..link.server import LinkServer, LinkSettings
from ..messages.handoff import WorkerFacts
from ..runtime.clock import SystemClock
from ..runtime.limit import Limit
from ..system import Telemetry
from .gateway import Gateway
from .inherited import inherited
from .merging import to_wire
from .messages import (
    DrainShard,
    Forward,
    Forwarded,
    Members,
    Moved,
    MovedHeard,
    RunShard,
    ShardBegun,
    ShardDrained,
    ShardFailed,
    ShardLeft,
    ShardReady,
    StartShard,
)
from .posts import Posts
from .settings import NodeSettings
from .speaking import Speaking, leave_endings_to_the_watcher

LINK_PART: Final = 0.25  # of a drain's time: for batches that are in the shard already
LOOK_SECONDS: Final = 0.5
TICK_SECONDS: Final = 1.0
GC_THRESHOLDS: Final = (50_000, 20, 50)  # a process of many small objects and hardly a cycle
_log = logging.getLogger("greenroom.node")


class ShardHost(Speaking):
    """Hosts a `Telemetry` and its link in the process of a Thespian actor."""

    def __init__(self) -> None:
        self._running: Shard | None = None

    def receiveMessage(self, message: Any, sender: ActorAddress) -> Any:
        """Handle it; then wait for the next message, or for something to send."""
        super().receiveMessage(message, sender)
        return None if self._running is None else ThespianWatch([self._running.posts.fileno])

    def receiveMsg_WatchMessage(self, ready: WatchMessage, sender: Any) -> None:
        """Other threads have something to send."""
        if self._running is not None:
            for address, message in self._running.posts.take():
                self.send(address, message)

    def receiveMsg_Members(self, members: Members, sender: ActorAddress) -> None:
        """Who is there."""
        if self._running is not None:
            shards = dict(zip(members.names, members.addresses, strict=True))
            self._running.meet(shards, members.leaving, sender)

    def receiveMsg_Forward(self, forward: Forward, sender: ActorAddress) -> None:
        """From another shard."""
        if self._running is not None:
            self._running.on_forward(forward, sender)

    def receiveMsg_Forwarded(self, forwarded: Forwarded, sender: ActorAddress) -> None:
        """From another shard."""
        if self._running is not None:
            self._running.on_forwarded(forwarded)

    def receiveMsg_Moved(self, moved: Moved, sender: ActorAddress) -> None:
        """From another shard."""
        if self._running is not None:
            self._running.on_moved(moved, sender)

    def receiveMsg_MovedHeard(self, heard: MovedHeard, sender: ActorAddress) -> None:
        """From another shard."""
        if self._running is not None:
            self._running.on_moved_heard(heard)

    def receiveMsg_StartShard(self, start: StartShard, sender: ActorAddress) -> None:
        """Say that this process is there, then run."""
        self.send(sender, ShardBegun(start.number))
        self.send(self.myAddress, RunShard(start, sender))

    def receiveMsg_RunShard(self, run: RunShard, sender: ActorAddress) -> None:
        """Run as this shard; when there is much to take up, that is long."""
        start, sender = run.start, run.guardian
        leave_endings_to_the_watcher()
        gc.freeze()  # all that was imported stays
        gc.set_threshold(*GC_THRESHOLDS)
        try:
            self._running = Shard(inherited(), start.number, start.restarts)
        except (GreenroomError, OSError) as error:
            self.send(sender, ShardFailed(start.number, str(error)))
            self.send(self.myAddress, ActorExitRequest())
        else:
            self.send(sender, ShardReady(start.number, os.getpid()))

    def receiveMsg_DrainShard(self, drain: DrainShard, sender: ActorAddress) -> None:
        """Hand over, say so, and end."""
        running = self._running
        if running is not None:
            self.send(sender, ShardDrained(running.number, running.close(drain.seconds)))
        self.send(self.myAddress, ActorExitRequest())

    def receiveMsg_ActorExitRequest(self, request: ActorExitRequest, sender: ActorAddress) -> None:
        """The node ends without a drain."""
        if self._running is not None:
            self._running.close(0.0)


def _analytics(directory: Path | None, number: int) -> JsonlAnalytics | None:
    """Where a shard writes its analytics, beside what its lives before wrote."""
    if directory is None:
        return None
    return JsonlAnalytics(directory / f"shard-{number}.jsonl", SystemClock(), appends=True)


def shard_name(node_id: str, number: int) -> str:
    """What a shard is called in the whole cluster."""
    return f"{node_id}/{number}"


class Shard:
    """A running shard.

    Args:
        settings: Of its node.
        number: Which of the node's it is.
        restarts: How often it was started again, for who asks.

    Raises:
        ConfigError: A setting is wrong, an address or the data directory is taken.
    """

    def __init__(self, settings: NodeSettings, number: int, restarts: int) -> None:
        self.number = number
        self._restarts = restarts
        greenroom = replace(settings.greenroom, shard=number)
        self._analytics = _analytics(settings.analytics_dir, number)
        self._telemetry = Telemetry(
            greenroom, data_dir=settings.shard_dir(number), analytics=self._analytics
        )
        self.posts = Posts()
        self._guardian: Any = None
        self._intake = Intake(self._telemetry, self._telemetry.batches_had())
        self._name = shard_name(greenroom.node_id, number)
        self._mover = ThreadPoolExecutor(1, "greenroom-mover")
        self._gateway = Gateway(self._name, self._intake, self, self.posts.put, time.monotonic)
        here = Address("unix", path=str(settings.socket_path(number)))
        try:
            self._link = LinkServer(
                LinkSettings(
                    addresses=(here, *settings.listen),
                    secret=settings.secret,
                    tls=settings.tls,
                    node_id=greenroom.node_id,
                    shard=number,
                ),
                self._gateway,
                self._answer,
            )
        except BaseException:
            self._telemetry.close(0.0, is_over=False)
            raise
        self._closed = threading.Event()
        self._link.start()
        self._on_link(self._tick)
        threading.Thread(target=self._end_if_broken, name="greenroom-shard", daemon=True).start()

    def close(self, seconds: float) -> bool:
        """Take nothing more, hand over within so many seconds; whether all was."""
        if self._closed.is_set():
            return True
        self._closed.set()
        limit = Limit(seconds)
        complete = self._link.drain(limit.part(LINK_PART))
        complete &= self._telemetry.close(limit.left(), is_over=False)
        self._link.close()
        if self._analytics is not None:
            self._analytics.close()
        return complete

    # ── other shards ─────────────────────────────────────────────────────────────────────────

    def meet(self, shards: dict[str, Any], leaving: tuple[str, ...], guardian: Any) -> None:
        """These are all the shards now, and where they are; some are about to end."""
        self._guardian = guardian
        self._on_link(partial(self._gateway.meet, shards, leaving))

    def left(self) -> None:
        """As `gateway.Rooms`."""
        self.posts.put(self._guardian, ShardLeft(self.number))

    def release(self, shards: tuple[str, ...]) -> None:
        """As `gateway.Rooms`; it blocks until the shard is done, so not on the link's thread."""

        def done(future: Future[tuple[WorkerFacts, ...]]) -> None:
            if future.cancelled() or future.exception() is not None:
                _log.error("rooms were not given up", exc_info=future.exception())
            else:
                self._on_link(partial(self._gateway.released, shards, future.result()))

        with suppress(RuntimeError):  # the shard ends
            work = self._mover.submit(self._telemetry.release_rooms, shards, self._name)
            work.add_done_callback(done)

    def adopt(self, workers: tuple[WorkerFacts, ...]) -> None:
        """As `gateway.Rooms`."""
        self._telemetry.adopt(workers)

    def on_moved(self, moved: Moved, sender: Any) -> None:
        """Another shard tells how far it has come."""
        self._on_link(partial(self._gateway.on_moved, moved, sender))

    def on_moved_heard(self, heard: MovedHeard) -> None:
        """Another shard has heard how far this one has come."""
        self._on_link(partial(self._gateway.on_moved_heard, heard))

    def on_forward(self, forward: Forward, sender: Any) -> None:
        """Another shard had something for this one."""
        self._on_link(partial(self._gateway.on_forward, forward, sender))

    def on_forwarded(self, forwarded: Forwarded) -> None:
        """Another shard has taken it."""
        self._on_link(partial(self._gateway.on_forwarded, forwarded))

    def _on_link(self, work: Callable[[], None]) -> None:
        """Do it on the link's thread, where the gateway lives."""
        with suppress(RuntimeError):  # the thread has ended: the shard ends
            self._link.loop.call_soon_threadsafe(work)

    def _tick(self) -> None:
        self._gateway.tick()
        self._link.loop.call_later(TICK_SECONDS, self._tick)

    # ── the shard itself ─────────────────────────────────────────────────────────────────────

    def _end_if_broken(self) -> None:
        """A greenroom that is broken stays so; a new process gets another chance."""
        while not self._closed.wait(LOOK_SECONDS):
            if self._telemetry.is_broken:
                _log.critical(
                    "shard %d is broken and ends: the guardian starts it again", self.number
                )
                os._exit(os.EX_SOFTWARE)

    def _answer(self, question: str) -> bytes:
        """What the node, or `greenroom status`, asks over the link."""
        answers: dict[str, Any] = {"status": self._status, "metrics": self._metrics}
        answer = answers.get(question)
        if answer is None:
            return json.dumps({"error": f"no such question: {question}"}).encode()
        return json.dumps(answer()).encode()

    def _metrics(self) -> object:
        return to_wire(self._telemetry.metrics.snapshot())

    def _status(self) -> object:
        seen = self._telemetry.statistics()
        return {
            "node_id": self._telemetry.settings.node_id,
            "shard": self.number,
            "pid": os.getpid(),
            "restarts": self._restarts,
            "version": __version__,
            "clients": sorted(peer.about for peer in [*self._link.peers]),
            "link": dict(self._intake.counts),
            "forwarding": self._gateway.statistics(),
            "moving": self._gateway.is_moving,
            "workers": seen.workers,
            "workers_retained": seen.workers_retained,
            "door": asdict(seen.door),
            "runtime": asdict(seen.runtime),
            "store": None if seen.store is None else asdict(seen.store),
            "lost": self._telemetry.metrics.lost(),
        }
