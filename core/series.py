"""Metric families as a flat table of series: `name{labels}` and a number.

Names and numbers are those of the text format of Go's client, so that two implementations can be
compared line by line. Source: prometheus/common expfmt/text_create.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from .families import Distribution, Family


def flatten(families: Iterable[Family], const_labels: Mapping[str, str]) -> dict[str, float]:
    """Every series of `families`; a histogram gives its buckets, cumulative, its sum and count.

    Args:
        families: In any order.
        const_labels: Added to each series.

    Returns:
        `name{label="value",…}` → value. Labels are sorted by name but `le`, which is last.
    """
    return {
        f"{name}{{{','.join(labels)}}}" if labels else name: value
        for family in families
        for name, labels, value in _lines(family, const_labels)
    }


def cumulative(edges: Iterable[float], counted: Distribution) -> Iterator[tuple[str, int]]:
    """The buckets of a histogram as (`le`, values up to there), "+Inf" last."""
    names = [*(go_float(edge) for edge in edges), "+Inf"]
    return zip(names, accumulate(counted.buckets), strict=True)


def go_float(value: float) -> str:
    """The shortest form that reads back as `value`, in Go's format 'g': "0.1", "1", "1e+06"."""
    text = repr(float(value)).removesuffix(".0")
    mantissa, _, exponent = text.partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.removeprefix("-").partition(".")
    if exponent or len(whole) <= 6:  # Python has an exponent from 1e16 on, Go from 1e6
        return text
    digits = (whole + fraction).rstrip("0")
    point = "." if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{point}{digits[1:]}e+{len(whole) - 1:02d}"


def _lines(
    family: Family, const_labels: Mapping[str, str]
) -> Iterator[tuple[str, list[str], float]]:
    for labels, value in family.samples:
        named = [_label(*pair) for pair in sorted([*labels, *const_labels.items()])]
        if not isinstance(value, Distribution):
            yield family.name, named, value
            continue
        count = 0
        for le, count in cumulative(family.edges, value):
            yield f"{family.name}_bucket", [*named, _label("le", le)], float(count)
        yield f"{family.name}_sum", named, value.sum
        yield f"{family.name}_count", named, float(count)


def _label(name: str, value: str) -> str:
    escaped = value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return f'{name}="{escaped}"'
