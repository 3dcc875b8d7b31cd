from __future__ import annotations

from pathlib import Path

import pytest

import greenroom
from greenroom.replay import picture
from greenroom.replay.lifelines import ROWS_MAX, Row, rows_of
from greenroom.replay.player import Player
from greenroom.replay.recording import Recording
from greenroom.replay.start import find_start
from greenroom.replay.story import ParticipantLife, RoomLife, Story, WebhookMark

CALLS = Path(__file__).parent.parent / "data" / "call" / "calls.jsonl.gz"


@pytest.fixture(scope="module")
def story() -> Story:
    with Recording(CALLS) as recording:
        start_ns, calls = find_start(iter(recording))
        assert start_ns is not None
        clock = greenroom.VirtualClock(start_ns)
        story = Story(clock, start_ns)
        with greenroom.start(clock=clock, analytics=story) as telemetry:
            player = Player(telemetry)
            player.play(calls)
            player.finish()
    story.webhooks.append(WebhookMark(103.0, "workshop", "track_unpublished", "failed"))
    story.webhooks.append(WebhookMark(206.1, "workshop", "room_finished", "delivered"))
    return story


def lives(story: Story, identity: str) -> list[ParticipantLife]:
    return [life for life in story.participants.values() if life.identity == identity]


def test_a_story_knows_when_each_participant_was_there(story: Story) -> None:
    first, *others = lives(story, "bob")

    assert len(others) == 2
    assert (first.room, first.aborted) == ("garden", False)
    assert first.begin == pytest.approx(5.0, abs=0.2)
    assert first.active == pytest.approx(5.1, abs=0.2)
    assert first.end == pytest.approx(32.0, abs=0.2)


def test_a_story_knows_who_never_came_in_and_who_resumed(story: Story) -> None:
    assert [life.identity for life in story.participants.values() if life.aborted] == [
        "ghost",
        "phantom",
    ]
    assert len(lives(story, "dave")[0].resumed) == 1


def test_a_story_has_the_bitrate_and_loss_of_media_tracks_only(story: Story) -> None:
    screens = [track for track in story.tracks.values() if track.source == "SCREEN_SHARE"]
    measured = [track for track in story.tracks.values() if track.upstream or track.downstream]

    assert [track.identity for track in screens] == ["frank"]
    assert all(100 < measure.kbps < 130 for measure in screens[0].upstream[:1])
    assert len(measured) == 22  # not the signalling and data tracks
    assert max(m.loss_percent for track in measured for m in track.upstream) == (
        pytest.approx(100 * 64 / 3587)
    )


def test_a_room_that_is_opened_again_is_drawn_in_the_same_rows(story: Story) -> None:
    rows = rows_of(story)

    assert [row.identity for row in rows if row.room == "garden"] == [
        "alice",
        "bob",
        "carol",
        "ghost",
        "phantom",
        "frank",
    ]
    assert [row.identity for row in rows if row.room == "workshop"] == ["dave", "erin", "gina", ""]


@pytest.mark.parametrize("suffix", [".png", ".svg", ".PDF"])
def test_a_picture_is_drawn_as_the_suffix_says(story: Story, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"call{suffix}"

    picture.draw(story, path, title="a call")

    magic = {".png": b"\x89PNG", ".svg": b"<?xml", ".PDF": b"%PDF"}
    assert path.read_bytes().startswith(magic[suffix])


def test_a_picture_has_every_name_in_it(story: Story, tmp_path: Path) -> None:
    path = tmp_path / "call.svg"

    picture.draw(story, path, title="a call")

    text = path.read_text()
    for name in ("alice", "phantom", "gina", "garden", "workshop", "webhooks", "a call", "4:00"):
        assert f"<!-- {name} -->" in text


def test_an_empty_story_is_a_picture_too(tmp_path: Path) -> None:
    path = tmp_path / "call.png"

    picture.draw(Story(greenroom.VirtualClock(0), 0), path, title="nothing")

    assert path.stat().st_size


def test_rooms_that_do_not_fit_are_left_out_and_the_picture_says_so(tmp_path: Path) -> None:
    story = Story(greenroom.VirtualClock(10**10), 0)
    for number in range(100):
        name = f"room-{number}"
        story.rooms[name] = RoomLife(begin=0.0, name=name)
        story.participants[name, "PA"] = ParticipantLife(begin=1.0, room=name, identity="a $name$")

    rows = rows_of(story)
    picture.draw(story, tmp_path / "call.svg", title="many")

    assert len(rows) == ROWS_MAX
    assert rows[0] == Row("room-0", "a $name$")
    assert "60 more rooms are not drawn" in (tmp_path / "call.svg").read_text()


@pytest.mark.parametrize("name", ["$x^$", "a\nb\x1b[2J", "\U0001f600 \u4f60", "x" * 500, "%s {}"])
def test_no_name_spoils_a_picture(tmp_path: Path, name: str) -> None:
    story = Story(greenroom.VirtualClock(10**10), 0)
    story.rooms["RM"] = RoomLife(begin=0.0, name=name)
    story.participants["RM", "PA"] = ParticipantLife(begin=1.0, room=name, identity=name)

    picture.draw(story, tmp_path / "call.png", title=name)

    assert (tmp_path / "call.png").stat().st_size


def test_a_suffix_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(greenroom.ConfigError, match=r"call\.txt must end in one of .*\.png"):
        picture.draw(Story(greenroom.VirtualClock(0), 0), tmp_path / "call.txt", title="")
