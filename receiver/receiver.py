"""The receiving end of a webhook endpoint: verified, each event once, and nothing missing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import jwt
from google.protobuf.json_format import Parse, ParseError
from livekit.protocol.webhook import WebhookEvent

from ..core.signatures import SigningKey
from ..errors import BodyTooLargeError, ConfigError, NotAnEventError, UnsendableError
from .series import advance, withdraw
from .stores import MemoryStore, ReceiverStore
from .verification import Headers, Scheme, verify

TOLERANCE_SECONDS: Final = 300.0  # as the libraries of Standard Webhooks
BODY_BYTES_MAX: Final = 4 * 1024 * 1024  # an egress with many files is some 100 KB


@dataclass(frozen=True, slots=True)
class Received:
    """One webhook whose sender is known.

    Args:
        event: What it says.
        id: Of the webhook, the same on every attempt.
        api_key: Of the key that signed it.
        schemes: The signatures that were there, all of them right.
        is_duplicate: It was received before: answer 2xx and do nothing.
        sequence: Its number among those of its key and endpoint, from 1; None where the sender
            does not count, as LiveKit's own.
        key: What is counted: one room's events, mostly.
        endpoint: Which endpoint's events, where the sender says so.
        gap: Numbers of its key that should have come before and did not. Told once; most come in
            later, when the sender's operator has them replayed.
        fills_gap: It was missing until now, and is later than it should be.
        starts_series: Nothing of this key was known. With a `gap`, what is missing may have been
            received before the receiver's memory begins.
    """

    event: WebhookEvent
    id: str
    api_key: str
    schemes: Scheme
    is_duplicate: bool = False
    sequence: int | None = None
    key: str = ""
    endpoint: str = ""
    gap: range | None = None
    fills_gap: bool = False
    starts_series: bool = False


class Receiver:
    """Verifies webhooks, tells repetitions, and finds what is missing. Any thread.

        receiver = Receiver({"APIkey": "its secret"})
        with receiver.receiving(request.headers, body) as received:
            if not received.is_duplicate:
                handle(received.event)

    Args:
        keys: API key -> secret, of all who may sign.
        tolerance_seconds: How far a webhook's timestamp may be off. LiveKit's token has its own
            times, with 60 s of leeway.
        require: Signatures that must be there; None: one of the two. What is there must be right.
        store: What it remembers; several receivers may share one. None: in memory.
        body_bytes_max: The longest body it takes.
        now: Unix time in seconds.

    Raises:
        ConfigError: There is no key, or a secret that cannot sign.
    """

    def __init__(
        self,
        keys: Mapping[str, str],
        *,
        tolerance_seconds: float = TOLERANCE_SECONDS,
        require: Scheme | None = None,
        store: ReceiverStore | None = None,
        body_bytes_max: int = BODY_BYTES_MAX,
        now: Callable[[], float] = time.time,
    ) -> None:
        if not keys:
            raise ConfigError("keys: there is none, so nothing could be verified")
        self._keys = tuple(_signing_key(*pair) for pair in keys.items())
        self._tolerance_seconds = tolerance_seconds
        self._require = require
        self._store = MemoryStore() if store is None else store
        self._body_bytes_max = body_bytes_max
        self._now = now

    def __repr__(self) -> str:
        return f"<Receiver of {', '.join(key.api_key for key in self._keys)}: {self._store!r}>"

    def receive(self, headers: Headers, body: bytes) -> Received:
        """Verify one request and remember it. Call `forget` when handling it fails.

        Args:
            headers: Of the request; names in any case. A mapping, or pairs, of bytes too (ASGI).
            body: The exact bytes that arrived, not JSON that was parsed and written again.

        Raises:
            SignatureError: It is not proven who sent it; the kind of error says what is wrong.
            BodyTooLargeError: The body is too long.
            NotAnEventError: It is rightly signed and not a webhook event.
        """
        if len(body) > self._body_bytes_max:
            raise BodyTooLargeError(f"{len(body)} bytes, and {self._body_bytes_max} are taken")
        now_s = self._now()
        sender = verify(
            headers,
            body,
            self._keys,
            now_s=now_s,
            tolerance_seconds=self._tolerance_seconds,
            require=self._require,
        )
        event = _parse(body)
        webhook_id = event.id if sender.id is None else sender.id
        place, step = (sender.endpoint, sender.key), None
        with self._store.transaction():
            is_duplicate = bool(webhook_id) and not self._store.add_id(webhook_id, now_s)
            if sender.sequence is not None:
                series = self._store.load(*place)
                step = advance(
                    series, sender.sequence, event.created_at, is_duplicate=is_duplicate
                )
                if step.series != series:
                    self._store.save(*place, step.series, now_s)
        return Received(
            event,
            webhook_id,
            sender.api_key,
            sender.schemes,
            is_duplicate,
            sender.sequence,
            sender.key,
            sender.endpoint,
            gap=step.gap if step else None,
            fills_gap=step is not None and step.fills_gap,
            starts_series=step is not None and step.starts_series,
        )

    def forget(self, received: Received) -> None:
        """Take back a `receive`: the sender's next attempt is not a duplicate then.

        For an event that could not be handled, before answering 5xx. A duplicate stays known.
        """
        if received.is_duplicate:
            return
        place = received.endpoint, received.key
        with self._store.transaction():
            self._store.remove_id(received.id)
            series = None if received.sequence is None else self._store.load(*place)
            if series is not None and received.sequence is not None:
                left = withdraw(series, received.sequence, received.event.created_at)
                if left != series:
                    self._store.save(*place, left, self._now())

    @contextmanager
    def receiving(self, headers: Headers, body: bytes) -> Iterator[Received]:
        """`receive`, and `forget` when the block is left by an exception.

        Raises:
            ReceiveError: As `receive`, before the block begins.
        """
        received = self.receive(headers, body)
        try:
            yield received
        except BaseException:
            self.forget(received)
            raise

    def missing(self) -> dict[tuple[str, str], tuple[range, ...]]:
        """(endpoint, key) -> the numbers still missing, of every series that lacks some."""
        with self._store.transaction():
            found = list(self._store.incomplete())
        return {(endpoint, key): series.missing for endpoint, key, series in found}


def _signing_key(api_key: str, secret: str) -> SigningKey:
    try:
        jwt.get_algorithm_by_name("HS256").prepare_key(secret)  # refuses what looks like a PEM
        return SigningKey(api_key, secret)
    except (UnsendableError, jwt.InvalidKeyError) as error:
        raise ConfigError(f"keys: the secret of {api_key!r} cannot verify: {error}") from error


def _parse(body: bytes) -> WebhookEvent:
    if not body.lstrip().startswith(b"{"):  # protobuf takes [] and "" for empty messages
        raise NotAnEventError("not a webhook event: no JSON object")
    try:
        return Parse(body, WebhookEvent(), ignore_unknown_fields=True)
    except (ParseError, UnicodeDecodeError) as error:
        raise NotAnEventError(f"not a webhook event: {error}") from error
