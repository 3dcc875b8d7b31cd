"""Death, and that nothing is left of the dead."""

from __future__ import annotations

import gc
import os
import weakref
from pathlib import Path

from thespian.actors import (
    Actor,
    ActorAddress,
    ActorExitRequest,
    ActorSystem,
    ChildActorExited,
)

from greenroom.runtime.base import InProcessBase
from greenroom.runtime.clock import VirtualClock


def resident_bytes() -> int:
    """Memory of this process; 0 where the system does not tell it like this."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return 0
    return int(statm.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Mother(Actor):
    """Gives birth, with all that could be left behind, and sends the children away."""

    def __init__(self) -> None:
        self.children: list[ActorAddress] = []

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        match msg:
            case ("births", int(count)):
                for number in range(count):
                    name = None if number % 10 else f"child {number}"
                    child = self.createActor(Child, globalName=name)
                    self.send(child, "live")
                    self.children.append(child)
            case "deaths":
                for child in self.children:
                    self.send(child, ActorExitRequest())
                self.children.clear()


class Child(Actor):
    """Registers wherever one can."""

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        if msg == "live":
            self.wakeupAfter(3_600)
            self.handleDeadLetters()
            self.notifyOnSourceAvailability()
            self.notifyOnSystemRegistrationChanges()


class Ending(Actor):
    """Ends its process, if it had one: at birth, or when told so."""

    def __init__(self, requirements: dict[str, object] | None) -> None:
        if requirements:
            raise SystemExit

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        match msg:
            case "grow":
                self.send(sender, self.createActor(Ending))
            case "stillborn":
                self.createActor(Ending, {"at": "birth"})
            case "end":
                raise SystemExit
            case ChildActorExited():
                self.gone = True
            case "gone?":
                self.send(sender, self.gone)


def test_a_child_that_ends_its_process_at_birth_is_reported_as_gone(
    base: InProcessBase, system: ActorSystem
) -> None:
    parent = system.createActor(Ending)

    system.tell(parent, "stillborn")
    base.barrier(5)

    assert system.ask(parent, "gone?", 5)
    assert base.statistics().actors == 1


def test_an_actor_that_ends_its_process_takes_its_children_along(
    base: InProcessBase, system: ActorSystem
) -> None:
    parent = system.createActor(Ending)
    system.ask(system.ask(parent, "grow", 5), "grow", 5)

    system.tell(parent, "end")
    base.barrier(5)

    assert base.statistics().actors == 0


def test_nothing_is_left_after_a_million_births_and_deaths() -> None:
    base = InProcessBase(VirtualClock())
    system = ActorSystem(base, transientUnique=True)
    mother = system.createActor(Mother)

    def live_and_die(rounds: int) -> tuple[int, int]:
        for _ in range(rounds):
            system.tell(mother, ("births", 1_000))
            system.tell(mother, "deaths")
            base.run_until_idle()
        gc.collect()
        return len(gc.get_objects()), resident_bytes()

    objects, resident = live_and_die(20)
    objects_later, resident_later = live_and_die(980)

    seen = base.statistics()
    assert (seen.actors, seen.queued, seen.timers) == (1, 0, 0)
    assert seen.delivered > 3_000_000
    assert objects_later - objects < 500  # swept timers may leave a few behind
    assert resident_later - resident < 16_000_000


def test_a_dead_actors_instance_is_freed(base: InProcessBase, system: ActorSystem) -> None:
    found: list[weakref.ref[Actor]] = []

    class Known(Actor):
        def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
            if msg == "there?":
                found.append(weakref.ref(self))
                self.send(sender, "yes")

    known = system.createActor(Known)
    system.ask(known, "there?", 5)

    system.tell(known, ActorExitRequest())
    base.barrier(5)
    gc.collect()

    assert found[0]() is None
