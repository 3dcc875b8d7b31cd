"""HttpPoster: makes the attempts that a notifier orders, on a thread of its own.

One daemon thread runs an asyncio loop; it starts with the first attempt. Each attempt's outcome
enters the door exactly once, whatever happens to it.
"""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from aiohttp.abc import AbstractResolver

from ..core.attempt import Attempt
from ..core.ports import Entrance, Reporter
from ..core.slots import Slots
from ..core.times import NS_PER_SECOND
from ..core.url import post_error
from ..errors import TransportError
from ..messages.control import DeadLetter
from ..messages.outputs import AttemptEnded
from .exchange import Answer, Exchange
from .loops import new_event_loop

CONCURRENT_MAX: Final = 512  # half of the 1,024 descriptors that a process usually may open
DOOR_RETRY_SECONDS: Final = 0.05
SLOT_SECONDS_MAX: Final = 60.0  # a token is valid for 300 s from when it was signed
LOOKUPS_MAX: Final = 64  # names looked up at once: a look-up that hangs holds a thread for long
STOP_SECONDS: Final = 5.0  # for what is cancelled to end: no more than a few loop turns
CLOSED: Final = "greenroom was closed"


def default_user_agent() -> str:
    """`greenroom/<version>`, without the version when the package is not installed."""
    try:
        return f"greenroom/{version('greenroom')}"
    except PackageNotFoundError:
        return "greenroom"


class _Job:
    """One attempt, from `post` until its outcome has entered the door."""

    __slots__ = ("attempt", "ended", "reply_to", "started_ns")

    def __init__(self, attempt: Attempt, reply_to: object) -> None:
        self.attempt = attempt
        self.reply_to = reply_to
        self.started_ns = time.monotonic_ns()
        self.ended: AttemptEnded | None = None

    def answered(self, answer: Answer) -> AttemptEnded:
        """The outcome with an answer."""
        return self._ended(answer.status, answer.retry_after, "", retryable=True, sent=True)

    def failed(self, error: TransportError) -> AttemptEnded:
        """The outcome without one."""
        return self._ended(None, "", error.reason, retryable=error.retryable, sent=error.sent)

    def refuse_stale(self) -> None:
        """Fail, to be tried again with a fresh token, when it waited for its slot for long.

        Raises:
            TransportError: Its token would be near its end on arrival.
        """
        waited_seconds = (time.monotonic_ns() - self.started_ns) / NS_PER_SECOND
        if waited_seconds > SLOT_SECONDS_MAX:
            reason = f"no connection was free for {waited_seconds:.0f} s"
            raise TransportError(post_error(self.attempt.url, reason))

    def outcome(self) -> AttemptEnded:
        """What it came to; before it has ended: that the poster was closed."""
        if self.ended is None:
            self.ended = self.failed(TransportError(post_error(self.attempt.url, CLOSED)))
        return self.ended

    def _ended(
        self, status: int | None, retry_after: str, error: str, *, retryable: bool, sent: bool
    ) -> AttemptEnded:
        return AttemptEnded(
            delivery_id=self.attempt.delivery_id,
            attempt=self.attempt.number,
            status=status,
            retry_after=retry_after,
            error=error,
            retryable=retryable,
            sent=sent,
        )


class HttpPoster:
    """A `core.ports.Poster` over the network. Safe from any thread; a forked child needs its own.

    Args:
        door: Where outcomes enter.
        hold: Called when an attempt is taken, so that virtual time waits for it.
        release: Called when its outcome has entered the door.
        reporter: Told of faults of the poster itself.
        concurrent_max: Attempts in flight at once; one URL gets at most half, see `core.slots`.
        user_agent: The header's value.
        resolver: Looks names up; None: the system's.
    """

    def __init__(
        self,
        door: Entrance,
        *,
        hold: Callable[[], None],
        release: Callable[[], None],
        reporter: Reporter,
        concurrent_max: int = CONCURRENT_MAX,
        user_agent: str | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._door = door
        self._reporter = reporter
        self._hold = hold
        self._release = release
        self._user_agent = default_user_agent() if user_agent is None else user_agent
        self._resolver = resolver
        self._changed = threading.Condition()  # guards the next five
        self._held: set[_Job] = set()
        self._incoming: deque[_Job] = deque()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        # the rest belongs to the thread
        self._slots: Slots[_Job] = Slots(concurrent_max)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: deque[_Job] = deque()  # their outcomes have not entered the door
        self._stopping = asyncio.Event()
        self._exchange: Exchange | None = None

    def __repr__(self) -> str:
        return f"HttpPoster({len(self._held)} held, closed={self._closed})"

    def post(self, attempt: Attempt, reply_to: object) -> None:
        """Start the attempt; returns at once. After `close` it fails at once."""
        self._hold()
        job = _Job(attempt, reply_to)
        with self._changed:
            if not self._closed:
                self._held.add(job)
                self._incoming.append(job)
                if self._loop is None:
                    self._loop = self._start()
                if len(self._incoming) == 1:  # else the loop is on its way to all of them
                    self._loop.call_soon_threadsafe(self._take)
                return
        self._door.enter(reply_to, job.outcome())
        self._release()

    def wait_idle(self, timeout_seconds: float | None) -> bool:
        """Wait until no attempt is in flight; False when the time ran out."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._held, timeout_seconds)

    def close(self, timeout_seconds: float | None) -> bool:
        """Finish what is in flight, cut off what takes longer, and stop. Idempotent.

        Returns:
            Whether everything had ended in time.
        """
        with self._changed:
            self._closed = True
            in_time = self.wait_idle(timeout_seconds)
            thread, loop = self._thread, self._loop
        if thread is not None and loop is not None:
            with suppress(RuntimeError):  # the loop has ended already
                loop.call_soon_threadsafe(self._stopping.set)
            thread.join(STOP_SECONDS)
        return in_time

    # ── on the thread ───────────────────────────────────────────────────────────────────────

    def _start(self) -> asyncio.AbstractEventLoop:
        loop = new_event_loop()
        self._thread = threading.Thread(
            target=self._run, args=(loop,), name="greenroom-http", daemon=True
        )
        self._thread.start()
        return loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(self._serve())
        except Exception as error:  # noqa: BLE001  # the top of a thread: reported, and nothing hangs
            self._report(error)
        finally:
            self._cut_off()

    async def _serve(self) -> None:
        lookups = ThreadPoolExecutor(LOOKUPS_MAX, "greenroom-lookup")
        asyncio.get_running_loop().set_default_executor(lookups)  # the runner shuts it down
        async with Exchange(self._user_agent, self._resolver) as exchange:
            self._exchange = exchange
            self._take()
            await self._stopping.wait()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._cut_off()

    def _cut_off(self) -> None:
        """End what has not ended: cancelled, waiting for a slot, or refused by the door."""
        with self._changed:
            self._closed = True
            left = list(self._held)
        self._ended.clear()  # they are among those
        for job in left:
            self._door.enter(job.reply_to, job.outcome())
        self._let_go(left)

    def _take(self) -> None:
        """Start what was posted, as far as there are slots."""
        if self._exchange is None:
            return  # _serve comes back to it
        with self._changed:
            jobs = list(self._incoming)
            self._incoming.clear()
        for job in jobs:
            self._begin(self._slots.add(job.attempt.url, job))

    def _begin(self, jobs: Iterable[_Job]) -> None:
        if self._exchange is None or self._stopping.is_set():
            return  # they are held, so that they are cut off
        for job in jobs:
            self._tasks.add(asyncio.create_task(self._work(job, self._exchange)))

    async def _work(self, job: _Job, exchange: Exchange) -> None:
        """Make this attempt, and then those that waited for its slot."""
        while True:
            await self._finish(job, exchange)
            self._hand_over_soon(job)
            freed = self._slots.release(job.attempt.url)
            if not freed or self._stopping.is_set():
                break
            job = freed.pop(0)
            self._begin(freed)
        if task := asyncio.current_task():
            self._tasks.discard(task)

    async def _finish(self, job: _Job, exchange: Exchange) -> None:
        try:
            job.refuse_stale()
            job.ended = job.answered(await exchange.answer(job.attempt))
        except TransportError as error:
            job.ended = job.failed(error)
        except Exception as error:  # noqa: BLE001  # the top of a task: reported, counts as failed
            self._report(error)
            reason = post_error(job.attempt.url, type(error).__name__)
            job.ended = job.failed(TransportError(reason))

    def _hand_over_soon(self, job: _Job) -> None:
        """With what else ends in this turn of the loop: who waits at the door is woken once."""
        self._ended.append(job)
        if len(self._ended) == 1:
            asyncio.get_running_loop().call_soon(self._hand_over)

    def _hand_over(self) -> None:
        """Let outcomes enter the door; those that it refuses come again, unless all is over."""
        entered = []
        while self._ended:
            job = self._ended[0]
            if not self._door.enter(job.reply_to, job.outcome()) and not self._closed:
                asyncio.get_running_loop().call_later(DOOR_RETRY_SECONDS, self._hand_over)
                break  # the delivery would wait for it for ever
            entered.append(self._ended.popleft())
        self._let_go(entered)

    def _let_go(self, jobs: Collection[_Job]) -> None:
        for _ in jobs:
            self._release()
        with self._changed:
            self._held.difference_update(jobs)
            if not self._held:
                self._changed.notify_all()

    def _report(self, error: Exception) -> None:
        self._reporter.input_failed(
            DeadLetter(
                actor=type(self).__name__,
                key="",
                message=Attempt.__name__,
                position=0,
                at_ns=0,
                error=type(error).__name__,  # its text may hold a URL
                traceback="".join(traceback.format_tb(error.__traceback__)),
                body=b"",
            )
        )
