from __future__ import annotations

from greenroom.core.restarts import ChildSpec, RestartBudget, RestartType

SECOND = 1_000_000_000


def spec(restart: RestartType = RestartType.PERMANENT, max_restarts: int = 5) -> ChildSpec:
    return ChildSpec(restart, max_restarts, 10.0, backoff_seconds=0.5, backoff_max_seconds=2.0)


def test_the_first_restart_comes_at_once_and_the_wait_doubles_up_to_its_bound() -> None:
    budget = RestartBudget(spec())

    waits = [budget.spend(at * SECOND) for at in range(5)]

    assert waits == [0.0, 0.5, 1.0, 2.0, 2.0]


def test_one_restart_more_than_the_intensity_within_the_period_is_too_many() -> None:
    budget = RestartBudget(spec(max_restarts=2))

    assert [budget.spend(at * SECOND) for at in (0, 5, 10)] == [0.0, 0.5, None]


def test_what_is_longer_ago_than_the_period_is_forgotten() -> None:
    budget = RestartBudget(spec(max_restarts=2))
    budget.spend(0)
    budget.spend(5 * SECOND)

    assert budget.spend(10 * SECOND + 1) == 0.5
    assert budget.spend(60 * SECOND) == 0.0


def test_a_restart_that_was_refused_does_not_count() -> None:
    budget = RestartBudget(spec(max_restarts=1))
    budget.spend(0)

    assert [budget.spend(at * SECOND) for at in (1, 9, 11)] == [None, None, 0.0]


def test_a_temporary_child_is_never_restarted() -> None:
    assert RestartBudget(spec(RestartType.TEMPORARY)).spend(0) is None


def test_a_long_series_of_failures_does_not_overflow() -> None:
    patient = ChildSpec(RestartType.TRANSIENT, 5_000, 1.0, 0.001, 3.0)
    budget = RestartBudget(patient)

    assert [budget.spend(0) for _ in range(3_000)][-1] == 3.0
