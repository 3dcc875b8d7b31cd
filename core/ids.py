"""Ids derived from stamps: the same input gives the same id again, after any crash."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

# livekit protocol utils/guid: 12 characters of shortuuid's alphabet (no 0 1 I O l)
ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
SIZE: Final = 12
_PAIRS: Final = tuple(low + high for high in ALPHABET for low in ALPHABET)  # half the divisions


def derive_id(
    prefix: str, node_id: str, shard: int, position: int, at_ns: int, index: int = 0
) -> str:
    """The id of the `index`-th output of the input at `position`.

    Args:
        prefix: `EV_`, `AE_` or `AS_`.
        node_id: The node that took the input.
        shard: The node's shard that took the input.
        position: The input's position in that shard.
        at_ns: The input's time (Unix ns): without a journal, positions begin at 1 at every start,
            and receivers would take a new event for one that they have.
        index: Tells the outputs of one input apart.

    Returns:
        The prefix and 12 characters, about 70 bits.
    """
    stamp = f"{node_id}\0{shard}\0{position}\0{at_ns}\0{index}\0{prefix}"
    return prefix + spell(blake2b(stamp.encode(), digest_size=16).digest())


def derive_output_id(prefix: str, node_id: str, shard: int, key: str, index: int = 0) -> str:
    """The id of the `index`-th item of an output that has a key of its own in its shard."""
    return prefix + spell(
        blake2b(f"{node_id}\0{shard}\0{key}\0{index}\0{prefix}".encode(), digest_size=16).digest()
    )


def spell(digest: bytes) -> str:
    """Twelve characters of the alphabet, from at least 9 bytes."""
    number = int.from_bytes(digest, "big")
    pairs = []
    for _ in range(SIZE // 2):
        number, remainder = divmod(number, len(_PAIRS))
        pairs.append(_PAIRS[remainder])
    return "".join(pairs)


def derive_fraction(position: int, index: int) -> float:
    """A number in [0, 1) that looks random and depends on nothing but its arguments."""
    digest = blake2b(f"{position}\0{index}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2.0**53
