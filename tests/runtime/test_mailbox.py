"""The usual mailbox."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.runtime.cell import Cell, Envelope
from greenroom.runtime.clock import VirtualClock
from greenroom.runtime.mailbox import FlatMailbox
from greenroom.runtime.population import Population


def cells() -> tuple[Cell, Cell]:
    """Two addresses."""
    population = Population("test", VirtualClock(), {}, FlatMailbox())
    return population.new_cell(population.root), population.new_cell(population.root)


def filled(count: int) -> tuple[FlatMailbox, list[Envelope]]:
    """A mailbox, and what was put into it."""
    receiver, sender = cells()
    envelopes: list[Envelope] = [(receiver, number, sender) for number in range(count)]
    mailbox = FlatMailbox()
    for envelope in envelopes:
        mailbox.put(envelope)
    return mailbox, envelopes


@given(st.integers(min_value=0, max_value=20))
def test_messages_come_out_whole_and_in_the_order_in_which_they_were_put(count: int) -> None:
    mailbox, envelopes = filled(count)

    assert len(mailbox) == count
    assert [mailbox.popleft() for _ in range(count)] == envelopes
    with pytest.raises(IndexError):
        mailbox.popleft()


@pytest.mark.parametrize("taken", [1, 2])
def test_only_a_message_whose_taking_was_interrupted_is_lost(taken: int) -> None:
    mailbox, envelopes = filled(3)
    for _ in range(taken):
        mailbox.entries.popleft()

    mailbox.realign()

    assert [mailbox.popleft() for _ in range(len(mailbox))] == envelopes[1:]


@given(st.integers(min_value=0, max_value=5), st.integers(min_value=0, max_value=5))
def test_the_newest_come_first_and_are_not_more_than_there_are(wanted: int, count: int) -> None:
    mailbox, envelopes = filled(count)

    assert mailbox.newest(wanted) == envelopes[::-1][:wanted]


def test_a_message_that_is_half_taken_does_not_confuse_the_newest() -> None:
    mailbox, envelopes = filled(3)
    mailbox.entries.popleft()

    assert mailbox.newest(10) == envelopes[:0:-1]


def test_a_cleared_mailbox_is_empty() -> None:
    mailbox, _ = filled(3)

    mailbox.clear()

    assert len(mailbox) == 0
    assert repr(mailbox) == "<FlatMailbox 0 messages>"
