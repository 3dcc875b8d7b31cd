"""What is killed when: the same from the same seed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

# how often, against each other
VICTIMS: Final = {
    "client": 2.5,
    "shard 0": 3.0,
    "shard 1": 3.0,
    "guardian": 1.5,
    "admin": 1.5,
    "logger": 1.0,
    "node": 1.5,
    "watcher": 1.0,
    "all": 1.5,
    "SIGTERM": 0.5,
}
WHOLE: Final = ("watcher", "all", "SIGTERM")  # the node must be started again
NODE: Final = ("guardian", "admin", "logger", "node")  # its watcher starts it again
PAIRS_PART: Final = 0.3
AGAIN_MAX: Final = 2  # more, and whoever starts it again waits for long: 0.1 s, 0.2 s … 10 s
# of the next life, one of them: many checkpoints, or a journal over several lives
FLUSH_SECONDS: Final = (0.05, 1.0, 1.0, 5.0, 20.0)
LOAD_SECONDS: Final = 0.6
APART_SECONDS: Final = 1.2  # of a pair: the second may meet the recovery of the first


@dataclass(frozen=True, slots=True)
class Round:
    """One round.

    Args:
        number: From 1.
        load_seconds: Until the kill.
        victims: One or two.
        apart_seconds: Between the two.
    """

    number: int
    load_seconds: float
    victims: tuple[str, ...]
    apart_seconds: float

    def __str__(self) -> str:
        apart = f" {self.apart_seconds:.2f} s apart" if self.apart_seconds else ""
        names = " + ".join(self.victims)
        return f"{self.number}: {self.load_seconds:.2f} s, then {names}{apart}"


def rounds(seed: int, count: int) -> Iterator[Round]:
    """So many rounds of a node with two shards."""
    chance = random.Random(seed)
    killed: Counter[str] = Counter()
    for number in range(1, count + 1):
        victims = [_victim(chance, killed)]
        if victims[0] != "SIGTERM" and chance.random() < PAIRS_PART:
            victims.append(_victim(chance, killed, but=victims[0]))
        is_apart = len(victims) == 2 and chance.random() < 0.6
        apart = chance.uniform(0.0, APART_SECONDS) if is_apart else 0.0
        yield Round(number, chance.uniform(0.0, LOAD_SECONDS), tuple(victims), apart)


def _victim(chance: random.Random, killed: Counter[str], but: str = "") -> str:
    names = [name for name in VICTIMS if name != but and not (but and name == "SIGTERM")]
    name = chance.choices(names, [VICTIMS[each] for each in names])[0]
    if name.startswith("shard") and killed[name] >= AGAIN_MAX:
        name = chance.choice(NODE)
    if name in NODE and killed["node"] >= AGAIN_MAX:
        name = chance.choice(WHOLE[:2])
    if name in WHOLE:
        killed.clear()
    elif name in NODE:
        killed["node"] += 1
        killed["shard 0"] = killed["shard 1"] = 0
    else:
        killed[name] += 1
    return name
