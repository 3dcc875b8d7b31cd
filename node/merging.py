"""The metrics of several shards as those of one node."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from ..core import metric_specs as specs
from ..core.families import Distribution, Family, Sample

# gauges that say how bad it is, or how something is, where others count
HIGHEST: Final = frozenset(
    spec.name
    for spec in (
        specs.WEBHOOK_OLDEST_SECONDS,
        specs.WEBHOOK_BREAKER,
        specs.WEBHOOK_ENDPOINT_ENABLED,
        specs.WEBHOOK_ENDPOINT_INFO,
        specs.STORE_FAILED,
    )
)


def to_wire(families: Iterable[Family]) -> list[Any]:
    """As JSON can carry it; `from_wire` reads it."""
    return [
        [f.name, f.type, f.help, f.edges, [[s.labels, s.value] for s in f.samples]]
        for f in families
    ]


def from_wire(wire: Iterable[Any]) -> list[Family]:
    """The families that `to_wire` wrote."""
    return [
        Family(
            name,
            type_,
            text,
            tuple(edges),
            tuple(
                Sample(
                    tuple((label, given) for label, given in labels),
                    Distribution(tuple(value[0]), value[1]) if isinstance(value, list) else value,
                )
                for labels, value in samples
            ),
        )
        for name, type_, text, edges, samples in wire
    ]


def merged(shards: Sequence[Iterable[Family]]) -> list[Family]:
    """What they add up to; of gauges in `HIGHEST`, the highest."""
    families: dict[str, Family] = {}
    samples: dict[str, dict[tuple[tuple[str, str], ...], float | Distribution]] = {}
    for shard in shards:
        for family in shard:
            families.setdefault(family.name, family)
            into = samples.setdefault(family.name, {})
            for labels, value in family.samples:
                have = into.get(labels)
                into[labels] = value if have is None else _join(family.name, have, value)
    return [
        Family(
            f.name,
            f.type,
            f.help,
            f.edges,
            tuple(Sample(*s) for s in sorted(samples[f.name].items(), key=_labels)),
        )
        for f in families.values()
    ]


def _labels(sample: tuple[tuple[tuple[str, str], ...], object]) -> tuple[tuple[str, str], ...]:
    return sample[0]


def _join(
    name: str, one: float | Distribution, other: float | Distribution
) -> float | Distribution:
    if isinstance(one, Distribution) and isinstance(other, Distribution):
        buckets = tuple(a + b for a, b in zip(one.buckets, other.buckets, strict=True))
        return Distribution(buckets, one.sum + other.sum)
    assert not isinstance(one, Distribution)
    assert not isinstance(other, Distribution)
    return max(one, other) if name in HIGHEST else one + other
