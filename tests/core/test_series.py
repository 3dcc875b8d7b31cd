"""The flat form of families, as Go's client prints it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.core.families import Distribution, FamilySpec
from greenroom.core.series import flatten, go_float


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.1, "0.1"),
        (1, "1"),
        (100000, "100000"),
        (999999.5, "999999.5"),
        (1000000, "1e+06"),
        (2097152, "2.097152e+06"),
        (33554432.0, "3.3554432e+07"),
        (1e21, "1e+21"),
        (0.00001, "1e-05"),
        (0.0001, "0.0001"),
        (-1500000.0, "-1.5e+06"),
    ],
)
def test_a_number_has_gos_shortest_form(value: float, text: str) -> None:
    assert go_float(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_short_form_of_a_number_reads_back_as_the_number(value: float) -> None:
    assert float(go_float(value)) == value


def test_labels_are_sorted_with_the_constant_ones_among_them() -> None:
    spec = FamilySpec("a_total", "counter", "", ("kind", "state"))

    flat = flatten([spec.family({("AUDIO", "success"): 2.0})], {"node_id": "n", "app": "x"})

    assert flat == {'a_total{app="x",kind="AUDIO",node_id="n",state="success"}': 2}


def test_a_series_without_labels_has_no_braces() -> None:
    assert flatten([FamilySpec("a", "gauge", "").family({(): 0.0})], {}) == {"a": 0}


def test_quotes_backslashes_and_line_ends_are_escaped() -> None:
    spec = FamilySpec("a", "gauge", "", ("error",))

    assert flatten([spec.family({('"\\\n',): 1.0})], {}) == {r'a{error="\"\\\n"}': 1}


def test_the_buckets_of_a_histogram_are_cumulative_with_le_last() -> None:
    spec = FamilySpec("a", "histogram", "", ("z",), edges=(0.5, 1_000_000))

    assert flatten([spec.family({("y",): Distribution((1, 0, 2), 4.5)})], {}) == {
        'a_bucket{z="y",le="0.5"}': 1,
        'a_bucket{z="y",le="1e+06"}': 1,
        'a_bucket{z="y",le="+Inf"}': 3,
        'a_sum{z="y"}': 4.5,
        'a_count{z="y"}': 3,
    }
