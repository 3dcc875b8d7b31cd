"""What else Thespian documents: sources, status, dispatch by type, initializing messages."""

from __future__ import annotations

import io
import sys
import zipfile
from datetime import timedelta

import pytest
from thespian.actors import (
    Actor,
    ActorAddress,
    ActorExitRequest,
    ActorSystem,
    ActorTypeDispatcher,
    InvalidActorSourceHash,
    LoadedSource,
    Thespian_ActorStatus,
    Thespian_StatusReq,
    Thespian_SystemStatus,
    UnloadedSource,
    ValidatedSource,
    ValidateSource,
    WakeupMessage,
)
from thespian.initmsgs import initializing_messages

from greenroom.runtime import by_name
from greenroom.runtime.base import InProcessBase

SOURCE = """
from thespian.actors import Actor

class Guest(Actor):
    def receiveMessage(self, msg, sender):
        if msg == "who?":
            self.send(sender, "a guest")
        elif msg == "child":
            self.send(sender, self.createActor("guests.Guest"))
"""


class Authority(Actor):
    """Finds every source valid, and reports what becomes of them."""

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        match msg:
            case "begin":
                self.owner = sender
                self.registerSourceAuthority()
                self.notifyOnSourceAvailability()
                self.send(sender, "ready")
            case ValidateSource():
                self.send(sender, ValidatedSource(msg.sourceHash, msg.sourceData))
            case LoadedSource() | UnloadedSource():
                self.send(self.owner, (type(msg).__name__, msg.sourceHash))


def zipped(source: str) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("guests.py", source)
    file.seek(0)
    return file


@pytest.mark.filterwarnings("ignore:HashRootLoader:ImportWarning")  # Thespian's, old-fashioned
def test_a_validated_source_can_be_used_until_it_is_unloaded(
    base: InProcessBase, system: ActorSystem
) -> None:
    authority = system.createActor(Authority)
    system.ask(authority, "begin", 5)

    source_hash = system.loadActorSource(zipped(SOURCE))
    assert system.listen(5) == ("LoadedSource", source_hash)

    guest = system.createActor("guests.Guest", sourceHash=source_hash)
    child = system.ask(guest, "child", 5)
    assert system.ask(child, "who?", 5) == "a guest"

    system.unloadActorSource(source_hash)
    assert system.listen(5) == ("UnloadedSource", source_hash)
    with pytest.raises(InvalidActorSourceHash):
        system.createActor("guests.Guest", sourceHash=source_hash)
    assert system.ask(guest, "who?", 5) == "a guest"
    assert [name for name in sys.modules if source_hash in name]  # as long as one lives

    system.tell(guest, ActorExitRequest())
    base.barrier(5)
    assert not [name for name in sys.modules if source_hash in name]


def test_a_source_that_is_not_a_zip_file_is_not_loaded(
    base: InProcessBase, system: ActorSystem
) -> None:
    authority = system.createActor(Authority)
    system.ask(authority, "begin", 5)

    source_hash = system.loadActorSource(io.BytesIO(b"nonsense"))
    base.barrier(5)

    with pytest.raises(InvalidActorSourceHash):
        system.createActor("guests.Guest", sourceHash=source_hash)


def test_without_an_authority_no_source_is_loaded(
    base: InProcessBase, system: ActorSystem
) -> None:
    source_hash = system.loadActorSource(zipped(SOURCE))
    base.barrier(5)

    with pytest.raises(InvalidActorSourceHash):
        system.createActor("guests.Guest", sourceHash=source_hash)


class Parent(Actor):
    """Has a child and a timer."""

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        if msg == "begin":
            self.wakeupAfter(timedelta(hours=1))
            self.send(sender, self.createActor(Parent))


def test_the_system_and_each_actor_report_their_status(system: ActorSystem) -> None:
    parent = system.createActor(Parent, globalName="the parent")
    child = system.ask(parent, "begin", 5)

    of_system = system.ask(system.systemAddress, Thespian_StatusReq(), 5)
    of_parent = system.ask(parent, Thespian_StatusReq(), 5)
    of_child = system.ask(child, Thespian_StatusReq(), 5)

    assert isinstance(of_system, Thespian_SystemStatus)
    assert of_system.childActors == [parent]
    assert of_system.globalActors == {"the parent": parent}
    assert isinstance(of_parent, Thespian_ActorStatus)
    assert (of_parent.actorClass, of_parent.childActors) == ("Parent", [child])
    assert [address for address, _ in of_parent.pendingWakeups] == [parent]
    assert of_child.parentAddress == parent


class Dispatching(ActorTypeDispatcher):
    """Has a handler for each type."""

    def receiveMsg_int(self, msg: int, sender: ActorAddress) -> None:
        self.send(sender, msg + 1)

    def receiveMsg_str(self, msg: str, sender: ActorAddress) -> None:
        self.wakeupAfter(0.001, (sender, msg))

    def receiveMsg_WakeupMessage(self, msg: WakeupMessage, sender: ActorAddress) -> None:
        owner, text = msg.payload
        self.send(owner, text.upper())


def test_a_type_dispatcher_gets_each_type_in_its_handler(system: ActorSystem) -> None:
    dispatching = system.createActor(Dispatching)

    assert system.ask(dispatching, 1, 5) == 2
    assert system.ask(dispatching, "later", 5) == "LATER"


@initializing_messages([("number", int)])
class Initialized(Actor):
    """Answers once it has its number."""

    number: int

    def receiveMessage(self, msg: object, sender: ActorAddress) -> None:
        if not isinstance(msg, ActorExitRequest):
            self.send(sender, (self.number, msg))


def test_actors_that_wait_for_initializing_messages_do_not_share_them(
    system: ActorSystem,
) -> None:
    one, other = system.createActor(Initialized), system.createActor(Initialized)

    system.tell(one, "for one")
    system.tell(other, "for the other")
    system.tell(one, 1)
    system.tell(other, 2)

    assert [system.listen(5), system.listen(5)] == [(1, "for one"), (2, "for the other")]


def test_the_base_can_be_had_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "thespian.system.greenroom", by_name)
    configured: list[object] = []
    monkeypatch.setattr(by_name, "dictConfig", configured.append)

    system = ActorSystem("greenroom", {"coffee": 1}, {"version": 1}, transientUnique=True)

    assert system.ask(system.createActor(Dispatching), 1, 5) == 2
    assert system.capabilities["Thespian ActorSystem Name"] == "greenroom"
    assert system.capabilities["coffee"] == 1
    assert configured == [{"version": 1}]
    system.shutdown()
