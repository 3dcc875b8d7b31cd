"""Thespian's multiprocess TCP base, where every frame is authenticated before it is looked into.

`system.start_system` and `system.join_system` are the way in; `allowed.allow` adds a message class.
"""
