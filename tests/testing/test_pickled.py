from __future__ import annotations

import copyreg
import pickle
from collections.abc import Iterator

import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from livekit.protocol.analytics import AnalyticsEvent
from livekit.protocol.egress import EgressInfo
from livekit.protocol.models import DataPacket, Room
from livekit.protocol.webhook import WebhookEvent

from greenroom.testing.pickled import register_protobufs


@pytest.fixture
def registered() -> Iterator[None]:
    before = dict(copyreg.dispatch_table)
    register_protobufs()
    yield
    copyreg.dispatch_table.clear()
    copyreg.dispatch_table.update(before)


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize(
    "protobuf",
    [
        Room(sid="RM_1"),
        AnalyticsEvent(room=Room(sid="RM_1"), timestamp=Timestamp(seconds=1)),
        EgressInfo(egress_id="EG_1"),
        WebhookEvent(event="room_started"),
        DataPacket(participant_sid="PA_1"),
        Timestamp(seconds=7),
    ],
    ids=lambda protobuf: type(protobuf).__name__,
)
def test_a_protobuf_comes_back_as_it_was(protobuf: Message) -> None:
    again = pickle.loads(pickle.dumps(protobuf))

    assert type(again) is type(protobuf)
    assert again == protobuf
