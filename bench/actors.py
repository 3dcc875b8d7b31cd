"""The in-process base beside Thespian's own simpleSystemBase and TCP base and Pykka, in one run.

    python bench/actors.py --json actors.json
    python bench/actors.py --long               also ten million messages, a million births

Two hops: a message is told to a router, which tells it to one of its children: 1,000, but 10 where
each is a thread or a process. Memory, idle time and a flush are measured in fresh processes.
"""

from __future__ import annotations

import gc
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pykka
from figures import fresh, median, parser, percentile, rss_bytes, save, show
from flush import measure_flush, waits
from thespian.actors import Actor, ActorAddress, ActorExitRequest, ActorSystem
from workload import join_all, load_stats, participants

import greenroom
from greenroom.runtime.base import InProcessBase
from greenroom.runtime.clock import SystemClock

CHILDREN = 1_000
FEW_CHILDREN = 10
SYNC_EVERY = 1_000
IDLE_SECONDS = 3.0
LONG_MESSAGES = 10_000_000
LONG_BIRTHS = 1_000_000
A_MINUTE = timedelta(seconds=60)
WORKERS = (  # figure, workers, tracks each
    ("rss_10k_mb", 10_000, 0),
    ("rss_100k_idle_mb", 100_000, 0),
    ("rss_100k_mb", 100_000, 3),
)
FLUSHED = 100_000  # workers, of three tracks each
FLUSHED_SAMPLES = 2  # of each track


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
            self.send(self.children[message % len(self.children)], message)
        elif message == "done":
            self.send(sender, "done")
        elif isinstance(message, tuple):
            for number in range(message[1]):
                self.children[number] = self.createActor(Child)
            self.send(sender, "made")
        elif isinstance(message, list):
            for _ in range(message[0]):
                self.send(self.createActor(Child), ActorExitRequest())
            self.send(sender, "born")


def two_hops_thespian(
    make_system: Callable[[], ActorSystem], count: int, children: int = CHILDREN
) -> float:
    """Messages a second through both hops, told from outside."""
    system = make_system()
    router = system.createActor(Router)
    system.ask(router, ("make", children), A_MINUTE)
    started = time.perf_counter()
    for number in range(count):
        system.tell(router, number)
    system.ask(router, "done", A_MINUTE)
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


def tcp() -> ActorSystem:
    """A system on Thespian's TCP base: a process for each actor."""
    port = free_port()
    capabilities = {"Admin Port": port, "Convention Address.IPv4": f"127.0.0.1:{port}"}
    no_logs = {"version": 1, "root": {"handlers": []}}
    return ActorSystem("multiprocTCPBase", capabilities, logDefs=no_logs, transientUnique=True)


def free_port() -> int:
    """One that nobody listens at just now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


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
    children = [PykkaChild.start() for _ in range(FEW_CHILDREN)]
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


def workers_mb(count: int, tracks: int) -> float:
    """Resident memory of that many workers, each with samples of so many tracks.

    With all that the supervisor knows of them; without tracks they are idle.
    """
    everybody = participants(count)
    stat = load_stats()[0]
    telemetry = greenroom.start(flush_interval_seconds=None, clock=greenroom.VirtualClock())
    gc.collect()
    before = rss_bytes()
    for first in range(0, count, SYNC_EVERY):  # else what waits at the door would count as well
        some = everybody[first : first + SYNC_EVERY]
        join_all(telemetry, some)
        for each in some:
            for key in each.keys[:tracks]:
                telemetry.track_stats(each.room.sid, each.room.name, key, stat)
        telemetry.sync(None)
    gc.collect()
    grown = (rss_bytes() - before) / 1e6
    telemetry.close()
    return grown


def idle_percent() -> float:
    """Of a core, what a started greenroom takes that has nothing to do."""
    with greenroom.start():
        time.sleep(1.0)  # the watchdog goes to rest
        cpu, wall = time.process_time(), time.perf_counter()
        time.sleep(IDLE_SECONDS)
        return (time.process_time() - cpu) / (time.perf_counter() - wall) * 100


def long_run() -> tuple[float, float]:
    """Ten million messages through two hops: how many a second, by how many MB memory grew."""
    system = in_process()
    router = system.createActor(Router)
    system.ask(router, ("make", CHILDREN), A_MINUTE)

    def tell(count: int) -> None:
        for number in range(count):
            system.tell(router, number)
        system.ask(router, "done", None)

    tell(1_000_000)
    gc.collect()
    before, started = rss_bytes(), time.perf_counter()
    for _ in range(10):
        tell(LONG_MESSAGES // 10)
    elapsed = time.perf_counter() - started
    gc.collect()
    grown = (rss_bytes() - before) / 1e6
    system.shutdown()
    return LONG_MESSAGES / elapsed, grown


def births() -> tuple[float, float]:
    """A million births and deaths: us for each, by how many MB memory grew."""
    system = in_process(threaded=False)
    router = system.createActor(Router)

    def bear(count: int) -> None:
        for _ in range(count // 1_000):
            system.ask(router, [1_000], A_MINUTE)
        gc.collect()

    bear(20_000)
    before, started = rss_bytes(), time.perf_counter()
    bear(LONG_BIRTHS)
    elapsed = time.perf_counter() - started
    return elapsed / LONG_BIRTHS * 1e6, (rss_bytes() - before) / 1e6


def main() -> None:
    """Measure and print."""
    options = parser(__doc__ or "")
    options.add_argument("--messages", type=int, default=200_000)
    options.add_argument("--long", action="store_true", help="also what takes long")
    chosen = options.parse_args()
    figures = {"idle_cpu_percent": fresh(idle_percent)}
    for name, count, tracks in WORKERS:
        figures[name] = fresh(workers_mb, count, tracks)
        print(f"{count:,} workers, {tracks} tracks each: {figures[name]:.1f} MB", flush=True)
    flush = fresh(measure_flush, FLUSHED, FLUSHED_SAMPLES)
    print(f"flush of {FLUSHED:,} workers: {flush.flush_s:.2f} s", flush=True)
    figures |= {
        "flush_100k_s": flush.flush_s,
        "flush_ingest_p999_ms": percentile(flush.waits_ms, 0.999),
        "gc_100k_ms": flush.gc_ms,
    }
    ours, simples, tcps, pykkas, creation = [], [], [], [], []
    for number in range(chosen.runs):
        ours.append(two_hops_thespian(in_process, chosen.messages))
        simples.append(two_hops_thespian(simple, chosen.messages // 10))
        tcps.append(fresh(two_hops_thespian, tcp, chosen.messages // 200, FEW_CHILDREN))
        pykkas.append(two_hops_pykka(chosen.messages // 10))
        creation.append(create_us())
        print(f"run {number + 1} of {chosen.runs}: {ours[-1]:,.0f} messages/s", flush=True)
    figures |= {
        "two_hop_per_s": median(ours),
        "simple_two_hop_per_s": median(simples),
        "tcp_two_hop_per_s": median(tcps),
        "pykka_two_hop_per_s": median(pykkas),
        "create_us": median(creation),
    }
    ratio = {
        name: figures["two_hop_per_s"] / figures[f"{name}_two_hop_per_s"]
        for name in ("simple", "tcp", "pykka")
    }
    rows = [
        ("greenroom, two hops", f"{figures['two_hop_per_s']:,.0f} /s"),
        ("Thespian simpleSystemBase", f"{figures['simple_two_hop_per_s']:,.0f} /s"),
        ("Thespian TCP (10 children)", f"{figures['tcp_two_hop_per_s']:,.0f} /s"),
        ("Pykka (10 children)", f"{figures['pykka_two_hop_per_s']:,.0f} /s"),
        *((f"x {name}", f"{times:,.1f}") for name, times in ratio.items()),
        ("create an actor", f"{figures['create_us']:.2f} us"),
        ("10,000 idle workers", f"{figures['rss_10k_mb']:.1f} MB"),
        ("100,000 idle workers", f"{figures['rss_100k_idle_mb']:.1f} MB"),
        ("100,000 workers, 3 tracks each", f"{figures['rss_100k_mb']:.1f} MB"),
        ("  flushed, 6 samples each", f"{figures['flush_100k_s']:.2f} s"),
        ("  calls meanwhile: p50/p99/p99.9/max", f"{waits(flush)} ms"),
        ("  one garbage collection", f"{figures['gc_100k_ms']:.0f} ms"),
        ("idle, of a core", f"{figures['idle_cpu_percent']:.3f} %"),
    ]
    if chosen.long:
        figures["long_per_s"], figures["long_grown_mb"] = fresh(long_run)
        figures["birth_us"], figures["births_grown_mb"] = fresh(births)
        rows += [
            ("10 million messages", f"{figures['long_per_s']:,.0f} /s"),
            ("  memory grew by", f"{figures['long_grown_mb']:.1f} MB"),
            ("a birth and a death (1 million)", f"{figures['birth_us']:.2f} us"),
            ("  memory grew by", f"{figures['births_grown_mb']:.1f} MB"),
        ]
    show(f"actors in one process; medians of {chosen.runs}", rows)
    save(chosen.json, figures)


if __name__ == "__main__":
    main()
