"""Of every failure there is a text, whatever the exception does."""

from __future__ import annotations

from typing import Final

import pytest

from greenroom.core.failure_text import (
    MAX_ERROR,
    MAX_TRACEBACK,
    failure_texts,
    traceback_text,
    type_name,
)
from greenroom.testing.hostile_errors import HOSTILE_ERRORS, Mute

ROOM: Final = 100  # for what says how much was left out


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001
        return caught


@pytest.mark.parametrize("kind", HOSTILE_ERRORS)
def test_an_exception_whose_own_methods_fail_has_a_text_and_a_traceback(
    kind: type[Exception],
) -> None:
    error = raised(kind())

    text, trace = failure_texts(error)

    assert text
    assert trace
    assert traceback_text(error)


def test_where_an_exception_without_a_repr_was_raised_is_told() -> None:
    text, trace = failure_texts(raised(Mute()))

    assert "Mute" in text
    assert "in raised" in trace


def test_an_ordinary_exception_is_told_as_python_tells_it() -> None:
    error = raised(ValueError("thirteen"))
    error.__cause__ = KeyError("of that")

    text, trace = failure_texts(error)

    assert text == "ValueError('thirteen')"
    assert trace.startswith("KeyError: 'of that'\n")
    assert trace.endswith("\nValueError: thirteen\n")


def test_a_long_text_is_shortened_in_the_middle() -> None:
    text, trace = failure_texts(raised(ValueError("<" + "x" * 1_000_000 + ">")))

    assert text.startswith("ValueError('<x")
    assert text.endswith("x>')")
    assert len(text) < MAX_ERROR + ROOM
    assert trace.endswith("x>\n")
    assert len(trace) < MAX_TRACEBACK + ROOM


def test_a_text_has_a_utf_8_form() -> None:
    text, trace = failure_texts(raised(ValueError("\ud800")))

    assert (text + trace).encode()


def test_a_type_is_named_even_if_it_hides_its_name() -> None:
    class Hiding(type):
        def __getattribute__(cls, name: str) -> object:
            raise AttributeError(name)

    class Hidden(metaclass=Hiding):
        pass

    assert type_name(Hidden()) == "Hidden"
