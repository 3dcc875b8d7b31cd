"""The steps of a scenario vector: calls, each with what it causes, and time that passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from ..core.times import NS_PER_SECOND, to_ns
from ..errors import RecordingError
from ..replay.arguments import to_arguments
from .outputs import Outputs, recorded
from .vectors import Json, Vector, typed

# not on a whole second, so that what is cut to seconds is told from what is not
START_NS: Final = 1_760_000_000 * NS_PER_SECOND + 500_000_000


@dataclass(frozen=True, slots=True)
class CallStep:
    """One call of the service.

    Args:
        path: Of the step in its scenario, as in `steps[3] room_ended`.
        call: The method.
        arguments: Its keyword arguments; the service copies them.
        expected: What comes out before the next step.
    """

    path: str
    call: str
    arguments: Mapping[str, object]
    expected: Outputs


@dataclass(frozen=True, slots=True)
class Advance:
    """So many ns pass."""

    duration_ns: int


Step: TypeAlias = CallStep | Advance


def read_steps(vector: Vector) -> list[Step]:
    """All steps of a scenario that begins at `START_NS`.

    Raises:
        RecordingError: A step is not understood; the text says `file:line` and which.
    """
    now_ns = START_NS
    steps: list[Step] = []
    for number, content in enumerate(vector.read_list("steps", dict)):
        step = _step(content, f"steps[{number}]", now_ns, vector.where)
        if isinstance(step, Advance):
            now_ns += step.duration_ns
        steps.append(step)
    return steps


def _step(step: Json, path: str, now_ns: int, where: str) -> Step:
    here = f"{where} {path}"
    if step.keys() == {"advance"}:
        seconds = typed(step["advance"], float, here)
        if seconds < 0:
            raise RecordingError(here, f"time only goes forward, not by {seconds}")
        return Advance(to_ns(seconds))
    if step.keys() != {"call", "args", "expect"}:
        raise RecordingError(here, f"neither a call nor an advance: {', '.join(step)}")
    call = typed(step["call"], str, f"{here} call")
    expected = recorded(typed(step["expect"], dict, f"{here} expect"), now_ns, here)
    try:
        arguments = to_arguments(call, typed(step["args"], dict, f"{here} args"))
    except (TypeError, ValueError) as error:
        raise RecordingError(here, str(error)) from None
    return CallStep(f"{path} {call}", call, arguments, expected)
