from __future__ import annotations

import gzip
import json
from collections import defaultdict
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from prometheus_client.parser import text_string_to_metric_families

from greenroom.cli.app import run

DATA = Path(__file__).parent.parent / "data" / "call"
CALLS = DATA / "calls.jsonl.gz"
Json: TypeAlias = dict[str, Any]


def read(path: Path) -> list[Json]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def recorded(name: str) -> list[Json]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def samples(text: str) -> dict[str, float]:
    """Every series by name and labels, but for those of the node."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = {k: v for k, v in sample.labels.items() if not k.startswith("node_")}
            if "le" in labels:
                labels["le"] = str(float(labels["le"]))
            found[f"{sample.name}{sorted(labels.items())}"] = sample.value
    return found


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that a replay of the recorded call can write."""
    folder = tmp_path_factory.mktemp("out")
    outputs = {"analytics": "jsonl", "metrics": "txt"}
    options = [
        text
        for name, suffix in outputs.items()
        for text in (f"--{name}-out", str(folder / f"{name}.{suffix}"))
    ]

    status = run(
        ["replay", str(CALLS), "-q", "--receiver", *options, "--plot", str(folder / "call.png")]
    )

    assert status == 0
    return folder


def events_by_room(lines: list[Json]) -> dict[str, list[Json]]:
    rooms = defaultdict(list)
    for line in lines:
        event = line.get("event", {})
        if line["send"] == "event" and event.get("type") != "WEBHOOK":
            rooms[event["room"]["name"]].append(
                {name: value for name, value in event.items() if name != "timestamp"}
            )
    return dict(rooms)


def test_the_analytics_file_has_livekits_events_in_livekits_order_for_each_room(out: Path) -> None:
    mine = events_by_room(read(out / "analytics.jsonl"))

    assert mine == events_by_room(recorded("analytics"))


def test_the_analytics_file_has_the_fate_of_every_webhook_of_the_recording(out: Path) -> None:
    def fates(lines: list[Json]) -> dict[str, list[str]]:
        rooms = defaultdict(list)
        for line in lines:
            webhook = line.get("event", {}).get("webhook")
            if webhook is not None:
                rooms[webhook["room_name"]].append(webhook["event"])
        return dict(rooms)

    assert fates(read(out / "analytics.jsonl")) == fates(recorded("analytics"))


def test_the_analytics_file_counts_seconds_from_the_start_of_the_recording(out: Path) -> None:
    lines = read(out / "analytics.jsonl")
    ats = [line["at"] for line in lines]

    assert ats == sorted(ats)
    assert ats[0] == 1.635584
    assert {line["at"] for line in lines if line["send"] == "stats"} == {
        30.0 * flush for flush in range(1, 10)
    }


def test_the_metrics_are_those_that_livekits_server_showed_in_the_end(out: Path) -> None:
    mine = samples((out / "metrics.txt").read_text())
    theirs = samples(gzip.decompress((DATA / "metrics.txt.gz").read_bytes()).decode())

    compared = {
        name: value
        for name, value in mine.items()
        # the recorded receiver answered some requests with 500
        if name.startswith("livekit_") and not name.startswith("livekit_webhook_")
    }
    assert compared == {name: theirs[name] for name in compared}
    assert len(compared) > 300


def test_the_picture_is_there(out: Path) -> None:
    assert (out / "call.png").read_bytes().startswith(b"\x89PNG")


def test_people_see_rooms_participants_and_webhooks_come_and_go(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["replay", str(CALLS), "--receiver"]) == 0

    shown = capsys.readouterr()
    lines = [" ".join(line.split()) for line in shown.err.splitlines()]
    for line in (
        "0:01 garden + room started",
        "0:02 garden + alice joined",
        "0:02 garden webhook participant_joined alice verified",
        "0:12 garden x ghost aborted",
        "0:56 workshop dave resumed",
        "3:26 workshop - room ended",
        "4:16 workshop webhook room_finished verified",
    ):
        assert line in lines
    assert "REFUSED" not in shown.err
    assert "79 delivered, the receiver verified 79 requests" in shown.out
    assert "308 coalesced" in shown.out


def test_the_summary_is_one_json_object_when_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["replay", str(CALLS), "--json"]) == 0

    shown = capsys.readouterr()
    summary = json.loads(shown.out)
    assert shown.err == ""
    assert summary["calls_total"] == 1673
    assert summary["call_seconds"] == 270.0
    assert summary["attendance"]["rooms"] == 3
    assert summary["attendance"]["participants"] == 17
    assert summary["attendance"]["aborted"] == 2
    assert summary["attendance"]["stats"] == 308
    assert summary["dropped"] == {}
    assert summary["complete"]
