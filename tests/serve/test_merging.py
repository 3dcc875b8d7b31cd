from __future__ import annotations

import json

import pytest

from greenroom.core import metric_specs as specs
from greenroom.core.families import Distribution, Family, FamilyType, Sample
from greenroom.node.merging import HIGHEST, from_wire, merged, to_wire

EDGES = (1.0, 5.0)


def family(
    name: str, values: dict[str, float | Distribution], type_: FamilyType = "counter"
) -> Family:
    samples = tuple(Sample((("kind", label),), values[label]) for label in sorted(values))
    return Family(name, type_, "Help", EDGES if type_ == "histogram" else (), samples)


def test_counts_and_gauges_of_shards_are_added_up_by_their_labels() -> None:
    (both,) = merged([[family("f", {"a": 1, "c": 5})], [family("f", {"a": 2, "b": 3})]])

    assert both == family("f", {"a": 3, "b": 3, "c": 5})


def test_buckets_and_sums_of_histograms_are_added_up() -> None:
    one = family("h", {"a": Distribution((1, 0, 2), 9.0)}, "histogram")
    other = family("h", {"a": Distribution((0, 4, 1), 2.5)}, "histogram")

    assert merged([[one], [other]]) == [
        family("h", {"a": Distribution((1, 4, 3), 11.5)}, "histogram")
    ]


@pytest.mark.parametrize("name", sorted(HIGHEST))
def test_of_what_says_how_bad_it_is_the_worst_counts(name: str) -> None:
    one, other = (family(name, {"a": value}, "gauge") for value in (2.0, 7.0))

    assert merged([[one], [other]]) == merged([[other], [one]]) == [other]


def test_all_of_a_kind_that_cannot_be_added_are_among_them() -> None:
    ages = {name for name in vars(specs) if name.endswith(("OLDEST_SECONDS", "_FAILED"))}

    assert {getattr(specs, name).name for name in ages} <= HIGHEST


def test_a_family_that_one_shard_alone_has_is_there() -> None:
    one, other = family("f", {"a": 1}), family("g", {"a": 2})

    assert merged([[one], [], [other]]) == [one, other]


def test_no_shards_have_no_metrics() -> None:
    assert merged([]) == []


def test_families_travel_as_json_unchanged() -> None:
    families = [
        family("f", {"a": 1, "b": 2.5}),
        family("h", {"a": Distribution((1, 0, 2), 9.0)}, "histogram"),
    ]

    assert from_wire(json.loads(json.dumps(to_wire(families)))) == families
