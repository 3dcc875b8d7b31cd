"""A shard: a process of the node that runs greenroom's actors for a part of the rooms.

Thespian's loop is only its control plane. The data plane is the in-process base on its own
dispatch thread, fed by the link's thread.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
from dataclasses import asdict, replace
from typing import Any, Final

from thespian.actors import ActorAddress, ActorExitRequest, ActorTypeDispatcher

from .. import __version__
from ..errors import GreenroomError
from ..link.address import Address
from ..link.server import LinkServer, LinkSettings
from ..runtime.limit import Limit
from ..system import Telemetry
from .inherited import inherited
from .merging import to_wire
from .messages import DrainShard, ShardDrained, ShardFailed, ShardReady, StartShard
from .settings import NodeSettings

LINK_PART: Final = 0.25  # of a drain's time: for batches that are in the shard already
LOOK_SECONDS: Final = 0.5
_log = logging.getLogger("greenroom.node")


class ShardHost(ActorTypeDispatcher):
    """Hosts a `Telemetry` and its link in the process of a Thespian actor."""

    def __init__(self) -> None:
        self._running: Shard | None = None

    def receiveMsg_StartShard(self, start: StartShard, sender: ActorAddress) -> None:
        """Run as shard `start.number`."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's is for the watcher
        try:
            self._running = Shard(inherited(), start.number)
        except (GreenroomError, OSError) as error:
            self.send(sender, ShardFailed(start.number, f"{type(error).__name__}: {error}"))
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


class Shard:
    """A running shard.

    Raises:
        ConfigError: A setting is wrong, an address or the data directory is taken.
    """

    def __init__(self, settings: NodeSettings, number: int) -> None:
        self.number = number
        greenroom = replace(settings.greenroom, shard=number)
        self._telemetry = Telemetry(greenroom, data_dir=settings.shard_dir(number))
        here = Address("unix", path=str(settings.socket_path(number)))
        try:
            self._link = LinkServer(
                LinkSettings(
                    addresses=(here, *settings.listen),
                    secret=settings.secret,
                    tls=settings.tls,
                    uids=settings.uids,
                    node_id=greenroom.node_id,
                    shard=number,
                ),
                self._telemetry,
                self._answer,
            )
        except BaseException:
            self._telemetry.close(0.0)
            raise
        self._closed = threading.Event()
        self._link.start()
        threading.Thread(target=self._end_if_broken, name="greenroom-shard", daemon=True).start()

    def close(self, seconds: float) -> bool:
        """Take nothing more, hand over within so many seconds; whether all was."""
        if self._closed.is_set():
            return True
        self._closed.set()
        limit = Limit(seconds)
        complete = self._link.drain(limit.part(LINK_PART))
        complete &= self._telemetry.close(limit.left())
        self._link.close()
        return complete

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
            "version": __version__,
            "clients": sorted(peer.about for peer in [*self._link.peers]),
            "link": dict(self._link.intake.counts),
            "workers": seen.workers,
            "workers_retained": seen.workers_retained,
            "door": asdict(seen.door),
            "runtime": asdict(seen.runtime),
            "store": None if seen.store is None else asdict(seen.store),
            "lost": self._telemetry.metrics.lost(),
        }
