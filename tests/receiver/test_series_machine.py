"""Whatever is lost, repeated, late or replayed: the receiver knows what a set of numbers would."""

from __future__ import annotations

from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from livekit.protocol.webhook import WebhookEvent

from greenroom.core.signatures import SigningKey
from greenroom.receiver import MemoryStore, Received, Receiver, ReceiverStore, SqliteStore
from greenroom.testing.webhook_sender import WebhookSender

KEY: Final = SigningKey("APIkey", "a-secret-a-secret-a-secret-0123456789")
ROOMS: Final = ("a", "b")


class Sent:
    """One event of one of the sender's series."""

    def __init__(self, event: WebhookEvent, series: int, sequence: int) -> None:
        self.event, self.series, self.sequence = event, series, sequence


class SeriesMachine(RuleBasedStateMachine):
    """The model, per room: the numbers that arrived of the series that is newest."""

    def new_store(self) -> ReceiverStore:
        return MemoryStore()

    def __init__(self) -> None:
        super().__init__()
        self.sender = WebhookSender([KEY])
        self.receiver = Receiver(
            {KEY.api_key: KEY.secret}, store=self.new_store(), now=self.sender.now
        )
        self.sent: dict[str, list[Sent]] = {room: [] for room in ROOMS}
        self.current = dict.fromkeys(ROOMS, 1)  # number of the sender's series
        self.last = dict.fromkeys(ROOMS, 0)
        self.seen: set[str] = set()
        self.arrived: dict[str, set[int]] = {room: set() for room in ROOMS}
        self.arrived_series = dict.fromkeys(ROOMS, 0)
        self.told: dict[str, set[int]] = {room: set() for room in ROOMS}

    def send(self, room: str) -> Sent:
        self.last[room] += 1
        event = self.sender.event(room)
        self.sent[room].append(Sent(event, self.current[room], self.last[room]))
        return self.sent[room][-1]

    def deliver(self, room: str, sent: Sent) -> Received:
        """One request, compared with the model; an exception of the handler takes it back."""
        received = self.receiver.receive(*self.sender.request(sent.sequence, event=sent.event))
        assert received.is_duplicate == (sent.event.id in self.seen)
        self.seen.add(sent.event.id)
        starts = sent.series > self.arrived_series[room]
        if starts:
            self.arrived_series[room] = sent.series
            self.arrived[room], self.told[room] = set(), set()
        arrived, told = self.arrived[room], self.told[room]
        gap: set[int] = set()
        fills = False
        if sent.series == self.arrived_series[room]:
            gap = set(range(max(arrived, default=0) + 1, sent.sequence))
            fills = sent.sequence < max(arrived, default=0) and sent.sequence not in arrived
            assert not gap & told  # never told twice
            told |= gap
            arrived.add(sent.sequence)
        assert set(received.gap or ()) == gap
        assert (received.fills_gap, received.starts_series) == (fills, starts)
        return received

    @rule(room=st.sampled_from(ROOMS), seconds=st.integers(0, 2))
    def an_event_arrives(self, room: str, seconds: int) -> None:
        self.sender.now_s += seconds
        self.deliver(room, self.send(room))

    @rule(room=st.sampled_from(ROOMS), count=st.integers(1, 3), seconds=st.integers(0, 2))
    def events_are_lost(self, room: str, count: int, seconds: int) -> None:
        for _ in range(count):
            self.sender.now_s += seconds
            if self.last[room]:  # the first of a series arrives: it cannot be told apart else
                self.send(room)

    @rule(data=st.data(), room=st.sampled_from(ROOMS))
    def any_event_is_sent_again_or_late(self, data: st.DataObject, room: str) -> None:
        if self.sent[room]:
            self.deliver(room, data.draw(st.sampled_from(self.sent[room])))

    @rule(room=st.sampled_from(ROOMS))
    def an_event_is_not_handled_and_comes_again(self, room: str) -> None:
        sent = self.send(room)
        received = self.deliver(room, sent)
        self.receiver.forget(received)
        again = self.receiver.receive(*self.sender.request(sent.sequence, event=sent.event))
        assert (again.is_duplicate, again.gap, again.fills_gap) == (False, None, False)

    @precondition(lambda self: any(self.last.values()))
    @rule(room=st.sampled_from(ROOMS))
    def the_sender_begins_again_at_1(self, room: str) -> None:
        self.sender.now_s += 1
        self.current[room] += 1
        self.last[room] = 0
        self.deliver(room, self.send(room))

    @invariant()
    def what_is_missing_is_what_did_not_arrive(self) -> None:
        missing = {
            room: {*range(1, max(all_, default=0))} - all_ for room, all_ in self.arrived.items()
        }
        listed: dict[str, set[int]] = {room: set() for room in ROOMS} | {
            room: {number for numbers in ranges for number in numbers}
            for (_, room), ranges in self.receiver.missing().items()
        }
        assert listed == missing


class SqliteSeriesMachine(SeriesMachine):
    def new_store(self) -> ReceiverStore:
        self.opened = SqliteStore(":memory:")
        return self.opened

    def teardown(self) -> None:
        self.opened.close()


TestMemory = SeriesMachine.TestCase
TestSqlite = SqliteSeriesMachine.TestCase
TestMemory.settings = settings(deadline=None, max_examples=60, stateful_step_count=40)
TestSqlite.settings = settings(deadline=None, max_examples=30, stateful_step_count=40)
