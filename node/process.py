"""The process below the watcher: makes Thespian's system, watches its processes, ends it."""

from __future__ import annotations

import logging
import os
import select
import signal
import time
from typing import Final

from thespian.actors import ActorAddress, ActorSystem

from ..errors import ConfigError, GreenroomError
from ..runtime.secure.system import (
    hurry_convention,
    kill_system,
    processes_of,
    start_system,
)
from .asking import NodeMetrics
from .guardian import CAPABILITY, NAME, NodeGuardian
from .http import Health, serve_http
from .inherited import bequeath
from .messages import AskNode, DrainNode, NodeDrained, NodeState
from .settings import NodeSettings
from .speaking import ENDINGS

LOOK_SECONDS: Final = 0.5
ASK_SECONDS: Final = 5.0
GRACE_SECONDS: Final = 1.0  # whoever has the port, or the data, may be about to end
SILENT_SECONDS: Final = 15.0  # a guardian that says nothing for so long is dead or stuck
DRAIN_MARGIN_SECONDS: Final = 4.0
_log = logging.getLogger("greenroom.node")


class NodeProcess:
    """Runs on the main thread until it is told to end (SIGTERM), or something of it died.

    Args:
        settings: Of the node.
        is_first: Nothing of it has run before: what does not work now never will.
    """

    def __init__(self, settings: NodeSettings, *, is_first: bool) -> None:
        self._settings = settings
        self._is_first = is_first
        self._started_at = time.monotonic()
        self._health = Health()
        self._must_end = False
        self._heard_at = time.monotonic()

    def run(self) -> int:
        """The exit status: 0 after a drain, else the watcher starts the node again."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the watcher's affair, as the terminal's
        signal.signal(signal.SIGTERM, self._on_term)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)  # held back since the fork
        bequeath(self._settings)
        hurry_convention()
        here = f"{self._settings.bind}:{self._settings.admin_port}"
        capabilities = {
            CAPABILITY: self._settings.greenroom.node_id,
            "Convention Address.IPv4": [*self._settings.join] or here,
        }
        system = start_system(
            capabilities,
            admin_port=self._settings.admin_port,
            bind=self._settings.bind,
            secret=self._settings.secret,
        )
        http = None
        try:
            guardian = system.createActor(NodeGuardian, globalName=NAME)
            if self._settings.http is not None:
                http = serve_http(
                    *self._settings.http,
                    self._settings.greenroom.node_id,
                    self._health,
                    NodeMetrics(str(self._settings.directory)),
                )
                host, _ = self._settings.http
                _log.info("/healthz and /metrics at http://%s:%d", host, http.port)
            return self._watch(system, guardian)
        finally:
            if http is not None:
                http.close()
            kill_system(system)

    def _on_term(self, _number: int, _frame: object) -> None:
        self._must_end = True

    def _watch(self, system: ActorSystem, guardian: ActorAddress) -> int:
        poll = select.poll()
        poll.register(os.pidfd_open(processes_of(system).admin), select.POLLIN)
        watched = 0
        while not self._must_end:
            state = system.ask(guardian, AskNode(), ASK_SECONDS)
            if isinstance(state, NodeState):
                self._heard_at = time.monotonic()
                self._note(state)
                self._check_start(state)
                if state.guardian != watched:
                    watched = state.guardian
                    poll.register(os.pidfd_open(watched), select.POLLIN)
            elif time.monotonic() - self._heard_at > SILENT_SECONDS:
                _log.critical("the guardian does not answer: the node is started again")
                return os.EX_SOFTWARE
            if poll.poll(LOOK_SECONDS * 1000 if self._health.ready else 50):
                _log.critical("a process of the node died: the node is started again")
                return os.EX_SOFTWARE
        return self._drain(system, guardian)

    def _note(self, state: NodeState) -> None:
        if state.is_ready and not self._health.ready:
            _log.info("ready: %d shards, clients at %s", len(state.pids), self._settings.directory)
        self._health.ready = state.is_ready
        self._health.details = {
            "shards": list(state.pids),
            "restarts": state.restarts,
            "nodes": list(state.nodes),
            "failures": [text for text in state.failures if text],
        }

    def _check_start(self, state: NodeState) -> None:
        """Refuse to go on without shards that have never run.

        Raises:
            ConfigError: Why one of them does not start.
        """
        if state.is_ready:
            self._is_first = False
        elif self._is_first and time.monotonic() - self._started_at > GRACE_SECONDS:
            for failure in filter(None, state.failures):
                raise ConfigError(failure)

    def _drain(self, system: ActorSystem, guardian: ActorAddress) -> int:
        seconds = self._settings.drain_seconds
        self._health.draining = True
        _log.info("draining, for at most %.0f s", seconds)
        end = time.monotonic() + seconds + DRAIN_MARGIN_SECONDS
        answer = system.ask(guardian, DrainNode(seconds), seconds + DRAIN_MARGIN_SECONDS)
        while isinstance(answer, NodeState) and time.monotonic() < end:  # of an earlier question
            answer = system.listen(end - time.monotonic())
        complete = isinstance(answer, NodeDrained) and answer.complete
        _log.info("drained" if complete else "not all was handed over in time")
        return os.EX_OK


def run_node(settings: NodeSettings, *, is_first: bool) -> int:
    """Run a node in this process, which must have one thread; returns its exit status."""
    try:
        return NodeProcess(settings, is_first=is_first).run()
    except GreenroomError as error:
        _log.error("the node does not start: %s", error)
        return os.EX_CONFIG
