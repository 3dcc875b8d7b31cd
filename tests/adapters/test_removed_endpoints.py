"""What a removed endpoint leaves in the database becomes dead page by page, then goes."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

import pytest

from greenroom.adapters.endpoint_book import LastingBook
from greenroom.adapters.removed_endpoints import BURY_MAX
from greenroom.errors import ConfigError
from greenroom.messages.deliveries import Buried, Kept
from greenroom.messages.endpoints import Endpoint, EndpointChanged, EndpointRemoved
from greenroom.testing.patience import PATIENCE_SECONDS
from greenroom.testing.stored import (
    HeldJob,
    OutboxBench,
    dead,
    delivered,
    kept_deliveries,
    kept_delivery,
)

GONE: Final = "gone"
ROWS: Final = 2 * BURY_MAX + 500

CHILD: Final = """
import sys
from pathlib import Path
from greenroom.adapters.endpoint_book import LastingBook
from greenroom.messages.deliveries import Buried, Kept
from greenroom.messages.endpoints import Endpoint
from greenroom.testing.stored import OutboxBench, kept_delivery

bench = OutboxBench(Path(sys.argv[1]))
outbox = bench.open()
book = LastingBook(bench.store)
for one in ("gone", "live"):
    book.put(Endpoint(id=one, url="http://h", keys=("key",)))
outbox.keep([kept_delivery(one, endpoint="gone") for one in range(1, int(sys.argv[2]) + 1)], "n")
outbox.keep([kept_delivery(10**6, endpoint="live")], "n")
while bench.door._entered.get()[1].rows[-1].id != 10**6:
    pass
book.remove("gone")
outbox.bury("gone", outbox.next_id - 1, (), 5, "n")
print(bench.door._entered.get()[1].count, flush=True)
sys.stdin.read()
"""


def put(bench: OutboxBench, *names: str) -> LastingBook:
    """A book in which these are."""
    book = LastingBook(bench.store)
    for name in names:
        book.put(Endpoint(id=name, url="http://h", keys=("key",)))
    assert book.wait_idle(PATIENCE_SECONDS)
    return book


def states(bench: OutboxBench, endpoint: str) -> list[tuple[int, str, str]]:
    return bench.run(
        "SELECT id, state, error FROM deliveries WHERE endpoint = ? ORDER BY id", endpoint
    )


def count(bench: OutboxBench, state: str) -> int:
    return int(bench.run("SELECT count(*) FROM deliveries WHERE state = ?", state)[0][0])


def sequences(bench: OutboxBench) -> list[tuple[str, str]]:
    return bench.run("SELECT endpoint, key FROM sequences ORDER BY endpoint, key")


def tombstones(bench: OutboxBench) -> list[tuple[str]]:
    return bench.run("SELECT endpoint FROM removed_endpoints")


# ── buried ──────────────────────────────────────────────────────────────────────────────────


def test_a_backlog_is_buried_in_pages_and_what_is_new_gets_between_them(
    outbox_bench: OutboxBench,
) -> None:
    outbox = outbox_bench.open()
    book = put(outbox_bench, GONE, "live")
    outbox.keep([kept_delivery(one, endpoint=GONE) for one in range(1, ROWS + 1)], "notifier")
    outbox.keep([kept_delivery(ROWS + 1, endpoint="live")], "notifier")
    outbox_bench.door.kept(ROWS + 1)
    gate = HeldJob()
    outbox_bench.store.submit(gate)
    assert gate.began.wait(PATIENCE_SECONDS)

    book.remove(GONE)
    outbox.bury(GONE, ROWS + 1, (), 7, "notifier")
    outbox.keep([kept_delivery(ROWS + 2, endpoint="live")], "notifier")
    gate.let_go.set()

    assert outbox_bench.door.next(Buried) == Buried(GONE, BURY_MAX)
    assert outbox_bench.door.next(Kept).rows == ((ROWS + 2, 2),)
    assert outbox_bench.door.next(Buried).count == BURY_MAX
    assert outbox_bench.door.next(Buried).count == 500
    assert outbox.wait_idle(PATIENCE_SECONDS)
    assert outbox_bench.run(
        "SELECT count(*), min(ended_at_ns), max(ended_at_ns), min(error), max(error) "
        "FROM deliveries WHERE state = 'dead'"
    ) == [(ROWS, 7, 7, "endpoint removed", "endpoint removed")]
    assert states(outbox_bench, "live") == [(ROWS + 1, "pending", ""), (ROWS + 2, "pending", "")]


def test_an_attempt_in_flight_ends_as_it_will(outbox_bench: OutboxBench) -> None:
    outbox = outbox_bench.open()
    put(outbox_bench, GONE).remove(GONE)
    outbox.keep([kept_delivery(one, endpoint=GONE) for one in (1, 2, 3)], "notifier")
    outbox_bench.door.kept(3)

    outbox.bury(GONE, 3, (1, 2), 7, "notifier")
    outbox.end(delivered(1))

    assert outbox_bench.door.next(Buried).count == 1
    assert outbox.wait_idle(PATIENCE_SECONDS)
    assert [state for _, state, _ in states(outbox_bench, GONE)] == [
        *("delivered", "pending", "dead"),
    ]

    outbox = outbox_bench.reopen()  # the second one was cut off
    outbox.watch("notifier")
    assert outbox_bench.door.next(Buried).count == 1
    assert count(outbox_bench, "pending") == 0


def test_what_is_pending_of_an_endpoint_that_was_removed_beside_is_no_backlog_at_the_next_start(
    outbox_bench: OutboxBench,
) -> None:
    outbox = outbox_bench.open()
    book = put(outbox_bench, GONE, "live")
    rows = [kept_delivery(1, endpoint=GONE), kept_delivery(2, endpoint="live")]
    outbox.keep(rows, "notifier")
    outbox_bench.door.kept(2)
    book.remove(GONE)
    assert book.wait_idle(PATIENCE_SECONDS)

    outbox = outbox_bench.reopen()

    assert outbox.pending == {"live": 1}
    outbox.watch("notifier")
    assert outbox_bench.door.next(Buried) == Buried(GONE, 1)


def test_an_endpoint_that_comes_back_with_its_id_gets_what_is_new_and_nothing_old(
    outbox_bench: OutboxBench,
) -> None:
    outbox = outbox_bench.open()
    book = put(outbox_bench, GONE)
    outbox.keep([kept_delivery(one, endpoint=GONE) for one in (1, 2)], "notifier")
    outbox_bench.door.kept(2)
    book.remove(GONE)
    book.put(Endpoint(id=GONE, url="http://h", keys=("key",)))
    outbox.keep([kept_delivery(3, endpoint=GONE)], "notifier")
    assert outbox_bench.door.kept(1) == [(3, 3)]

    outbox.bury(GONE, 2, (), 7, "notifier")

    assert outbox_bench.door.next(Buried).count == 2
    assert outbox.wait_idle(PATIENCE_SECONDS)
    assert [state for _, state, _ in states(outbox_bench, GONE)] == ["dead", "dead", "pending"]
    assert tombstones(outbox_bench) == []
    outbox.keep([kept_delivery(4, endpoint=GONE)], "notifier")
    assert outbox_bench.door.kept(1) == [(4, 4)]


def test_after_a_kill_in_the_midst_the_next_process_buries_the_rest(tmp_path: Path) -> None:
    rows = 5 * BURY_MAX
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path), str(rows)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == f"{BURY_MAX}\n"
        child.kill()
        assert child.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    bench = OutboxBench(tmp_path)
    outbox = bench.open()
    already = count(bench, "dead")
    assert BURY_MAX <= already <= rows
    assert outbox.pending == {"live": 1}

    outbox.watch("notifier")

    while already < rows:
        already += bench.door.next(Buried).count
    assert (count(bench, "dead"), count(bench, "pending")) == (rows, 1)
    bench.end()
    assert bench.held == 0


# ── gone ────────────────────────────────────────────────────────────────────────────────────


def test_sequences_go_with_the_last_delivery_of_a_removed_endpoint_and_with_no_other(
    outbox_bench: OutboxBench,
) -> None:
    outbox = outbox_bench.open(keep_dead=0, keep_delivered=0)
    book = put(outbox_bench, GONE, "live")
    rows = [
        *(kept_delivery(1, endpoint=GONE), kept_delivery(2, "attic", GONE)),
        *(kept_delivery(3, endpoint="live"), kept_delivery(4, "attic", "live")),
    ]
    outbox.keep(rows, "notifier")
    outbox_bench.door.kept(4)
    outbox.end(delivered(3))
    outbox.end(dead(4))
    assert outbox.wait_idle(PATIENCE_SECONDS)
    assert len(sequences(outbox_bench)) == 4

    book.remove(GONE)
    outbox.bury(GONE, 4, (1,), 7, "notifier")
    assert outbox_bench.door.next(Buried).count == 1
    assert outbox.wait_idle(PATIENCE_SECONDS)
    assert len(sequences(outbox_bench)) == 4  # one is in flight still

    outbox.end(delivered(1))
    assert outbox.wait_idle(PATIENCE_SECONDS)

    assert sequences(outbox_bench) == [("live", "attic"), ("live", "lobby")]
    assert tombstones(outbox_bench) == []
    assert outbox_bench.run("SELECT id FROM deliveries") == []
    outbox.keep([kept_delivery(5, endpoint="live"), kept_delivery(6, "attic", "live")], "notifier")
    assert outbox_bench.door.kept(2) == [(5, 2), (6, 2)]


def test_many_sequences_are_forgotten_in_pages(outbox_bench: OutboxBench) -> None:
    outbox = outbox_bench.open(keep_dead=0)
    book = put(outbox_bench, GONE, "live")
    rows = [kept_delivery(one, f"room {one}", GONE) for one in range(1, ROWS + 1)]
    outbox.keep(rows, "notifier")
    outbox_bench.door.kept(ROWS)
    book.remove(GONE)

    outbox.bury(GONE, ROWS, (), 7, "notifier")
    counts = []
    for one in range(ROWS + 1, ROWS + 5):  # some of what goes on anyway
        outbox.keep([kept_delivery(one, endpoint="live")], "notifier")
        outbox.end(dead(one))
        assert outbox.wait_idle(PATIENCE_SECONDS)
        counts.append(len(sequences(outbox_bench)))

    assert counts[-1] == 1
    assert counts == sorted(counts, reverse=True)
    assert tombstones(outbox_bench) == []


def test_an_endpoint_that_had_nothing_is_not_taken_for_one_that_is_still_to_be_written(
    outbox_bench: OutboxBench,
) -> None:
    outbox = outbox_bench.open(keep_delivered=0)
    book = put(outbox_bench, GONE, "live")
    other = LastingBook(outbox_bench.store)  # as in another process
    other.remove(GONE)
    outbox.keep([kept_delivery(1, endpoint="live")], "notifier")
    outbox_bench.door.kept(1)
    outbox.end(delivered(1))  # and pruned, with what nobody counts on
    assert outbox.wait_idle(PATIENCE_SECONDS)
    told: list[EndpointChanged | EndpointRemoved] = []
    looked = threading.Event()

    def on_change(change: EndpointChanged | EndpointRemoved) -> bool:
        told.append(change)
        looked.set()
        return True

    book.watch(on_change)

    assert looked.wait(PATIENCE_SECONDS)
    assert told == [EndpointRemoved(GONE)]
    assert [one.id for one in book.endpoints()] == ["live"]


# ── how many dead ones stay ─────────────────────────────────────────────────────────────────


def test_the_oldest_dead_ones_are_deleted_and_nothing_else_is(outbox_bench: OutboxBench) -> None:
    outbox = outbox_bench.open(keep_dead=10)
    outbox.keep(kept_deliveries(range(1, 1_001)), "notifier")
    outbox_bench.door.kept(1_000)
    outbox.end(delivered(1))

    for delivery_id in range(3, 1_001):  # 2 is still pending
        outbox.end(dead(delivery_id))
    assert outbox.wait_idle(PATIENCE_SECONDS)

    ids = [one for (one,) in outbox_bench.run("SELECT id FROM deliveries ORDER BY id")]
    assert ids == [1, 2, *range(991, 1_001)]
    assert outbox_bench.close()
    with pytest.raises(ConfigError, match="keep_dead"):
        outbox_bench.open(keep_dead=-1)
