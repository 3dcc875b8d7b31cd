from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from greenroom.core.slots import Slots


def test_a_busy_key_leaves_half_of_the_slots_free() -> None:
    slots: Slots[int] = Slots(8)

    started = [job for number in range(20) for job in slots.add("busy", number)]

    assert started == [0, 1, 2, 3]
    assert repr(slots) == "Slots(4 running, 16 waiting, 4 free)"


def test_a_newcomer_starts_at_once_beside_busy_keys() -> None:
    slots: Slots[str] = Slots(8)
    for number in range(20):
        slots.add("busy", f"busy {number}")
        slots.add("busier", f"busier {number}")

    assert slots.add("new", "new") == ["new"]


def test_the_jobs_of_a_key_start_in_their_order() -> None:
    slots: Slots[int] = Slots(2)
    started = [job for number in range(5) for job in slots.add("key", number)]

    while len(started) < 5:
        started += slots.release("key")

    assert started == [0, 1, 2, 3, 4]


def test_keys_that_wait_take_turns() -> None:
    slots: Slots[str] = Slots(1)
    slots.add("a", "a0")
    for key in ("a", "b", "c"):
        slots.add(key, f"{key}1")
        slots.add(key, f"{key}2")

    order = [job for key in ("a", "a", "b", "c", "a", "b") for job in slots.release(key)]

    assert order == ["a1", "b1", "c1", "a2", "b2", "c2"]


@given(st.integers(1, 9), st.lists(st.sampled_from("abcd"), max_size=60), st.data())
def test_every_job_starts_once_and_the_limit_holds(
    limit: int, keys: list[str], data: st.DataObject
) -> None:
    slots: Slots[tuple[str, int]] = Slots(limit)
    running: list[tuple[str, int]] = []
    started: list[tuple[str, int]] = []
    jobs = [(key, number) for number, key in enumerate(keys)]

    for job in jobs:
        new = slots.add(job[0], job)
        running += new
        started += new
        assert len(running) <= limit
    while running:
        ended = running.pop(data.draw(st.integers(0, len(running) - 1)))
        new = slots.release(ended[0])
        running += new
        started += new
        assert len(running) <= limit

    assert Counter(started) == Counter(jobs)
    for key in set(keys):
        assert [job for job in started if job[0] == key] == [job for job in jobs if job[0] == key]
