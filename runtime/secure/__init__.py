"""Thespian's multiprocess TCP base, where every frame is authenticated before it is looked into.

`system.start_system` and `system.join_system` are the way in; `allowed.allow` adds a class that
messages may hold; `wire.refusal_counts` tells what was refused.
"""
