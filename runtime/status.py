"""Answers to Thespian's status requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thespian.actors import Thespian_ActorStatus, Thespian_SystemStatus
from thespian.system.timing import ExpirationTimer

if TYPE_CHECKING:
    from .cell import Cell
    from .population import Population


def system_status(population: Population) -> Thespian_SystemStatus:
    """What the system says of itself."""
    status = Thespian_SystemStatus(
        population.root,
        capabilities=population.capabilities,
        inShutdown=population.closing,
    )
    for child in population.primaries:
        status.addChild(child)
    for name, cell in population.names.items():
        status.addGlobalActor(name, cell)
    if population.dead_letters.handler is not None:
        status.setDeadLetterHandler(population.dead_letters.handler)
    return status


def actor_status(population: Population, cell: Cell) -> Thespian_ActorStatus:
    """What is known of one actor. O(all timers)."""
    status = Thespian_ActorStatus(
        cell,
        cell.class_name,
        population.root,
        cell.parent,
        None if cell.about is None else cell.about.source_hash,
        cell.is_exiting,
    )
    for child in cell.children or ():
        status.addChild(child)
    now_ns = population.clock.monotonic_ns()
    status.addWakeups(
        [(cell, ExpirationTimer((due_ns - now_ns) / 1e9)) for due_ns in population.timers.of(cell)]
    )
    return status
