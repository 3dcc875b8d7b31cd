from __future__ import annotations

import re
from pathlib import Path

import pytest

from greenroom.conformance import differences
from greenroom.conformance.differences import REASONS

TEXT = (Path(__file__).parents[2] / "docs" / "differences.md").read_text("utf-8")
# name of a section -> its first paragraph, as one line
SECTIONS = {
    match[1]: " ".join(match[2].split())
    for match in re.finditer(r"^### (\S+)\n\n(.+?)\n\n", TEXT, re.MULTILINE | re.DOTALL)
}


@pytest.mark.parametrize("slug", REASONS)
def test_the_document_has_a_section_with_the_reason_that_reports_give(slug: str) -> None:
    assert SECTIONS.get(slug) == REASONS[slug]


def test_every_name_that_checks_use_has_a_reason() -> None:
    names = {
        value
        for name, value in vars(differences).items()
        if name.isupper() and isinstance(value, str)
    }

    assert names == set(REASONS)


def test_every_section_says_what_both_do_and_why_and_which_vectors_are_concerned() -> None:
    bodies = re.split(r"^### ", TEXT, flags=re.MULTILINE)[1:]

    incomplete = [
        body.split("\n", 1)[0]
        for body in bodies
        if not all(f"\n* {word}" in body for word in ("**LiveKit**", "**greenroom**", "**Why:**"))
        or "\n* Vectors:" not in body
    ]

    assert incomplete == []
    assert len(bodies) == len(SECTIONS)
