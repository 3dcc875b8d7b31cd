"""Signed webhooks without a sender: for tests of what receives them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from livekit.protocol.models import Room
from livekit.protocol.webhook import WebhookEvent

from ..core.signatures import SigningKey, build_signed_headers
from ..core.webhook import encode_body
from ..receiver import Receiver, ReceiverStore


class WebhookSender:
    """Makes the requests that greenroom would make, at the time that it is given.

    Args:
        keys: Sign; the primary one first.
        now_s: Unix time; `now` reads it, so that a receiver can share it.
    """

    def __init__(self, keys: Sequence[SigningKey], now_s: float = 1_700_000_000.0) -> None:
        self.keys = list(keys)
        self.now_s = now_s
        self._ids = itertools.count()

    def now(self) -> float:
        """Unix time in seconds."""
        return self.now_s

    def new_receiver(self, store: ReceiverStore | None = None) -> Receiver:
        """One that knows the keys of now, at the time that the sender is given."""
        keys = {key.api_key: key.secret for key in self.keys}
        return Receiver(keys, store=store, now=self.now)

    def event(self, key: str = "garden") -> WebhookEvent:
        """A new event, created now; `key` is its room."""
        return WebhookEvent(
            event="room_started",
            room=Room(name=key),
            id=f"EV_{next(self._ids)}",
            created_at=int(self.now_s),
        )

    def request(
        self, sequence: int = 1, *, event: WebhookEvent | None = None, endpoint: str = ""
    ) -> tuple[dict[str, str], bytes]:
        """Headers and body of one attempt, signed now."""
        event = event or self.event()
        return self.sign(encode_body(event), event.id, sequence, event.room.name, endpoint)

    def sign(
        self, body: bytes, event_id: str, sequence: int = 1, key: str = "", endpoint: str = ""
    ) -> tuple[dict[str, str], bytes]:
        """Headers and body of one attempt with any body."""
        headers = build_signed_headers(
            body, event_id, sequence, key, self.keys, int(self.now_s), endpoint=endpoint
        )
        return dict(headers), body
