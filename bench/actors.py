"""The in-process base beside Thespian's own simpleSystemBase and Pykka, in one run.

    python bench/actors.py --json actors.json

Two hops: a message is told to a router, which tells it to one of 1,000 children.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pykka
from figures import median, parser, rss_bytes, save, show
from thespian.actors import Actor, ActorAddress, ActorSystem
from workload import join_all, participants

import greenroom
from greenroom.runtime.base import InProcessBase
from greenroom.runtime.clock import SystemClock

CHILDREN = 1_000
WORKERS = 10_000


class Child(Actor):
    """Counts what it is told."""

    def __init__(self) -> None:
        self.count = 0

    def receiveMessage(self, message: object, sender: ActorAddress) -> None:
        """One more."""
        self.count += 1


class Router(Actor):
    """Tells each number to its child; answers `"done"`, makes children when told `"make"`."""

    def __init__(self) -> None:
        self.children: dict[int, ActorAddress] = {}

    def receiveMessage(self, message: object, sender: ActorAddress) -> None:
        """Route, make or answer."""
        if isinstance(message, int):
            self.send(self.children[message % CHILDREN], message)
        elif message == "done":
            self.send(sender, "done")
        elif isinstance(message, tuple):
            for number in range(message[1]):
                self.children[number] = self.createActor(Child)
            self.send(sender, "made")


def two_hops_thespian(make_system: Callable[[], ActorSystem], count: int) -> float:
    """Messages a second through both hops, told from outside."""
    system = make_system()
    router = system.createActor(Router)
    system.ask(router, ("make", CHILDREN), timedelta(seconds=60))
    started = time.perf_counter()
    for number in range(count):
        system.tell(router, number)
    system.ask(router, "done", timedelta(seconds=60))
    elapsed = time.perf_counter() - started
    system.shutdown()
    return count / elapsed


def in_process(*, threaded: bool = True) -> ActorSystem:
    """A system on greenroom's base."""
    base = InProcessBase(SystemClock())
    system = ActorSystem(base, transientUnique=True)
    if threaded:
        base.start()
    return system


def simple() -> ActorSystem:
    """A system on Thespian's own in-process base."""
    return ActorSystem("simpleSystemBase", transientUnique=True)


class PykkaChild(pykka.ThreadingActor):
    """Counts what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def on_receive(self, message: Any) -> Any:
        """One more; says how many when asked."""
        if message == "count":
            return self.count
        self.count += 1
        return None


class PykkaRouter(pykka.ThreadingActor):
    """As `Router`, with fewer children: each is a thread."""

    def __init__(self, children: list[pykka.ActorRef[PykkaChild]]) -> None:
        super().__init__()
        self.children = children

    def on_receive(self, message: Any) -> Any:
        """Route or answer."""
        if isinstance(message, int):
            self.children[message % len(self.children)].tell(message)
        return None


def two_hops_pykka(count: int) -> float:
    """Messages a second, told through a router to 10 children."""
    children = [PykkaChild.start() for _ in range(10)]
    router = PykkaRouter.start(children)
    started = time.perf_counter()
    for number in range(count):
        router.tell(number)
    router.ask("done")
    for child in children:
        child.ask("count")
    elapsed = time.perf_counter() - started
    pykka.ActorRegistry.stop_all()
    return count / elapsed


def create_us(count: int = 100_000) -> float:
    """What making one small actor costs."""
    system = in_process(threaded=False)
    router = system.createActor(Router)
    started = time.perf_counter()
    system.ask(router, ("make", count), timedelta(seconds=60))
    elapsed = time.perf_counter() - started
    system.shutdown()
    return elapsed / count * 1e6


def workers_mb() -> float:
    """Resident memory of 10,000 idle StatsWorkers, with all that the supervisor knows of them."""
    everybody = participants(WORKERS)
    telemetry = greenroom.start(flush_interval_seconds=None, clock=greenroom.VirtualClock())
    gc.collect()
    before = rss_bytes()
    join_all(telemetry, everybody)
    telemetry.sync()
    gc.collect()
    grown = (rss_bytes() - before) / 1e6
    telemetry.close()
    return grown


def main() -> None:
    """Measure and print."""
    options = parser(__doc__ or "")
    options.add_argument("--messages", type=int, default=200_000)
    chosen = options.parse_args()
    rss = workers_mb()
    ours, theirs, pykkas, creation = [], [], [], []
    for number in range(chosen.runs):
        ours.append(two_hops_thespian(in_process, chosen.messages))
        theirs.append(two_hops_thespian(simple, chosen.messages // 10))
        pykkas.append(two_hops_pykka(chosen.messages // 10))
        creation.append(create_us())
        print(f"run {number + 1} of {chosen.runs}: {ours[-1]:,.0f} messages/s", flush=True)
    figures = {
        "two_hop_per_s": median(ours),
        "simple_two_hop_per_s": median(theirs),
        "pykka_two_hop_per_s": median(pykkas),
        "create_us": median(creation),
        "rss_10k_mb": rss,
    }
    show(
        f"actors in one process; medians of {chosen.runs}",
        [
            ("greenroom, two hops", f"{figures['two_hop_per_s']:,.0f} /s"),
            ("Thespian simpleSystemBase", f"{figures['simple_two_hop_per_s']:,.0f} /s"),
            ("Pykka (10 children)", f"{figures['pykka_two_hop_per_s']:,.0f} /s"),
            ("x simple", f"{figures['two_hop_per_s'] / figures['simple_two_hop_per_s']:.1f}"),
            ("x Pykka", f"{figures['two_hop_per_s'] / figures['pykka_two_hop_per_s']:.1f}"),
            ("create an actor", f"{figures['create_us']:.2f} us"),
            ("10,000 idle workers", f"{figures['rss_10k_mb']:.1f} MB"),
        ],
    )
    save(chosen.json, figures)


if __name__ == "__main__":
    main()
