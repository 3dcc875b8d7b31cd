from __future__ import annotations

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from greenroom.core.ids import ALPHABET, SIZE, derive_fraction, derive_id

AT_NS: Final = 1_700_000_000_000_000_000
POSITIONS: Final = st.integers(1, 2**63)


def test_an_id_is_the_same_in_every_version_of_greenroom() -> None:
    # written down: after an upgrade a journal's inputs must give the ids that were sent before
    assert derive_id("EV_", "node", 0, 1, AT_NS) == "EV_YUaZf3RzKsZd"
    assert derive_fraction(1, 0) == 0.10780407345297749


@given(POSITIONS)
def test_an_id_is_its_prefix_and_twelve_characters_that_read_apart(position: int) -> None:
    made = derive_id("EV_", "node", 0, position, AT_NS)

    assert made.startswith("EV_")
    assert len(made) == len("EV_") + SIZE
    assert set(made.removeprefix("EV_")) <= set(ALPHABET)
    assert not set("01IOl") & set(ALPHABET)


def test_each_argument_makes_another_id() -> None:
    made = [
        derive_id("EV_", "node", 0, 1, AT_NS),
        derive_id("AE_", "node", 0, 1, AT_NS),
        derive_id("EV_", "edon", 0, 1, AT_NS),
        derive_id("EV_", "node", 1, 1, AT_NS),
        derive_id("EV_", "node", 0, 2, AT_NS),
        derive_id("EV_", "node", 0, 1, AT_NS + 1),
        derive_id("EV_", "node", 0, 1, AT_NS, 1),
    ]

    assert len({name[3:] for name in made}) == len(made)


def test_arguments_do_not_run_into_each_other() -> None:
    assert derive_id("EV_", "node1", 0, 1, 1) != derive_id("EV_", "node", 10, 1, 1)
    assert derive_id("EV_", "node", 1, 11, 1) != derive_id("EV_", "node", 11, 1, 1)
    assert derive_id("EV_", "node", 1, 1, 11) != derive_id("EV_", "node", 1, 11, 1)


def test_a_hundred_thousand_inputs_have_as_many_ids() -> None:
    made = {derive_id("EV_", "node", 0, position, AT_NS) for position in range(100_000)}

    assert len(made) == 100_000


def test_every_character_of_the_alphabet_is_used_about_as_often() -> None:
    text = "".join(derive_id("", "node", 0, position, AT_NS) for position in range(5_000))

    expected = len(text) / len(ALPHABET)
    assert all(0.8 * expected < text.count(c) < 1.2 * expected for c in ALPHABET)


@given(st.integers(0, 2**63), st.integers(0, 2**63))
def test_a_fraction_is_at_least_0_below_1_and_always_the_same(position: int, index: int) -> None:
    fraction = derive_fraction(position, index)

    assert 0.0 <= fraction < 1.0
    assert fraction == derive_fraction(position, index)


def test_fractions_are_spread_evenly() -> None:
    fractions = [derive_fraction(position, 0) for position in range(10_000)]

    tenths = [sum(tenth / 10 <= f < (tenth + 1) / 10 for f in fractions) for tenth in range(10)]
    assert all(900 < count < 1_100 for count in tenths)
