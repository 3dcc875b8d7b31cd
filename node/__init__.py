"""A node: `greenroom serve`. Several processes that live and die together.

    watcher ── node ─┬─ admin ─┬─ logger
                     │         └─ guardian ─┬─ shard 0
                     └─ HTTP                └─ shard 1 …

The watcher starts the node again when any of it dies, except a shard, which the guardian starts
again. Whoever dies takes all below it along.
"""
