from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from greenroom.core.times import NS_PER_SECOND
from greenroom.replay.flushes import INTERVAL_NS, Clamp, Course, plan_flushes

BEGIN_NS = 1_700_000_000 * NS_PER_SECOND + 123_456_789
LATE_NS = NS_PER_SECOND // 2  # of ticks; shards begin within the same time


@st.composite
def shards(draw: st.DrawFn) -> list[list[tuple[int, bool]]]:
    """For each shard its inputs: when they came, and whether it was a tick; as they were stamped.

    Many are stamped in the same instant as a tick: what was committed together is.
    """
    made = []
    for _ in range(draw(st.integers(1, 3))):
        begin_ns = BEGIN_NS + draw(st.integers(0, LATE_NS))
        ticks = [
            begin_ns + number * INTERVAL_NS + draw(st.integers(0, LATE_NS))
            for number in range(1, draw(st.integers(0, 4)) + 1)
        ]
        end_ns = ticks[-1] if ticks else begin_ns
        times = st.integers(begin_ns + 1, end_ns + INTERVAL_NS - 4 * LATE_NS)
        if ticks:
            times |= st.sampled_from(ticks)
            times |= st.sampled_from(ticks).flatmap(
                lambda tick: st.integers(tick - LATE_NS, tick + LATE_NS)
            )
        inputs = [(at_ns, False) for at_ns in draw(st.lists(times, max_size=20))]
        for tick in ticks:
            inputs.insert(draw(st.integers(0, len(inputs))), (tick, True))
        made.append(sorted(inputs, key=lambda one: one[0]))
    return made


def course_of(inputs: list[tuple[int, bool]]) -> Course:
    course = Course()
    for at_ns, is_tick in inputs:
        (course.tick if is_tick else course.call)(at_ns)
    return course


@given(shards())
def test_two_calls_have_as_many_flushes_of_the_replay_between_them_as_they_had_ticks(
    recorded: list[list[tuple[int, bool]]],
) -> None:
    plan = plan_flushes([course_of(inputs) for inputs in recorded])

    for inputs, dues in zip(recorded, plan.dues, strict=True):
        clamp, ticks, found = Clamp(dues), 0, []
        for at_ns, is_tick in inputs:
            if is_tick:
                clamp.tick()
                ticks += 1
            else:
                found.append((clamp.at(at_ns), at_ns, ticks))
        replayed = [made_ns - plan.start_ns for made_ns, _, _ in found]
        assert replayed == sorted(replayed)
        assert all(at_ns >= 0 for at_ns in replayed)
        assert all(0 <= at_ns - made_ns <= 2 * LATE_NS for made_ns, at_ns, _ in found)
        numbers = {
            at_ns // INTERVAL_NS - ticks
            for at_ns, (_, _, ticks) in zip(replayed, found, strict=True)
        }
        assert len(numbers) <= 1
    assert plan.different == 0


def test_without_ticks_the_recording_begins_with_its_first_call() -> None:
    course = Course()
    course.call(BEGIN_NS)

    assert plan_flushes([course]).start_ns == BEGIN_NS


def test_a_call_in_the_instant_of_a_tick_and_before_it_is_a_nanosecond_earlier() -> None:
    course = Course()
    course.call(BEGIN_NS)
    course.tick(BEGIN_NS + 7)
    course.call(BEGIN_NS + 7)
    plan = plan_flushes([course])
    clamp = Clamp(plan.dues[0])

    before = clamp.at(BEGIN_NS + 7)
    clamp.tick()
    after = clamp.at(BEGIN_NS + 7)

    assert (before, after) == (BEGIN_NS + 6, BEGIN_NS + 7)
    assert (after - plan.start_ns) % INTERVAL_NS == 0


def test_ticks_of_another_interval_are_told_apart_from_a_replays() -> None:
    course = Course()
    for second in range(60):
        course.call(BEGIN_NS + second * NS_PER_SECOND)
        if second in (10, 20, 40, 50):
            course.tick(BEGIN_NS + second * NS_PER_SECOND)

    assert plan_flushes([course]).different == 2  # those at 20 and 50 s; 10 and 40 are met


def test_flushes_that_only_a_replay_has_are_counted() -> None:
    course = Course()
    course.call(BEGIN_NS)
    course.call(BEGIN_NS + 3 * INTERVAL_NS)

    assert plan_flushes([course]).different == 3
