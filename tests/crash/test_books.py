"""Whatever is lost, doubled or reordered is noticed: what the accounts say can be relied on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from livekit.protocol.analytics import AnalyticsEvent, AnalyticsStat, AnalyticsStream
from livekit.protocol.models import ParticipantInfo, Room

from greenroom.testing.crash.books import Books, Finding
from greenroom.testing.crash.ledger import Ledger, Tail
from greenroom.testing.crash.lines import LineAnalytics, whole
from greenroom.testing.crash.metrics_text import parsed
from greenroom.testing.crash.plan import VICTIMS, rounds
from greenroom.testing.crash.records import Summary

CALLS = 4  # of each kind
EVERYTHING = [
    "b",
    *(f"s TR_1 {number}" for number in range(1, CALLS + 1)),
    *(f"e c-{number} lobby PARTICIPANT_ACTIVE participant_joined" for number in range(1, 5)),
    "a",
]


def stat(number: int, identity: str = "") -> dict[str, Any]:
    stream = {
        "primary_packets": 1,
        "primary_bytes": str(number),
        "padding_bytes": str(number**2),
    }
    return {"id": identity or f"AS_{number}", "track_id": "TR_1", "streams": [stream]}


def event(number: int, identity: str = "") -> dict[str, Any]:
    return {
        "id": identity or f"AE_{number}",
        "type": "PARTICIPANT_ACTIVE",
        "participant": {"metadata": f"c-{number}"},
    }


def webhook(number: int, identity: str = "", sequence: int = 0) -> dict[str, Any]:
    return {
        "id": identity or f"EV_{number}",
        "endpoint": "EP_1",
        "key": "lobby",
        "sequence": sequence or number,
        "event": "participant_joined",
        "token": f"c-{number}",
    }


def books(ledger: Iterable[str] = EVERYTHING, **came: list[dict[str, Any]]) -> Books:
    """With everything that should have come, but for what is told of here."""
    numbers = range(1, CALLS + 1)
    made = Books()
    made.enter("c", ledger)
    made.see_analytics([{"stats": [one]} for one in came.get("stats", map(stat, numbers))])
    made.see_analytics([{"event": one} for one in came.get("events", map(event, numbers))])
    made.see_webhooks(came.get("webhooks", [webhook(number) for number in numbers]))
    return made


def kinds(found: Iterable[Finding]) -> list[str]:
    return [one.kind for one in found]


def metrics(*, packets: int = CALLS, joins: int = 0, there: int = 0, dropped: int = 0) -> str:
    return (
        f'livekit_packet_total{{direction="incoming"}} {packets}\n'
        f'livekit_participant_join_total{{state="rtc_connected"}} {joins}\n'
        'livekit_participant_join_total{state="signal_connected"} 99\n'
        f"livekit_participant_total {there}\n"
        f'greenroom_dropped_total{{intentional="false",reason="door_full"}} {dropped}\n'
        'greenroom_dropped_total{intentional="true",reason="closed"} 7\n'
    )


def test_when_each_call_came_once_nothing_is_found() -> None:
    assert kinds(books().findings()) == []
    assert books().made == books().acked == 2 * CALLS


def test_what_comes_again_as_it_was_counts_once() -> None:
    again = books(
        stats=[stat(1), stat(2), stat(2), stat(3), stat(4), stat(1)],
        events=[event(1), event(2), event(1), event(3), event(4)],
        webhooks=[webhook(1), webhook(2), webhook(1), webhook(3), webhook(2), webhook(4)],
    )

    assert kinds(again.findings()) == []
    assert again.repeated == 3


@pytest.mark.parametrize("missing", range(1, CALLS + 1))
def test_a_lost_call_is_named(missing: int) -> None:
    left = [number for number in range(1, CALLS + 1) if number != missing]

    (lost,) = books(stats=[stat(number) for number in left]).findings()
    assert (lost.kind, lost.what, lost.count) == ("lost", "TR_1", 1)
    assert lost.details.endswith(f"missing {missing}")
    (lost,) = books(events=[event(number) for number in left]).findings()
    assert (lost.kind, lost.what) == ("lost", f"event c-{missing}")
    found = list(
        books(webhooks=[webhook(n, sequence=place + 1) for place, n in enumerate(left)]).findings()
    )
    assert [(one.kind, one.what) for one in found] == [("lost", f"webhook c-{missing}")]


def test_several_lost_statistics_are_named() -> None:
    (run,) = books(stats=[stat(1)]).findings()
    (two,) = books(stats=[stat(1), stat(3)]).findings()

    assert run.details.endswith("missing 2 to 4")
    assert two.details.endswith("missing 2 and 4")
    assert run.count == 3


def test_what_comes_twice_under_two_ids_is_doubled() -> None:
    twice = [*map(stat, (1, 2, 3, 4)), stat(2, "AS_other")]
    assert kinds(books(stats=twice).findings()) == ["doubled"]
    events = [*map(event, (1, 2, 3, 4)), event(2, "AE_other")]
    assert kinds(books(events=events).findings()) == ["doubled"]
    webhooks = [*map(webhook, (1, 2, 3, 4)), webhook(2, "EV_other", 5)]
    assert kinds(books(webhooks=webhooks).findings()) == ["doubled"]


def test_one_lost_and_one_doubled_do_not_make_up_for_each_other() -> None:
    found = books(stats=[*map(stat, (1, 2, 4)), stat(4, "AS_other")]).findings()
    assert kinds(found) == ["lost"]


def test_the_same_id_with_another_content_differs() -> None:
    changed = stat(2) | {"streams": []}
    assert kinds(books(stats=[*map(stat, (1, 2, 3, 4)), changed]).findings()) == ["differs"]


def test_webhooks_of_a_room_that_change_places_are_out_of_order() -> None:
    order = (1, 3, 2, 4)
    by_sequence = books(webhooks=[webhook(number) for number in order])
    by_call = books(webhooks=[webhook(n, sequence=at + 1) for at, n in enumerate(order)])

    assert set(kinds(by_sequence.findings())) == {"out of order"}
    assert kinds(by_call.findings()) == ["out of order"]


def test_what_nobody_called_is_invented() -> None:
    assert kinds(books(events=[*map(event, range(1, 6))]).findings()) == ["invented"]
    assert kinds(books(webhooks=[*map(webhook, range(1, 6))]).findings()) == ["invented"]


def test_of_a_killed_client_any_first_part_from_the_acknowledged_on_may_have_come() -> None:
    killed = ["s TR_1 1", "s TR_1 2", "a", "s TR_1 3", "s TR_1 4"]

    def of(*numbers: int) -> list[str]:
        came = Books()
        came.enter("c", killed)
        came.see_analytics([{"stats": [stat(number)]} for number in numbers])
        return kinds(came.findings())

    assert of(1, 2) == of(1, 2, 3) == of(1, 2, 3, 4) == []
    assert of(1) == ["lost"]
    assert of(1, 2, 4) == ["lost"]
    assert of(1, 2, 3, 4, 5) == ["doubled"]


def test_metrics_must_say_what_came() -> None:
    def of(text: str) -> list[str]:
        return [one.what for one in books().check_metrics(parsed(text))]

    assert of(metrics()) == []
    assert of(metrics(packets=CALLS - 1)) == of(metrics(packets=9)) == ["livekit_packet_total"]
    assert of(metrics(joins=1)) == ["livekit_participant_join_total"]
    assert of(metrics(there=1)) == ["livekit_participant_total"]
    assert of(metrics(dropped=1)) == ["greenroom_dropped_total"]


def test_a_ledger_is_read_on_from_where_it_was_and_never_a_half_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    ledger, tail = Ledger(path), Tail(path)
    assert list(tail.lines()) == []
    ledger.write("s", "TR_1", 1)
    assert list(tail.lines()) == ["s TR_1 1"]
    with path.open("a") as file:
        file.write("a\ns TR")
    assert list(tail.lines()) == ["a"]
    with path.open("a") as file:
        file.write("_1 2\n")
    assert list(tail.lines()) == ["s TR_1 2"]


def test_a_line_that_a_kill_has_torn_hides_none_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    stats = [AnalyticsStat(id="AS_1", streams=[AnalyticsStream(primary_packets=3)])]
    LineAnalytics(path).send_stats(stats)
    path.write_bytes(path.read_bytes()[:30])
    again = LineAnalytics(path)
    again.send_stats(stats)
    again.send_event(AnalyticsEvent(id="AE_1", room=Room(), participant=ParticipantInfo()))

    sends = list(whole(Tail(path).lines()))
    assert [send["send"] for send in sends] == ["stats", "event"]
    torn = '{"at":1,"stats":[{"i{"at":2,"send":"event"}'
    assert list(whole(iter([torn]))) == [{"at": 2, "send": "event"}]


def test_the_same_seed_kills_the_same_and_everything_is_killed_at_some_time() -> None:
    plan = list(rounds(1, 200))
    assert plan == list(rounds(1, 200)) != list(rounds(2, 200))
    assert {victim for each in plan for victim in each.victims} == {*VICTIMS}
    assert any(len(each.victims) == 2 for each in plan)


def test_a_summary_is_saved_with_what_was_killed_and_how_often(tmp_path: Path) -> None:
    Summary(7, killed=Counter({"shard 0": 2}), findings=Counter(lost=1)).save(tmp_path / "s.json")
    saved = json.loads((tmp_path / "s.json").read_text())
    assert (saved["seed"], saved["killed"], saved["findings"]) == (7, {"shard 0": 2}, {"lost": 1})
