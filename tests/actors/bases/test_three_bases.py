"""The actors rely on Thespian's documented interface only: they run on its bases as on ours."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from livekit.protocol.analytics import AnalyticsEventType as Kind
from livekit.protocol.models import ParticipantInfo, Room

from greenroom.core.ids import derive_id
from greenroom.core.times import NS_PER_SECOND
from greenroom.messages import calls
from greenroom.messages.control import Workers
from greenroom.messages.ids import GuardID, RoomID, RoomName
from greenroom.testing.samples import (
    ALICE,
    BOB,
    active,
    joined,
    key,
    left,
    room,
    stat,
    track_stats,
)
from greenroom.testing.small_system import SETTINGS, UNLUCKY, FragileWorker, SmallSystem

LONG_NS: Final = 181 * NS_PER_SECOND  # more than a closed worker waits
UNKNOWN: Final = 'greenroom_dropped_total{intentional="true",reason="unknown_participant"}'
FAILURES: Final = 'greenroom_input_failures_total{{actor="{}"}}'
PARTICIPANTS: Final = "livekit_participant_total"

Start = Callable[..., SmallSystem]


def in_room(number: int) -> Room:
    return Room(sid=f"RM_{number}", name=f"room {number}")


def joined_in(number: int, sid: str, guard: int) -> calls.ParticipantJoined:
    someone = ParticipantInfo(sid=sid, identity=sid)
    return calls.ParticipantJoined(in_room(number), someone, None, None, True, GuardID(guard))


def stats_in(number: int, sid: str, packets: int) -> calls.TrackStats:
    in_this = RoomID(f"RM_{number}"), RoomName(f"room {number}")
    return calls.TrackStats(*in_this, key(sid), stat(packets).SerializeToString())


def event_kinds(small: SmallSystem, room_id: str | None = None) -> list[int]:
    """Of those that calls caused; the fate of webhooks comes when it comes."""
    return [event.type for event in small.events(room_id) if event.type != Kind.WEBHOOK]


# ── statistics ──────────────────────────────────────────────────────────────────────────────


def test_the_samples_of_a_participant_are_one_statistic_when_flushed(
    anywhere: SmallSystem,
) -> None:
    anywhere.enter(joined(), *(track_stats(ALICE, packets) for packets in (1, 2, 3)))

    anywhere.enter(calls.FlushStats())

    anywhere.eventually(anywhere.packets, {ALICE: 6})
    anywhere.eventually(lambda: [len(batch) for batch in anywhere.batches()], [1])


def test_the_statistics_of_two_participants_do_not_mix(small: SmallSystem) -> None:
    small.enter(joined(ALICE), joined(BOB, 2))
    small.enter(track_stats(ALICE, 5), track_stats(BOB, 7), track_stats(ALICE, 1))

    small.enter(calls.FlushStats())

    small.eventually(small.packets, {ALICE: 6, BOB: 7})


def test_nothing_leaves_before_a_flush_and_nothing_twice(small: SmallSystem) -> None:
    small.enter(joined(), track_stats(ALICE, 5))
    assert small.packets() == {}

    small.enter(calls.FlushStats(), calls.FlushStats())

    small.eventually(small.packets, {ALICE: 5})


def test_the_same_participant_in_two_rooms_has_two_workers(small: SmallSystem) -> None:
    small.enter(joined_in(1, ALICE, 1), joined_in(2, ALICE, 2))
    small.enter(stats_in(1, ALICE, 5), stats_in(2, ALICE, 7), calls.FlushStats())

    small.eventually(
        lambda: sorted(
            (stat.room_id, stat.streams[0].primary_packets)
            for batch in small.batches()
            for stat in batch
        ),
        [("RM_1", 5), ("RM_2", 7)],
    )


def test_the_statistics_of_someone_unknown_are_counted_and_left_out(
    small: SmallSystem,
) -> None:
    small.enter(joined(ALICE), track_stats(BOB, 7), track_stats(ALICE, 5), calls.FlushStats())

    small.eventually(lambda: small.count(UNKNOWN), 1)
    small.eventually(small.packets, {ALICE: 5})


def test_200_participants_in_10_rooms_each_get_their_own_back(small: SmallSystem) -> None:
    everyone = {f"PA_{number}": number for number in range(1, 201)}
    small.enter(*(joined_in(n % 10, sid, n) for sid, n in everyone.items()))
    for _ in range(3):
        small.enter(*(stats_in(n % 10, sid, n) for sid, n in everyone.items()))

    small.enter(calls.FlushStats())

    small.eventually(small.packets, {sid: 3 * number for sid, number in everyone.items()})
    assert len(small.workers().current) == 200
    assert small.count(PARTICIPANTS) == 200


# ── workers come and go ─────────────────────────────────────────────────────────────────────


def test_a_worker_that_was_closed_for_long_hands_over_and_goes(anywhere: SmallSystem) -> None:
    anywhere.enter(joined(), left(), track_stats(ALICE, 5))
    assert anywhere.workers().retained == 1

    anywhere.at_ns += LONG_NS
    anywhere.enter(calls.FlushStats())

    anywhere.eventually(anywhere.workers, Workers((), 0))
    anywhere.eventually(anywhere.packets, {ALICE: 5})


def test_a_closed_worker_stays_while_the_wait_is_not_over(small: SmallSystem) -> None:
    small.enter(joined(), left())

    small.at_ns += LONG_NS // 2
    small.enter(calls.FlushStats(), track_stats(ALICE, 5), calls.FlushStats())

    small.eventually(lambda: small.workers().retained, 1)
    small.eventually(small.packets, {ALICE: 5})


def test_retiring_the_old_worker_keeps_its_successor(anywhere: SmallSystem) -> None:
    anywhere.enter(joined(), left(), joined(guard=2))
    anywhere.at_ns += LONG_NS
    anywhere.enter(calls.FlushStats())
    anywhere.eventually(lambda: anywhere.workers().retained, 1)

    anywhere.enter(track_stats(ALICE, 5), calls.FlushStats())

    anywhere.eventually(anywhere.packets, {ALICE: 5})
    (only,) = anywhere.workers().current
    assert not only.closed


def test_what_the_old_worker_holds_is_not_lost_to_its_successor(small: SmallSystem) -> None:
    small.enter(joined(), track_stats(ALICE, 5), left(), joined(guard=2), track_stats(ALICE, 7))

    small.enter(calls.FlushStats())

    small.eventually(lambda: sorted(map(len, small.batches())), [1, 1])
    small.eventually(small.packets, {ALICE: 12})


def test_a_worker_is_closed_by_the_last_of_its_guards(small: SmallSystem) -> None:
    small.enter(joined(guard=1), joined(guard=2), left(guard=1))
    assert [worker.closed for worker in small.workers().current] == [False]
    assert small.count(PARTICIPANTS) == 1

    small.enter(left(guard=2))

    assert [worker.closed for worker in small.workers().current] == [True]
    assert small.count(PARTICIPANTS) == 0


def test_a_guard_that_was_released_does_not_count_again(small: SmallSystem) -> None:
    small.enter(joined(guard=1), left(guard=1), joined(guard=1), left(guard=1))

    assert [worker.closed for worker in small.workers().current] == [False]


# ── webhooks and events ─────────────────────────────────────────────────────────────────────


def test_webhooks_come_in_the_order_of_the_calls_and_their_stamps_give_the_ids(
    anywhere: SmallSystem,
) -> None:
    stamps = anywhere.enter(calls.RoomStarted(room()), active(), left(), calls.RoomEnded(room()))

    anywhere.eventually(
        lambda: [(webhook.event, webhook.id) for webhook in anywhere.webhooks()],
        [
            (name, derive_id("EV_", SETTINGS.node_id, SETTINGS.shard, stamp.position, stamp.at_ns))
            for name, stamp in zip(
                ("room_started", "participant_joined", "participant_left", "room_finished"),
                stamps,
                strict=True,
            )
        ],
    )
    anywhere.eventually(
        partial(event_kinds, anywhere),
        [
            Kind.ROOM_CREATED,
            Kind.PARTICIPANT_ACTIVE,
            Kind.PARTICIPANT_LEFT,
            Kind.ROOM_ENDED,
        ],
    )


def test_the_fate_of_each_webhook_becomes_an_event_and_is_counted(small: SmallSystem) -> None:
    small.enter(calls.RoomStarted(room()), calls.RoomEnded(room()))

    small.eventually(
        lambda: [e.webhook.event for e in small.events() if e.type == Kind.WEBHOOK],
        ["room_started", "room_finished"],
    )
    delivered = 'livekit_webhook_dispatch_total{reason="",status="success"}'
    small.eventually(lambda: small.count(delivered), 2)


def test_the_events_of_each_room_come_in_the_order_of_its_calls(small: SmallSystem) -> None:
    rooms = range(20)
    small.enter(*(calls.RoomStarted(in_room(number)) for number in rooms))
    small.enter(*(joined_in(number, f"PA_{number}", number + 1) for number in reversed(rooms)))
    small.enter(*(calls.RoomEnded(in_room(number)) for number in rooms))

    for number in rooms:
        kinds = partial(event_kinds, small, f"RM_{number}")
        small.eventually(kinds, [Kind.ROOM_CREATED, Kind.PARTICIPANT_JOINED, Kind.ROOM_ENDED])


# ── what cannot be digested ─────────────────────────────────────────────────────────────────


def test_a_message_that_nobody_knows_is_counted_and_stops_nothing(anywhere: SmallSystem) -> None:
    anywhere.enter(joined())

    anywhere.tell("no message of greenroom")
    anywhere.enter(track_stats(ALICE, 5), calls.FlushStats())

    anywhere.eventually(anywhere.packets, {ALICE: 5})
    anywhere.eventually(lambda: anywhere.count(FAILURES.format("Supervisor")), 1)


def test_an_input_that_the_supervisor_cannot_digest_stops_nothing(small: SmallSystem) -> None:
    good = track_stats()
    broken = calls.TrackStats(good.room_id, good.room_name, good.key, b"\xff")

    small.enter(joined(), broken, track_stats(ALICE, 5), calls.FlushStats())

    small.eventually(small.packets, {ALICE: 5})
    assert small.failures() == [("Supervisor", "TrackStats")]
    assert [report.position for report in small.reports()] == [2]


def test_a_worker_that_fails_goes_on_and_its_siblings_notice_nothing(
    start_anywhere: Start,
) -> None:
    small = start_anywhere(worker=FragileWorker)
    small.enter(joined(ALICE), joined(BOB, 2), track_stats(ALICE, 5), calls.FlushStats())
    small.eventually(small.packets, {ALICE: 5})

    small.enter(track_stats(ALICE, UNLUCKY), track_stats(ALICE, 6), track_stats(BOB, 7))
    small.enter(calls.FlushStats())

    small.eventually(small.packets, {ALICE: 11, BOB: 7})
    small.eventually(lambda: small.count(FAILURES.format("FragileWorker")), 1)
    small.eventually(small.failures, [("FragileWorker", "TrackStat")])
    (report,) = small.reports()
    assert "an unlucky number" in report.error


def test_a_worker_that_is_ended_has_an_heir_which_goes_on_with_its_samples(
    anywhere: SmallSystem,
) -> None:
    anywhere.enter(joined(ALICE), joined(BOB, 2), track_stats(ALICE, 5), track_stats(BOB, 6))

    anywhere.end("StatsWorker")
    anywhere.enter(track_stats(ALICE, 7), track_stats(BOB, 8))
    restarts = 'greenroom_child_restarts_total{actor="StatsWorker"}'
    anywhere.eventually(lambda: anywhere.count(restarts), 1)
    anywhere.enter(calls.FlushStats())

    anywhere.eventually(anywhere.packets, {ALICE: 12, BOB: 14})
    assert len(anywhere.workers().current) == 2
    assert not anywhere.failures()
