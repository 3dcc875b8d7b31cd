"""Only what was allowed by name is sent, and only that is unpickled."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from dataclasses import dataclass

import pytest
from thespian.actors import ActorExitRequest, ActorSystemConventionUpdate

from greenroom.errors import ConfigError, MessageError
from greenroom.runtime.secure.addresses import BoundAddress
from greenroom.runtime.secure.allowed import added_names, allow, dumps, loads
from greenroom.runtime.secure.refusals import Reason, RefusedError
from greenroom.runtime.secure.wire import LOOPBACK, configure

from .probes import SECRET


@dataclass(frozen=True)
class Batch:
    """As nodes send it."""

    records: bytes


@dataclass(frozen=True)
class Outer:
    """Has another class inside."""

    @dataclass(frozen=True)
    class Inner:
        """Allowed alone."""

        number: int


class LargerBatch(Batch):
    """Not allowed."""


allow(Batch, Outer.Inner)


def reason_of(pickled: bytes) -> Reason:
    with pytest.raises(RefusedError) as refused:
        loads(pickled)
    return refused.value.reason


@pytest.mark.parametrize(
    "content",
    [
        Batch(b"records"),
        Outer.Inner(7),
        {"a": [1, 2.5, None, True], "b": ("text", b"bytes", {1, 2}, frozenset((3,)))},
    ],
    ids=lambda content: type(content).__name__,
)
def test_plain_data_and_what_is_allowed_arrives(content: object) -> None:
    assert loads(dumps(content)) == content


def test_a_message_of_thespian_arrives() -> None:
    request = loads(dumps(ActorExitRequest(recursive=False)))

    assert isinstance(request, ActorExitRequest)
    assert not request.isRecursive


@pytest.mark.parametrize(
    "content",
    [LargerBatch(b""), OrderedDict(), os.system, ValueError("text"), complex(1, 2)],
    ids=str,
)
def test_what_is_not_allowed_is_neither_sent_nor_unpickled(content: object) -> None:
    with pytest.raises(MessageError, match="call allow"):
        dumps(content)
    assert reason_of(pickle.dumps(content)) is Reason.FORBIDDEN_CLASS


@pytest.mark.parametrize(
    "name",
    [
        b"os\nsystem",
        b"posix\nsystem",
        b"builtins\neval",
        b"builtins\ngetattr",
        b"thespian.actors\nActorSystem",
        b"thespian.actors\nValidateSource",
        b"thespian.system.messages.admin\nPendingActor.__init__",
        b"greenroom.runtime.secure.allowed\nallow",
        b"logging\nLogRecord.__class__",
    ],
)
def test_no_other_name_is_looked_up(name: bytes) -> None:
    assert reason_of(b"c" + name + b"\n.") is Reason.FORBIDDEN_CLASS
    module, _, attribute = name.partition(b"\n")
    stack_global = b"\x80\x04\x8c%c%b\x8c%c%b\x93." % (
        len(module),
        module,
        len(attribute),
        attribute,
    )
    assert reason_of(stack_global) is Reason.FORBIDDEN_CLASS


def test_a_class_that_pickle_cannot_find_again_is_not_allowed() -> None:
    class Local:
        pass

    with pytest.raises(ConfigError, match="top of a module"):
        allow(Local)


def test_a_spawned_process_is_told_what_was_allowed() -> None:
    assert (__name__, "Outer.Inner") in added_names()


def test_an_address_travels_as_its_endpoint_and_nothing_else() -> None:
    configure(SECRET, LOOPBACK)
    address = BoundAddress("127.0.0.1", 7900)

    arrived = loads(dumps(address))

    assert isinstance(arrived, BoundAddress)
    assert (arrived, arrived.endpoint) == (address, ("127.0.0.1", 7900))
    assert (arrived.socketArgs, arrived.bindArgs, str(arrived)) == (
        address.socketArgs,
        address.bindArgs,
        str(address),
    )


@pytest.mark.parametrize(
    "state", [("localhost", 1), ("127.0.0.1", 1 << 16), ("127.0.0.1", "1"), (1,), {"af": 1}]
)
def test_what_is_no_endpoint_makes_no_address(state: object) -> None:
    pickled = (
        b"\x80\x02c%b\n%b\n)\x81"
        % (BoundAddress.__module__.encode(), BoundAddress.__qualname__.encode())
        + pickle.dumps(state, 2)[2:-1]
        + b"b."
    )

    assert reason_of(pickled) is Reason.MALFORMED


def test_a_notice_about_another_node_is_allowed() -> None:
    assert loads(pickle.dumps(ActorSystemConventionUpdate)) is ActorSystemConventionUpdate
