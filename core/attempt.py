"""One HTTP attempt of one webhook, ready to be made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Attempt:
    """What an adapter needs to POST, and to say which attempt it was.

    Args:
        delivery_id: The delivery's number in its notifier.
        number: 1 for the first attempt.
        url: Where to.
        headers: Names and values, Authorization included.
        body: The exact bytes that were signed.
        connect_timeout_seconds: Limit for name look-up, connect and TLS.
        total_timeout_seconds: Limit for the whole attempt.
        allow_private: Whether it may go to addresses that are not public, see `core.addresses`.
    """

    delivery_id: int
    number: int
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    connect_timeout_seconds: float
    total_timeout_seconds: float
    allow_private: bool = False
