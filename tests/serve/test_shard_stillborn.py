"""A shard that ends before anybody could know of it."""

from __future__ import annotations

import os
import signal

from greenroom.testing.nodes import children_of, parent_of, serving
from greenroom.testing.patience import wait_until


def test_a_shard_that_is_killed_when_it_is_forked_is_made_again() -> None:
    with serving("--shards", "1") as node:
        (first,) = node.wait_ready()["shards"]
        guardian = parent_of(first)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: bool(set(children_of(guardian)) - {first}))
        (second,) = set(children_of(guardian)) - {first}

        os.kill(second, signal.SIGKILL)

        def is_another() -> bool:
            health = node.health()
            return bool(health.get("ready")) and not {first, second} & set(health["shards"])

        wait_until(is_another)
