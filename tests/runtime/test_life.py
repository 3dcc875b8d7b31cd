"""Birth, names and the order of an exit."""

from __future__ import annotations

import copy
import pickle

import pytest
from thespian.actors import (
    Actor,
    ActorAddress,
    ActorExitRequest,
    ActorSystem,
    ChildActorExited,
    NoCompatibleSystemForActor,
)

from greenroom.runtime.base import InProcessBase
from greenroom.runtime.clock import VirtualClock


class Parent(Actor):
    """Makes children, and writes down in which order things end."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.names: dict[ActorAddress, str] = {}

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        match msg:
            case ("make", str(name), type() as kind):
                child = self.createActor(kind)
                self.names[child] = name
                self.send(sender, child)
            case ("log", list() as log, str(name)):
                self.log, self.name = log, name
            case "grow":
                child = self.createActor(Parent)
                self.send(child, ("log", self.log, f"{self.name}'s child"))
                self.names[child] = f"{self.name}'s child"
                self.send(sender, child)
            case ActorExitRequest():
                self.log.append(f"{self.name} is asked to exit")
            case ChildActorExited():
                self.log.append(f"{self.names[msg.childAddress]} is gone")
            case "again":
                self.send(sender, self.log)


class Broken(Actor):
    """Cannot be made."""

    def __init__(self) -> None:
        raise ValueError("on purpose")


class Replacing(Actor):
    """Replaces each child that dies."""

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        if msg == "begin" or isinstance(msg, ChildActorExited):
            self.createActor(Replacing)


class Needy(Actor):
    """Needs a capability."""

    @staticmethod
    def actorSystemCapabilityCheck(capabilities: dict[str, object], _: object) -> bool:
        return bool(capabilities.get("coffee"))

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        if msg == "there?":
            self.send(sender, "yes")


def test_exiting_buries_the_children_first_and_then_reports(
    base: InProcessBase, system: ActorSystem
) -> None:
    log: list[str] = []
    top = system.createActor(Parent)
    system.tell(top, ("log", log, "top"))
    middle = system.ask(top, "grow", 5)
    system.ask(middle, "grow", 5)

    system.tell(middle, ActorExitRequest())
    base.barrier(5)

    assert log == [
        "top's child is asked to exit",
        "top's child's child is asked to exit",
        "top's child's child is gone",
        "top's child is gone",
    ]
    assert base.statistics().actors == 1


def test_children_survive_an_exit_that_is_not_recursive_and_still_end_with_the_base(
    base: InProcessBase, system: ActorSystem
) -> None:
    log: list[str] = []
    top = system.createActor(Parent)
    system.tell(top, ("log", log, "top"))
    child = system.ask(top, "grow", 5)

    system.tell(top, ActorExitRequest(recursive=False))

    assert system.ask(child, "again", 5) == ["top is asked to exit"]
    assert base.statistics().actors == 1
    assert base.shutdown(5)
    assert log[-1] == "top's child is asked to exit"


def test_a_child_that_dies_just_before_its_parent_leaves_nothing_behind(
    base: InProcessBase, system: ActorSystem
) -> None:
    top = system.createActor(Parent)
    system.tell(top, ("log", [], "top"))
    child = system.ask(top, "grow", 5)

    system.tell(child, ActorExitRequest())
    system.tell(top, ActorExitRequest(recursive=False))
    base.barrier(5)

    assert base.statistics().actors == 0
    assert base.shutdown(5)


def test_a_child_that_cannot_be_made_is_reported_as_gone(
    base: InProcessBase, system: ActorSystem
) -> None:
    log: list[str] = []
    top = system.createActor(Parent)
    system.tell(top, ("log", log, "top"))

    system.ask(top, ("make", "broken", Broken), 5)
    base.barrier(5)

    assert log == ["broken is gone"]
    assert base.statistics().actors == 1


def test_a_primary_actor_that_cannot_be_made_raises(
    base: InProcessBase, system: ActorSystem
) -> None:
    with pytest.raises(ValueError, match="on purpose"):
        system.createActor(Broken)

    base.barrier(5)
    assert base.statistics().actors == 0


def test_a_parent_that_replaces_its_children_can_still_exit(
    base: InProcessBase, system: ActorSystem
) -> None:
    parent = system.createActor(Replacing)
    system.tell(parent, "begin")
    base.barrier(5)

    system.tell(parent, ActorExitRequest())

    assert base.barrier(5)
    assert base.statistics().actors == 0


def test_a_global_name_finds_the_one_actor_that_has_it(
    base: InProcessBase, system: ActorSystem
) -> None:
    first = system.createActor(Parent, globalName="the one")
    second = system.createActor(Broken, globalName="the one")
    other = system.createActor(Parent, globalName="another")

    assert first == second != other

    system.tell(first, ("log", [], "first"))
    system.tell(first, ActorExitRequest())
    base.barrier(5)

    assert system.createActor(Parent, globalName="the one") != first


class Naming(Actor):
    """Makes a named actor, and says so when it is gone."""

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        if msg == "begin":
            self.owner = sender
            self.send(sender, self.createActor(Needy, globalName="named"))
        elif isinstance(msg, ChildActorExited):
            self.send(self.owner, "gone")


def test_the_creator_of_a_named_actor_is_told_of_its_end_but_does_not_take_it_along() -> None:
    base = InProcessBase(VirtualClock(), capabilities={"coffee": True})
    system = ActorSystem(base, transientUnique=True)
    first, second = system.createActor(Naming), system.createActor(Naming)

    named = system.ask(first, "begin")
    system.tell(second, ActorExitRequest())
    assert system.ask(named, "there?") == "yes"

    system.tell(named, ActorExitRequest())
    assert system.listen(0) == "gone"
    assert base.statistics().actors == 1


def test_an_actor_is_made_only_where_the_capabilities_fit(
    base: InProcessBase, system: ActorSystem
) -> None:
    with pytest.raises(NoCompatibleSystemForActor, match="No compatible ActorSystem"):
        system.createActor(Needy)

    system.updateCapability("coffee", True)
    needy = system.createActor(Needy)
    assert system.ask(needy, "there?", 5) == "yes"

    system.updateCapability("coffee", None)
    base.barrier(5)
    assert base.statistics().actors == 0


def test_an_actor_may_want_to_know_the_capabilities_and_its_requirements() -> None:
    class Curious(Actor):
        def __init__(self, requirements: object, capabilities: dict[str, object]) -> None:
            self.known = (requirements, capabilities["coffee"])

        def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
            self.send(sender, self.known)

    system = ActorSystem(InProcessBase(VirtualClock(), {"coffee": 2}), transientUnique=True)
    curious = system.createActor(Curious, {"milk": 1})

    assert system.ask(curious, "?") == ({"milk": 1}, 2)


def test_an_address_is_a_key_and_its_copies_are_itself(system: ActorSystem) -> None:
    one, other = system.createActor(Parent), system.createActor(Parent)

    assert {one: 1, other: 2}[one] == 1
    assert copy.deepcopy([one]) == [one] != [other]
    assert copy.copy(one) is one


def test_an_address_that_left_the_process_leads_nowhere(system: ActorSystem) -> None:
    address = system.createActor(Parent)

    outside = pickle.loads(pickle.dumps(address))

    assert type(outside) is ActorAddress
    assert outside.actorAddressString == address.actorAddressString
    assert outside != address
