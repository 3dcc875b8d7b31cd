"""One replay from beginning to end: opens, plays, closes and writes what was asked for."""

from __future__ import annotations

import math
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Final, Protocol

from livekit.protocol.analytics import WebhookInfo
from prometheus_client import CollectorRegistry, generate_latest

from ..adapters.analytics import JsonlAnalytics
from ..adapters.exposition import LiveKitCollector
from ..config import WebhookSettings
from ..core.metric_specs import (
    ANALYTICS_ERRORS_TOTAL,
    DROPPED_TOTAL,
    INPUT_FAILURES_TOTAL,
    WEBHOOK_DISPATCH_TOTAL,
)
from ..core.ports import AnalyticsService
from ..core.times import NS_PER_SECOND
from ..errors import ConfigError, RecordingError
from ..launch import start
from ..runtime.clock import VirtualClock
from ..system import Telemetry
from .attendance import Attendance, AttendanceTotals, Change
from .checks import check_outputs, check_webhook_urls
from .player import Player, check_speed
from .receiver import Received, Receiver
from .recording import RecordedCall, Recording
from .sinks import AnalyticsSinks, UndeliveredWebhooks
from .start import LATEST_NS, find_start
from .story import Story
from .summary import Summary, totals_by

RECEIVER_KEY: Final = "replay"  # signs for the built-in receiver when no key is given


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """What to replay, how, and where to write.

    Args:
        path: The recording.
        speed: Seconds of the call for one real second; None: as fast as possible.
        start_unix: Unix time of "at" 0; None: what the recording's own messages say, else now.
        webhook_urls: Every webhook goes to each of them.
        api_key: Signs them.
        api_secret: Of that key.
        policy: How they are retried: default or livekit.
        receiver: Also send them to a receiver in this process, which verifies them.
        analytics_out: File for coalesced statistics and events, as JSON lines.
        metrics_out: File for the metrics at the end, in Prometheus' text form.
        plot: File for a picture of the call; the whole call is kept in memory for it.
    """

    path: Path
    speed: float | None = None
    start_unix: float | Decimal | None = None
    webhook_urls: tuple[str, ...] = ()
    api_key: str = ""
    api_secret: str = field(default="", repr=False)
    policy: str = "default"
    receiver: bool = False
    analytics_out: Path | None = None
    metrics_out: Path | None = None
    plot: Path | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """What a watcher may look at, from any thread, while a replay runs."""

    recording: Recording
    attendance: Attendance
    clock: VirtualClock
    start_ns: int

    @property
    def now(self) -> float:
        """Seconds of the call."""
        return (self.clock.now_ns() - self.start_ns) / NS_PER_SECOND


class Watcher(Protocol):
    """Is told what happens; its methods run on several threads, and must not block."""

    def on_begin(self, scene: Scene) -> None:
        """The replay begins."""

    def on_call(self) -> None:
        """A call was made."""

    def on_change(self, change: Change) -> None:
        """A room or participant came or went."""

    def on_received(self, received: Received) -> None:
        """The built-in receiver got a request."""

    def on_undelivered(self, webhook: WebhookInfo) -> None:
        """A webhook failed (then `send_error` says why), or was dropped."""


class NoWatcher:
    """Looks away."""

    def on_begin(self, scene: Scene) -> None:
        """Do nothing."""

    def on_call(self) -> None:
        """Do nothing."""

    def on_change(self, change: Change) -> None:
        """Do nothing."""

    def on_received(self, received: Received) -> None:
        """Do nothing."""

    def on_undelivered(self, webhook: WebhookInfo) -> None:
        """Do nothing."""


def replay(
    options: ReplayOptions,
    watcher: Watcher | None = None,
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> Summary:
    """Play a recording and write what was asked for.

    A line that is not understood ends the replay: what came before it is finished and written as
    usual, and `Summary.problem` says which line it was. So does `stopped`, which is asked often.

    Raises:
        ConfigError: An option is wrong; nothing was played.
        RecordingError: Not one call could be made; there is nothing to show or to write.
        OSError: The recording or the analytics file cannot be opened; nothing was played.
    """
    return _Replay(options, watcher or NoWatcher(), stopped).run()


class _Replay:
    def __init__(
        self, options: ReplayOptions, watcher: Watcher, stopped: Callable[[], bool]
    ) -> None:
        self._options = options
        self._watcher = watcher
        self._stopped = stopped
        self._calls: Counter[str] = Counter()
        self._received = 0
        self._refused = 0
        self._problem = ""
        self._written: list[str] = []
        self._not_written: list[str] = []
        self._real_start = time.monotonic()

    def run(self) -> Summary:
        options = self._options
        check_speed(options.speed)
        picture = None if options.plot is None else _load_picture(options.plot)
        check_webhook_urls(options.webhook_urls)
        check_outputs(
            options.path,
            {
                "--analytics-out": options.analytics_out,
                "--metrics-out": options.metrics_out,
                "--plot": options.plot,
            },
        )
        with ExitStack() as stack:
            recording = stack.enter_context(Recording(options.path))
            found_ns, calls = find_start(iter(recording))
            start_ns = _start_ns(options.start_unix, found_ns)
            clock = VirtualClock(start_ns)
            attendance, story = Attendance(self._watcher.on_change), Story(clock, start_ns)
            webhook = self._webhook(stack, clock)
            undelivered = UndeliveredWebhooks(self._watcher.on_undelivered)
            sinks: list[AnalyticsService] = [attendance, undelivered]
            if picture is not None:
                sinks.append(story)
            if options.analytics_out is not None:
                file = JsonlAnalytics(options.analytics_out, clock, start_ns)
                stack.callback(self._write, options.analytics_out, file.close)
                sinks.append(file)
            telemetry = start(webhook=webhook, analytics=AnalyticsSinks(sinks), clock=clock)
            stack.callback(telemetry.close, 0)  # for errors: when all is well it is closed below
            self._watcher.on_begin(Scene(recording, attendance, clock, start_ns))
            self._play(telemetry, calls)
            complete = telemetry.close()
        if options.metrics_out is not None:
            write = partial(options.metrics_out.write_bytes, _metrics_text(telemetry))
            self._write(options.metrics_out, write)
        if picture is not None and options.plot is not None:
            title = _title(options.path, attendance.totals())
            self._write(options.plot, partial(picture.draw, story, options.plot, title=title))
        return self._summary(telemetry, attendance, story.now, complete=complete)

    def _webhook(self, stack: ExitStack, clock: VirtualClock) -> WebhookSettings | None:
        options = self._options
        urls, key, secret = options.webhook_urls, options.api_key, options.api_secret
        if not urls and not options.receiver:
            return None
        if options.receiver and not urls and not secret:
            key, secret = key or RECEIVER_KEY, secrets.token_urlsafe(32)
        keys = {key: secret} if key and secret else {}
        if options.receiver:
            receiver = Receiver(keys, clock, on_received=self._on_received)
            stack.callback(receiver.close)
            urls = (*urls, receiver.url)
        return WebhookSettings(
            urls=urls, api_key=key, keys=keys, policy=options.policy, allow_private=True
        )

    def _play(self, telemetry: Telemetry, calls: Iterator[RecordedCall]) -> None:
        player = Player(
            telemetry, speed=self._options.speed, on_call=self._on_call, stopped=self._stopped
        )
        try:
            player.play(calls)
        except RecordingError as error:
            if not self._calls:
                raise
            self._problem = str(error)
        player.finish()

    def _on_call(self, call: RecordedCall) -> None:
        self._calls[call.name] += 1
        self._watcher.on_call()

    def _on_received(self, received: Received) -> None:
        self._received += 1
        self._refused += bool(received.problem)
        self._watcher.on_received(received)

    def _write(self, path: Path, write: Callable[[], object]) -> None:
        """What cannot be written must not keep the rest from being written, or shown."""
        try:
            write()
        except OSError as error:
            self._not_written.append(f"{path}: {error.strerror or error}")
        else:
            self._written.append(str(path))

    def _summary(
        self, telemetry: Telemetry, attendance: Attendance, call_seconds: float, *, complete: bool
    ) -> Summary:
        families = telemetry.metrics.snapshot()
        errors = sum(totals_by(families, ANALYTICS_ERRORS_TOTAL.name).values())
        if errors:
            file = str(self._options.analytics_out)
            self._written = [path for path in self._written if path != file]
            self._not_written.append(f"{file}: {errors} lines are missing")
        return Summary(
            calls=dict(self._calls.most_common()),
            call_seconds=call_seconds,
            wall_seconds=time.monotonic() - self._real_start,
            attendance=attendance.totals(),
            webhooks=totals_by(families, WEBHOOK_DISPATCH_TOTAL.name, "status"),
            received=self._received if self._options.receiver else None,
            refused=self._refused,
            dropped=totals_by(families, DROPPED_TOTAL.name, "reason"),
            failures=sum(totals_by(families, INPUT_FAILURES_TOTAL.name).values()),
            written=tuple(self._written),
            not_written=tuple(self._not_written),
            complete=complete,
            stopped=self._stopped(),
            problem=self._problem,
        )


def _metrics_text(telemetry: Telemetry) -> bytes:
    registry = CollectorRegistry()
    registry.register(LiveKitCollector(telemetry.metrics, telemetry.settings.node_id))
    return generate_latest(registry)


def _title(path: Path, there: AttendanceTotals) -> str:
    return f"{path.name}: {there.rooms} rooms, {there.participants} participants"


def _load_picture(path: Path) -> ModuleType:
    try:
        from . import picture
    except ImportError:
        raise ConfigError(
            "plot: needs matplotlib; install it with: pip install 'greenroom[plot]'"
        ) from None
    picture.check_suffix(path)
    return picture


def _start_ns(wanted: float | Decimal | None, found_ns: int | None) -> int:
    if wanted is None:
        return time.time_ns() if found_ns is None else found_ns
    if not (math.isfinite(wanted) and 0 <= wanted * NS_PER_SECOND < LATEST_NS):
        raise ConfigError(f"start_unix: expected Unix seconds of a time before 2100, got {wanted}")
    return round(wanted * NS_PER_SECOND)
