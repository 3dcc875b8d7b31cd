"""Other orders than the usual one, and what may go wrong, all from one integer.

Thespian promises order only for each pair of sender and receiver. `SeededSchedule` picks one of
all the orders that this leaves, admits inputs while messages still wait, and lets handlers fail,
actors die and wake-ups come late or twice. The same seed gives the same run, so a failure that
was found once can be played again. For pumped bases with a virtual clock; the usual path knows
nothing of it: a base with a schedule has another mailbox and another dispatcher.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from thespian.actors import (
    Actor,
    ActorExitRequest,
    ChildActorExited,
    Thespian_StatusReq,
    WakeupMessage,
)

from .cell import Cell, Envelope
from .dispatch import SLICE, Dispatcher
from .population import Population
from .shuffle import ShuffledMailbox
from .timers import period_ns

IsExposed: TypeAlias = Callable[[Actor, object], bool]

# A fault in the middle of a handler strikes at one of its first sends.
SENDS_BEFORE_FAULT: Final = 4
# What the base itself answers by sending: only the actor's own sends may fail.
ENDS_OF_LIFE: Final = (ActorExitRequest, ChildActorExited, Thespian_StatusReq)


class InjectedError(Exception):
    """A handler failed because the schedule wanted it."""


class InjectedCrash(SystemExit):
    """An actor died because the schedule wanted it."""


def everyone(actor: Actor, message: object) -> bool:
    """Any actor may be hit, by any message."""
    return True


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong and how often: probabilities, each of one message or wake-up.

    Args:
        failure: A send in the middle of the handler raises InjectedError. What the handler did
            before is done; what happens then is up to the actor, or else to Thespian's rules.
        crash: The actor dies, as if its process had ended: instead of taking the message, at a
            send in the middle of the handler, or right after it.
        end: Somebody sends the actor an ActorExitRequest, which takes its place among the messages
            that wait.
        late_wakeup: The wake-up comes up to one more period later.
        repeated_wakeup: The wake-up comes twice.
        exposed: Whether this actor may fail or crash on this message; by default each may.
    """

    failure: float = 0.0
    crash: float = 0.0
    end: float = 0.0
    late_wakeup: float = 0.0
    repeated_wakeup: float = 0.0
    exposed: IsExposed = everyone


NO_FAULTS: Final = Faults()


class SeededSchedule:
    """One order out of all that are allowed. Use each schedule for one base only.

    Args:
        seed: What decides everything.
        faults: What goes wrong; by default nothing.
        early_inputs: How likely the door's next input is admitted before a waiting message is
            delivered; 0 is the door's usual rule.
        observe: Is shown every envelope that is delivered, in order.
    """

    def __init__(
        self,
        seed: int,
        *,
        faults: Faults = NO_FAULTS,
        early_inputs: float = 0.3,
        observe: Callable[[Envelope], None] | None = None,
    ) -> None:
        self.seed = seed
        self.faults = faults
        self.early_inputs = early_inputs
        self.observe = observe
        self.random = random.Random(seed)
        self.mailbox = ShuffledMailbox(self.random)
        self.failures = 0
        self.crashes = 0
        self.ends = 0

    def __repr__(self) -> str:
        return (
            f"<SeededSchedule {self.seed}, prefers {self.mailbox.taste}: "
            f"{self.failures} failures, {self.crashes} crashes, {self.ends} ends so far>"
        )


class SeededDispatcher(Dispatcher):
    """Delivers as a schedule wants it.

    Args:
        population: The actors; their mailbox is the schedule's.
        schedule: What decides.
    """

    def __init__(self, population: Population, schedule: SeededSchedule) -> None:
        super().__init__(population)
        self._schedule = schedule
        self._random = schedule.random
        self._somebody = population.new_cell(population.root)  # sends the requests to exit

    def _fire_timers(self) -> None:
        population, faults = self._population, self._schedule.faults
        now_ns = population.clock.monotonic_ns()
        for cell, message in population.timers.pop_due(now_ns):
            if self._random.random() < faults.late_wakeup:
                late_ns = self._random.randint(1, max(1, period_ns(message.delayPeriod)))
                population.timers.add(cell, now_ns + late_ns, message.delayPeriod, message.payload)
                continue
            population.mailbox.put((cell, message, cell))
            if self._random.random() < faults.repeated_wakeup:
                again = WakeupMessage(message.delayPeriod, message.payload)
                population.mailbox.put((cell, again, cell))

    def _run_some(self) -> bool:
        observe = self._schedule.observe
        for _ in range(SLICE):
            self._admit_early()
            envelope = self._next()
            if envelope is None:
                self._reach_marks()
                return False
            if observe is not None:
                observe(envelope)
            self._deliver(*envelope)
            self.delivered += 1
        return True

    def _admit_early(self) -> None:
        population, schedule = self._population, self._schedule
        while len(population.mailbox) and self._random.random() < schedule.early_inputs:
            admitted = None if self.door is None else self.door.admit()
            if admitted is None:
                return
            self._post_admitted(*admitted)

    def _next(self) -> Envelope | None:
        """As usual, but an admitted input takes its place among the others."""
        mailbox = self._population.mailbox
        while not len(mailbox):
            admitted = None if self.door is None else self.door.admit()
            if admitted is None:
                return None
            self._post_admitted(*admitted)
        return mailbox.popleft()

    def _post_admitted(self, address: object, message: object) -> None:
        if isinstance(address, Cell):
            self._population.mailbox.put((address, message, self._population.root))
        else:
            self._give_back(address, message)

    def _deliver(self, target: Cell, message: object, sender: Cell) -> None:
        schedule, faults, chance = self._schedule, self._schedule.faults, self._random
        actor = target.instance
        if (
            faults.end
            and chance.random() < faults.end
            and isinstance(actor, Actor)
            and faults.exposed(actor, message)
        ):
            schedule.ends += 1
            self._population.mailbox.put((target, ActorExitRequest(), self._somebody))
        dice = chance.random()
        if (
            dice >= faults.crash + faults.failure
            or not isinstance(actor, Actor)
            or not faults.exposed(actor, message)
            or (dice >= faults.crash and isinstance(message, ENDS_OF_LIFE))
        ):
            super()._deliver(target, message, sender)
        elif dice >= faults.crash:
            self._deliver_armed(target, message, sender, InjectedError(schedule.seed))
        else:
            when = chance.choice(("instead", "within", "after"))
            if when == "within" and not isinstance(message, ENDS_OF_LIFE):
                self._deliver_armed(target, message, sender, InjectedCrash(schedule.seed))
            elif when != "instead":
                super()._deliver(target, message, sender)
            if target.instance is not None:
                self._population.kill(target)
            schedule.crashes += 1

    def _deliver_armed(
        self, target: Cell, message: object, sender: Cell, error: BaseException
    ) -> None:
        mailbox = self._schedule.mailbox
        mailbox.arm(self._random.randrange(SENDS_BEFORE_FAULT), error)
        try:
            super()._deliver(target, message, sender)
        finally:
            self._schedule.failures += isinstance(error, InjectedError) and not mailbox.is_armed
            mailbox.disarm()
