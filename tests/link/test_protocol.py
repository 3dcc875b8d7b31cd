"""The protocol as `docs/link.md` tells it, spoken with nothing but sockets and msgpack."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import Final, get_args, get_origin, get_type_hints

import msgpack
import pytest
from livekit.protocol.analytics import AnalyticsStat
from livekit.protocol.models import Room

from greenroom.link import frames, intake, peer, server
from greenroom.link.address import Address
from greenroom.link.batches import HEAD_BYTES
from greenroom.messages.calls import CALLS, FlushStats, RoomEnded, RoomStarted, TrackStats
from greenroom.messages.ids import ParticipantID, RoomID, RoomName, StatsKey, TrackID
from greenroom.runtime.secure.secret import Secret
from greenroom.testing.linked import FakeNode, fake_node
from greenroom.testing.patience import wait_until
from greenroom.testing.raw_link import RawClient, digest

DOCUMENT: Final = (Path(__file__).resolve().parents[2] / "docs" / "link.md").read_text()
SECRET: Final = b"s" * 32
ROOM: Final = Room(sid="RM_1", name="stage")
HEAD: Final = msgpack.packb(["RM_1", "stage", "DE", 0, "PA_1", "TR_1", 2, 1, True])
STAT: Final = AnalyticsStat(score=4.5).SerializeToString()
STARTED: Final = (
    "room:stage",
    msgpack.packb([1, "RoomStarted", ROOM.SerializeToString()]),
)


@pytest.fixture
def client(node: FakeNode) -> RawClient:
    client = RawClient(str(node.path))
    assert client.join()[0] == "welcome"
    return client


def test_a_unix_socket_of_the_same_user_wants_no_secret(node: FakeNode) -> None:
    with RawClient(str(node.path)) as client:
        kind, node_id, shard, nonce, needs_secret = client.hello()
        assert (kind, node_id, shard, len(nonce), needs_secret) == ("hello", "", 0, 32, False)

        client.send("join", client.client_id, b"n" * 32, b"", "a test")

        assert client.receive() == ["welcome", b"", 4, 65_536]


def test_over_tcp_both_sides_prove_the_secret(directory: Path) -> None:
    here = Address("tcp", host="127.0.0.1")
    with fake_node(directory, addresses=(here,), secret=Secret(SECRET)) as node:
        (address,) = node.server.addresses
        with RawClient((address.host, address.port)) as client:
            _, _, _, nonce, needs_secret = client.hello()
            assert needs_secret is True
            mine = digest(SECRET, b"client", nonce, b"n" * 32, client.client_id)
            client.send("join", client.client_id, b"n" * 32, mine, "a test")

            kind, proof, *_ = client.receive()

            assert kind == "welcome"
            assert proof == digest(SECRET, b"server", nonce, b"n" * 32, client.client_id)


def test_calls_take_effect_as_they_were_meant_and_are_acknowledged(
    node: FakeNode, client: RawClient
) -> None:
    ended = ("room:stage", msgpack.packb([1, "RoomEnded", ROOM.SerializeToString()]))
    flush = ("*", msgpack.packb([1, "FlushStats"]))

    client.batch(1, [STARTED, (HEAD, STAT), ended, flush])

    assert client.receive() == ["ack", 1]
    key = StatsKey("DE", 0, ParticipantID("PA_1"), TrackID("TR_1"), 2, 1, track=True)
    assert node.shard.taken == [
        RoomStarted(ROOM),
        TrackStats(RoomID("RM_1"), RoomName("stage"), key, STAT),
        RoomEnded(ROOM),
        FlushStats(),
    ]
    client.sock.close()


def test_an_ack_covers_the_batches_before_it(node: FakeNode, client: RawClient) -> None:
    node.shard.is_holding = True
    for sequence in (1, 2, 3):
        client.batch(sequence, [STARTED])
    wait_until(lambda: len(node.shard.taken) == 3)

    node.shard.release()

    acked = 0
    while acked < 3:
        kind, acked = client.receive()
        assert kind == "ack"
    client.sock.close()


def test_what_comes_again_over_another_connection_is_acknowledged_without_effect(
    node: FakeNode, client: RawClient
) -> None:
    client.batch(1, [STARTED])
    client.batch(2, [STARTED])
    while client.receive() != ["ack", 2]:
        pass
    client.sock.close()

    with RawClient(str(node.path), client.client_id) as again:
        again.join()
        again.batch(1, [STARTED])
        again.batch(2, [STARTED])
        again.batch(3, [STARTED])
        while again.receive() != ["ack", 3]:
            pass

    assert len(node.shard.taken) == 3


def test_an_ack_of_what_comes_again_waits_for_its_first_coming(
    node: FakeNode, client: RawClient
) -> None:
    node.shard.is_holding = True
    client.batch(1, [STARTED])
    wait_until(lambda: len(node.shard.taken) == 1)
    client.sock.close()

    with RawClient(str(node.path), client.client_id) as again:
        again.join()
        again.batch(1, [STARTED])
        again.send("ping")
        assert again.receive() == ["pong"]  # and no ack
        node.shard.release()
        assert again.receive() == ["ack", 1]


def test_questions_are_answered(client: RawClient) -> None:
    client.send("ask", 7, "status")

    kind, number, body = client.receive()

    assert (kind, number, json.loads(body)) == ("answer", 7, {"asked": "status"})
    client.sock.close()


def test_a_drain_names_the_last_batch_that_is_taken(node: FakeNode, client: RawClient) -> None:
    node.shard.is_holding = True
    client.batch(1, [STARTED])
    wait_until(lambda: len(node.shard.taken) == 1)

    assert not node.server.drain(0.0)

    assert client.receive() == ["drain", 1]
    client.batch(2, [STARTED])
    client.send("ping")
    assert client.receive() == ["pong"]
    node.shard.release()
    assert client.receive() == ["ack", 1]
    assert len(node.shard.taken) == 1
    client.sock.close()


def test_a_server_that_drains_refuses_who_was_about_to_join(node: FakeNode) -> None:
    with RawClient(str(node.path)) as client:
        client.hello()
        assert node.server.drain(30.0)

        client.send("join", client.client_id, b"n" * 32, b"", "a test")

        assert client.receive()[:2] == ["refused", "drain"]
        assert client.is_hung_up()


def test_a_shard_that_has_failed_is_named(node: FakeNode, client: RawClient) -> None:
    node.shard.is_closed = True

    client.batch(1, [STARTED])

    assert client.receive()[:2] == ["refused", "broken"]
    client.sock.close()


# ── the document itself ──────────────────────────────────────────────────────────────────────


def rows(title: str) -> dict[str, str]:
    """Of the table with that head: the first cell's word, and the last cell."""
    table = DOCUMENT.partition(title)[2].partition("\n\n")[0]
    found = re.findall(r"^\| `(\w+)` \|.*?([^|]*) \|$", table, re.MULTILINE)
    return {name: cell.strip() for name, cell in found}


def type_of(hint: object) -> str:
    hint = getattr(hint, "__supertype__", hint)
    options = get_args(hint)
    if get_origin(hint) is tuple:
        return f"[{type_of(options[0])}, …]"
    if NoneType in options:
        return f"{type_of(next(one for one in options if one is not NoneType))}?"
    assert isinstance(hint, type)
    return {str: "text", int: "number"}.get(hint, hint.__name__)


def test_every_call_is_in_the_document_with_its_fields() -> None:
    expected = {}
    for kind in CALLS:
        if kind is not TrackStats:
            hints = get_type_hints(kind)
            of_kind = [f"{field.name}: {type_of(hints[field.name])}" for field in fields(kind)]
            expected[kind.__name__] = ", ".join(of_kind) or "none"

    assert rows("| name | fields |") == expected


def test_every_frame_is_in_the_document_with_its_fields() -> None:
    said = rows("| kind | from | fields |")

    for kind in get_args(frames.Frame):
        named = re.findall(r"(\w+):", said.pop(kind.__name__.lower()))
        assert named == list(kind._fields)
    assert not said


LIMITS: Final = {
    "body before joining": frames.HANDSHAKE_MAX,
    "body": frames.FRAME_MAX,
    "calls of a batch": frames.BATCH_CALLS_MAX,
    "head": HEAD_BYTES,
    "clients remembered": intake.SESSIONS,
    "batches remembered": intake.RECENT,
    "clients": server.CLIENTS_MAX,
    "calls on their way": server.CALLS_MAX,
    "joining": server.JOINING_MAX,
    "about": peer.ABOUT_MAX,
    "question": peer.QUESTION_MAX,
    "seconds to join": int(peer.JOIN_SECONDS),
}


@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS.keys())
def test_limits_are_as_documented(limit: int) -> None:
    assert re.search(rf"\b{limit:,}\b", DOCUMENT)
