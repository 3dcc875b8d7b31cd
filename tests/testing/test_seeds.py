"""Trying many seeds."""

from __future__ import annotations

import pytest

from greenroom.testing.seeds import describe, find_failing


def refuse_sevens(seed: int) -> None:
    assert seed % 7, f"{seed} is a multiple of seven"


def test_the_seeds_that_fail_are_found_and_named_with_the_command_to_play_them_again() -> None:
    failed = find_failing(refuse_sevens, range(1, 20), processes=1)

    assert [each.seed for each in failed] == [7, 14]
    text = describe(failed, "pytest --seed {seed}")
    assert "2 seeds fail" in text
    assert "seed 14: AssertionError: 14 is a multiple of seven" in text
    assert text.endswith("pytest --seed 7")


@pytest.mark.parametrize("processes", [1, 2])
def test_a_check_that_holds_finds_nothing(processes: int) -> None:
    assert find_failing(abs, range(60), processes) == []


def test_other_processes_find_the_same() -> None:
    failed = find_failing(chr, [65, -1, 66, 2**40], processes=2)

    assert [each.seed for each in failed] == [-1, 2**40]
