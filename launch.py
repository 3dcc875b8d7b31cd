"""`start()`: how a program starts greenroom.

Use: `with greenroom.start(webhook=…) as telemetry: telemetry.room_started(room)`.
"""

from __future__ import annotations

from pathlib import Path

from .actors.children import ChildClasses
from .config import (
    CAPACITY,
    CLOSE_WAIT_SECONDS,
    FLUSH_INTERVAL_SECONDS,
    HANDLER_LIMIT_SECONDS,
    NODE_ID,
    DiskSync,
    Durability,
    Settings,
    WebhookSettings,
)
from .core.ports import AnalyticsService, Clock
from .system import Telemetry


def start(
    *,
    webhook: WebhookSettings | None = None,
    analytics: AnalyticsService | None = None,
    metrics_port: int | None = None,
    node_id: str = NODE_ID,
    flush_interval_seconds: float | None = FLUSH_INTERVAL_SECONDS,
    close_wait_seconds: float = CLOSE_WAIT_SECONDS,
    capacity: int = CAPACITY,
    handler_limit_seconds: float | None = HANDLER_LIMIT_SECONDS,
    clock: Clock | None = None,
    children: ChildClasses | None = None,
    data_dir: str | Path | None = None,
    durability: Durability = "batch",
    disk_sync: DiskSync = "full",
) -> Telemetry:
    """Start greenroom in this process, on one background thread.

    Args:
        webhook: Where webhooks go; None sends none.
        analytics: Takes statistics and events, on a thread of its own; None keeps none.
        metrics_port: Serves `/metrics` on 127.0.0.1 at this port (0: any free one); None: nowhere.
        node_id: Label `node_id` of the metrics.
        flush_interval_seconds: Between two flushes; None: only `flush_stats()` flushes.
        close_wait_seconds: A worker closed for longer than this is retired.
        capacity: Statistics that may wait to be processed; when full, new ones are dropped and
            counted. Calls of other kinds have twice that room.
        handler_limit_seconds: An actor that takes longer for an input is interrupted; if that does
            not help for as long again, greenroom is broken. None: never.
        clock: A `VirtualClock` for tests and replays; None is the system's clock.
        children: Classes to run in place of greenroom's own actors, for tests.
        data_dir: Keeps what was called until it has taken effect, webhooks, analytics, added
            endpoints and dead letters, for one process at a time; None: they are in memory. After
            a crash this returns when what is in it has been taken up again.
        durability: What a crash may cost: "batch": the last 10 ms; "call": what no `sync()` has
            waited for; "memory": what was not flushed (`Settings` says more).
        disk_sync: What a power cut may cost of what was written: "full": nothing; "normal": the
            last seconds, for fewer syncs of the disk.

    Raises:
        ConfigError: A setting is wrong, or the port is taken; nothing was started.
    """
    settings = Settings(
        node_id=node_id,
        flush_interval_seconds=flush_interval_seconds,
        close_wait_seconds=close_wait_seconds,
        capacity=capacity,
        handler_limit_seconds=handler_limit_seconds,
        webhook=WebhookSettings() if webhook is None else webhook,
        durability=durability,
        disk_sync=disk_sync,
    )
    return Telemetry(
        settings,
        analytics=analytics,
        metrics_port=metrics_port,
        clock=clock,
        children=children,
        data_dir=data_dir,
    )
