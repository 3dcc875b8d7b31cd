from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

from greenroom.receiver import MemoryStore, Receiver, SqliteStore
from greenroom.testing.webhook_sender import WebhookSender

DAY_SECONDS = 24 * 3600.0


def test_a_gap_is_told_once_listed_while_it_is_open_and_its_filling_is_told(
    receiver: Receiver, sender: WebhookSender
) -> None:
    events = {sequence: sender.event() for sequence in range(1, 7)}

    def receive(sequence: int) -> tuple[range | None, bool]:
        received = receiver.receive(*sender.request(sequence, event=events[sequence]))
        return received.gap, received.fills_gap

    assert receive(1) == (None, False)
    assert receive(4) == (range(2, 4), False)
    assert receive(5) == (None, False)
    assert receiver.missing() == {("", "garden"): (range(2, 4),)}
    assert receive(3) == (None, True)
    assert receiver.missing() == {("", "garden"): (range(2, 3),)}
    assert receive(3) == (None, False)  # a duplicate
    assert receive(2) == (None, True)
    assert receiver.missing() == {}


def test_every_key_and_every_endpoint_is_counted_on_its_own(
    receiver: Receiver, sender: WebhookSender
) -> None:
    for endpoint, key, sequence in [("", "a", 1), ("", "b", 1), ("x", "a", 1), ("", "a", 2)]:
        event = sender.event(key)
        assert (
            receiver.receive(*sender.request(sequence, event=event, endpoint=endpoint)).gap is None
        )

    lone = receiver.receive(*sender.request(3, event=sender.event("b")))
    assert lone.gap == range(2, 3)


def test_one_event_for_two_endpoints_is_a_duplicate_and_counts_for_both(
    receiver: Receiver, sender: WebhookSender
) -> None:
    event = sender.event()

    receiver.receive(*sender.request(1, event=event, endpoint="x"))
    second = receiver.receive(*sender.request(1, event=event, endpoint="y"))
    after = receiver.receive(*sender.request(2, endpoint="y"))

    assert (second.is_duplicate, after.gap) == (True, None)


def test_a_key_that_is_first_seen_beyond_1_lacks_what_came_before_and_says_that_it_is_new(
    receiver: Receiver, sender: WebhookSender
) -> None:
    earlier = sender.event()
    sender.now_s += 60

    received = receiver.receive(*sender.request(3))
    late = receiver.receive(*sender.request(2, event=earlier))

    assert (received.starts_series, received.gap) == (True, range(1, 3))
    assert (late.starts_series, late.fills_gap) == (False, True)


def test_a_sender_that_counts_from_1_again_is_neither_repeating_nor_missing_anything(
    receiver: Receiver, sender: WebhookSender
) -> None:
    old = [sender.event() for _ in range(4)]
    for sequence in (1, 2, 4):
        receiver.receive(*sender.request(sequence, event=old[sequence - 1]))

    sender.now_s += 30 * DAY_SECONDS
    fresh = [receiver.receive(*sender.request(sequence)) for sequence in (1, 2)]
    straggler = receiver.receive(*sender.request(3, event=old[2]))
    third = receiver.receive(*sender.request(3))

    assert [(one.is_duplicate, one.gap) for one in fresh] == [(False, None)] * 2
    assert [one.starts_series for one in fresh] == [True, False]
    assert (straggler.is_duplicate, straggler.gap, straggler.fills_gap) == (False, None, False)
    assert (third.is_duplicate, third.gap) == (False, None)
    assert receiver.missing() == {}


def test_the_series_that_is_unused_for_longest_is_forgotten_first(sender: WebhookSender) -> None:
    receiver = sender.new_receiver(MemoryStore(series_max=2))
    for key, sequence in [("a", 1), ("b", 1), ("a", 2), ("c", 1)]:
        receiver.receive(*sender.request(sequence, event=sender.event(key)))

    assert receiver.receive(*sender.request(3, event=sender.event("a"))).gap is None
    assert receiver.receive(*sender.request(2, event=sender.event("b"))).starts_series


# ── stores ──────────────────────────────────────────────────────────────────────────────────────


def test_receivers_with_one_file_are_as_one_and_it_outlives_them(
    sender: WebhookSender, tmp_path: Path
) -> None:
    path = tmp_path / "received.db"
    event = sender.event()
    with closing(SqliteStore(path)) as one, closing(SqliteStore(path)) as other:
        sender.new_receiver(one).receive(*sender.request(1, event=event))
        assert sender.new_receiver(other).receive(*sender.request(1, event=event)).is_duplicate
        assert sender.new_receiver(other).receive(*sender.request(3)).gap == range(2, 3)

    with closing(SqliteStore(path)) as later:
        receiver = sender.new_receiver(later)
        assert receiver.receive(*sender.request(4)).gap is None
        assert receiver.missing() == {("", "garden"): (range(2, 3),)}


def test_a_file_forgets_what_is_older_than_its_time(sender: WebhookSender, tmp_path: Path) -> None:
    event = sender.event()
    with closing(SqliteStore(tmp_path / "db", max_age_seconds=DAY_SECONDS)) as store:
        receiver = sender.new_receiver(store)
        receiver.receive(*sender.request(2, event=event))

        sender.now_s += DAY_SECONDS

        assert not receiver.receive(*sender.request(2, event=event)).is_duplicate
        assert receiver.receive(*sender.request(3)).gap is None


def test_of_attempts_at_the_same_time_one_is_the_first(
    receiver: Receiver, sender: WebhookSender
) -> None:
    attempts = [sender.request(1, event=event) for event in [sender.event()] * 40]

    with ThreadPoolExecutor(8) as pool:
        received = list(pool.map(lambda attempt: receiver.receive(*attempt), attempts))

    assert sum(not one.is_duplicate for one in received) == 1


def test_of_attempts_at_processes_with_one_file_one_is_the_first(
    sender: WebhookSender, tmp_path: Path
) -> None:
    with ExitStack() as opened:
        stores = [opened.enter_context(closing(SqliteStore(tmp_path / "db"))) for _ in range(4)]
        receivers = [sender.new_receiver(store) for store in stores]
        attempts = [sender.request(1, event=event) for event in [sender.event()] * 20]

        with ThreadPoolExecutor(len(stores)) as pool:
            ends = [
                pool.submit(lambda one: [one.receive(*attempt) for attempt in attempts], receiver)
                for receiver in receivers
            ]
            received = [one for end in ends for one in end.result()]

    assert sum(not one.is_duplicate for one in received) == 1
