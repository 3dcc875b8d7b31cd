"""A receiver of webhooks over real HTTP whose answers are scripted, with a strict judge in it.

What it accepts goes through `greenroom.receiver`, at the time of the sender's clock, so a test on
a `VirtualClock` can play days of an outage.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from aiohttp import web

from ..core.ports import Clock
from ..core.times import NS_PER_SECOND
from ..errors import ReceiveError
from ..receiver.receiver import Received, Receiver
from .loopback import HttpReceiver, LoopThread

KEYS: Final = {"APIkey": "a-secret-of-at-least-thirty-two-bytes"}


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer's status and headers."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


OK: Final = Reply()
DOWN: Final = Reply(503)


@dataclass(frozen=True, slots=True)
class Visit:
    """One request: when it came (Unix ns), what was answered, and what the judge said of it.

    `received` is None when it was not accepted.
    """

    at_ns: int
    webhook_id: str
    key: str
    status: int
    received: Received | None


Script: TypeAlias = Callable[[web.Request], Reply]


class WebhookSite:
    """Answers as its script says; what is not signed by a known key gets 401 instead of 2xx.

    Args:
        thread: Where it runs.
        clock: The sender's.
        keys: API key -> secret, of all who may sign.
        script: Asked for each answer; None: 200. May be changed at any time.

    Attributes:
        visits: Every request, in order.
        judge: Keeps sequences and ids of what was accepted; a restart of the site does not.
        problems: What was refused, as the errors' texts.
    """

    def __init__(
        self,
        thread: LoopThread,
        clock: Clock,
        keys: Mapping[str, str] = KEYS,
        script: Script | None = None,
    ) -> None:
        self.clock = clock
        self.script = script
        self.visits: list[Visit] = []
        self.problems: list[str] = []
        self.judge = Receiver(keys, now=lambda: clock.now_ns() / NS_PER_SECOND)
        self._server = HttpReceiver(thread)
        self._server.handler = self._handle

    @property
    def url(self) -> str:
        """Where webhooks can be sent."""
        return self._server.url()

    @property
    def accepted(self) -> list[Received]:
        """What was accepted, in order."""
        return [visit.received for visit in self.visits if visit.received is not None]

    def by_key(self) -> dict[str, list[Received]]:
        """What was accepted of each room or other resource, in order."""
        found: dict[str, list[Received]] = defaultdict(list)
        for received in self.accepted:
            found[received.key].append(received)
        return dict(found)

    def ids_by_key(self) -> dict[str, list[str]]:
        """The ids of that."""
        return {key: [one.id for one in each] for key, each in self.by_key().items()}

    def seconds(self) -> list[float]:
        """When each request came, from the first one on."""
        return [(visit.at_ns - self.visits[0].at_ns) / NS_PER_SECOND for visit in self.visits]

    def close(self) -> None:
        """Stop listening."""
        self._server.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        reply = OK if self.script is None else self.script(request)
        status, received = reply.status, None
        if 200 <= status < 300:
            try:
                received = self.judge.receive(request.headers, body)
            except ReceiveError as error:
                status = error.status
                self.problems.append(str(error))
        webhook_id = request.headers.get("webhook-id", "")
        key = request.headers.get("greenroom-key", "")
        self.visits.append(Visit(self.clock.now_ns(), webhook_id, key, status, received))
        return web.Response(status=status, headers=reply.headers)
