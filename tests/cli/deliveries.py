"""Six deliveries in a data directory (the fixture `bench`), and how they are looked at."""

from __future__ import annotations

from typing import Final

from .endpoints import Answer

BODY: Final = '{"event":"room_started","room":{"name":"Café"}}'.encode()


def states(answer: Answer) -> list[str]:
    """By id, each by its first three letters."""
    return [one["state"][:3] for one in reversed(answer("list"))]


BEFORE: Final = ["del", "dea", "pen", "dea", "pen", "pen"]
