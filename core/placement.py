"""Which shard a room lives on: the same answer in every process that knows the same shards."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

REMEMBERED: Final = 65_536  # routes; found anew, each costs 1 us a shard


def room_route(name: str, room_id: str) -> str:
    """What decides where a room lives: its name, or if it has none its id.

    The prefix keeps names apart from ids.
    """
    return f"room:{name}" if name else f"id:{room_id}"


class Placement:
    """Rendezvous hashing: a shard that comes or goes moves its own share of the rooms only.

    Args:
        shards: Their names.
    """

    def __init__(self, shards: Iterable[str]) -> None:
        self.shards = tuple(sorted(set(shards)))
        self._seeds = [
            (name, blake2b(name.encode(), digest_size=32).digest()) for name in self.shards
        ]
        self._owners: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"<Placement on {', '.join(self.shards)}>"

    def owner(self, route: str) -> str:
        """The name of the shard that `route` lives on.

        Raises:
            LookupError: There are no shards.
        """
        owner = self._owners.get(route)
        if owner is None:
            if len(self._owners) >= REMEMBERED:
                self._owners.clear()
            owner = self._owners[route] = self._find(route)
        return owner

    def _find(self, route: str) -> str:
        if not self._seeds:
            raise LookupError("no shards")
        data = route.encode("utf-8", "surrogatepass")
        return max(
            self._seeds,
            key=lambda seed: (blake2b(data, digest_size=8, key=seed[1]).digest(), seed),
        )[0]
