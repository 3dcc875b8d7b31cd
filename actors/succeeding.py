"""SucceedingActor: puts an heir in the place of a child that somebody else ended.

    child ── Estate ──► parent       it is about to end: what it held
    parent ── Probe ──► child        comes back as a dead letter, behind all it was told before
    parent ── Inherit ──► heir       when the child has exited, the probe is back and the restart
                                     budget allows it: estate, letters
    heir ── HeirBegan ──► parent     the heir answers for it now

The heir is made at once and takes the child's place, so what it is told from then on it holds, as
every actor does before its first message. So all that this parent tells is handled once and in
order. What others told the child (a worker its recorder, the door an outcome) comes back here as
well, and is passed on: only its place among what they tell the heir is not promised.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any, Final

from ..messages.control import ChildFailed
from ._base import (
    ActorAddress,
    ActorExitRequest,
    ChildActorExited,
    DeadEnvelope,
    GreenroomActor,
    told,
)
from .estate import Estate, HeirBegan, Inherit, Undelivered
from .succession import Ended, Probe, Succession, is_at, is_for_one_life
from .supervising import ChildID, SupervisingActor

# So many ended children are known by their addresses, for what others still tell them: an HTTP
# attempt ends within minutes, and no restart budget bears as many deaths in that time.
REMEMBERED_DEAD: Final = 1_024


class SucceedingActor(SupervisingActor):
    """Base of a supervisor that starts its children anew. A subclass says who they are."""

    _successions: dict[ChildID, Succession]
    _dead: deque[tuple[ActorAddress, ChildID]]
    _leaving: dict[str, ChildID]  # at which address; they were told to end
    _has_ended = False

    @told(ActorExitRequest)
    def on_exit_request(self, request: ActorExitRequest, sender: ActorAddress) -> None:
        """Its children go with it, and are not to be succeeded."""
        self._has_ended = True
        super().on_exit_request(request, sender)

    def prepare_supervision(self) -> None:
        """Also have what the children are told in vain come back."""
        super().prepare_supervision()
        self._successions, self._leaving = {}, {}
        self._dead = deque(maxlen=REMEMBERED_DEAD)
        self.handleDeadLetters()

    def let_go(self, which: ChildID, address: ActorAddress) -> None:
        """This child is told to end: nobody is to succeed it, unless it ends before that."""
        self._leaving[address.actorAddressString] = which

    # ── what a subclass knows ───────────────────────────────────────────────────────────────

    def class_of(self, which: ChildID) -> type[GreenroomActor]:
        """The class of this child."""
        raise NotImplementedError

    def address_of(self, which: ChildID) -> ActorAddress | None:
        """Where this child lives; None: it is none any more."""
        raise NotImplementedError

    def child_at(self, address: ActorAddress | str) -> ChildID | None:
        """Which child lives at this address; may take long."""
        raise NotImplementedError

    def move(self, which: ChildID, address: ActorAddress) -> None:
        """From now on this child lives at `address`."""
        raise NotImplementedError

    def worker_of(self, first_message: object) -> ChildID | None:
        """Which of many this message was to configure; None: it is no such message."""
        raise NotImplementedError

    def first_message_of(self, which: ChildID, state: Any, returned: object) -> object:
        """What an heir is configured with, by the state or what came back; None: not known."""
        raise NotImplementedError

    def lose(self, which: ChildID, heir: ActorAddress) -> None:
        """This child left nothing to begin with: forget it."""
        raise NotImplementedError

    def redirect(self, message: object) -> None:
        """What was told to somebody who is not known any more."""
        raise NotImplementedError

    # ── ends ────────────────────────────────────────────────────────────────────────────────

    @told(ChildFailed)
    def on_child_failed(self, failed: ChildFailed, sender: ActorAddress) -> None:
        """One that failed before it was configured does not know which one it is."""
        which = None if failed.letter.incarnation else self.child_at(sender)
        if which is not None and which.incarnation:
            letter = replace(failed.letter, incarnation=which.incarnation)
            failed = replace(failed, letter=letter)
        super().on_child_failed(failed, sender)

    @told(Estate)
    def on_estate(self, estate: Estate, sender: ActorAddress) -> None:
        """A child is about to end."""
        if self._has_ended:
            return
        which = ChildID(estate.actor, estate.incarnation)
        succession, ended = self._note_end(which, sender)
        succession.state = estate.state
        ended.stash.extend(each for each in estate.stash if not is_for_one_life(each))
        self._settle(which)

    @told(ChildActorExited)
    def on_child_exited(self, exited: ChildActorExited, sender: ActorAddress) -> None:
        """A child has ended: it says no more."""
        address = exited.childAddress
        was_told = self._leaving.pop(address.actorAddressString, None)
        if self._has_ended:
            return
        which = self._unsettled_at(address)
        if which is None and was_told is None:
            which = self.child_at(address)
        if which is not None:
            _, ended = self._note_end(which, address)
            ended.has_exited = True
            self._settle(which)

    @told(Undelivered)
    def on_undelivered(self, undelivered: Undelivered, sender: ActorAddress) -> None:
        """A child was ended before it began; or a worker passes on what it got back from one."""
        if self._has_ended:
            return
        which = self._unsettled_at(sender) or self.child_at(sender)
        if which is None or (which.incarnation and which not in self._successions):
            self._redirect(undelivered)
            return
        _, ended = self._note_end(which, sender)
        self._keep(which, ended.stash, undelivered.message)
        self._settle(which)

    @told(DeadEnvelope)
    def on_dead_envelope(self, letter: DeadEnvelope, sender: ActorAddress) -> None:
        """What a child was told that is no more."""
        message, address = letter.deadMessage, letter.deadAddress
        if self._has_ended or is_for_one_life(message):
            return
        if isinstance(message, Undelivered):
            self._redirect(message)
            return
        which = self._unsettled_at(address)
        if which is None:
            if self._pass_on(address, message):
                return
            which = (
                self.worker_of(message) or self._leaving_from(address) or self.child_at(address)
            )
        known = None if which is None else self._known_address(which, address)
        if which is None or known is None:
            self.redirect(message)
        else:
            self._take_back(which, known, message)

    def _take_back(self, which: ChildID, address: ActorAddress, message: object) -> None:
        """For the heir, unless it is the probe: behind that comes only what others told."""
        succession, ended = self._note_end(which, address)
        if isinstance(message, Probe):
            ended.is_probed = True
        elif ended.is_probed and succession.has_inherited:
            self.send(succession.heir, message)  # of somebody else
        else:
            self._keep(which, ended.letters, message)
            # a worker that had not begun had been told nothing: there is nothing to wait for
            ended.has_exited |= self.worker_of(message) is not None
        self._settle(which)

    @told(HeirBegan)
    def on_heir_began(self, began: HeirBegan, sender: ActorAddress) -> None:
        """It answers for all it was given, even if it has ended again since."""
        which = ChildID(began.actor, began.incarnation)
        succession = self._successions.get(which)
        if succession is None:
            return
        ended = succession.of(sender)
        if ended is not None:  # its estate follows
            del succession.ended[: succession.ended.index(ended)]
            succession.state = succession.first_message = None
            return
        del self._successions[which]
        if self.address_of(which) is None:
            self.let_go(which, sender)
            self._budgets.pop(which, None)

    # ── heirs ───────────────────────────────────────────────────────────────────────────────

    def restart_all(self) -> None:
        """Also ask again for what a failure may have left unasked."""
        for which, succession in list(self._successions.items()):
            for ended in succession.ended:
                ended.is_asked &= ended.is_probed
            self._settle(which)
        super().restart_all()

    def put_off(self, which: ChildID) -> None:
        """An heir that was due and has ended is due no more."""
        if which in self._successions:
            self._successions[which].is_due = False

    def _restart(self, which: ChildID) -> None:
        succession = self._successions.get(which)
        if succession is None:
            super()._restart(which)
        else:
            succession.is_due = True
            self._advance(which)

    def _note_end(self, which: ChildID, address: ActorAddress) -> tuple[Succession, Ended]:
        """Have an heir for who lived at `address`; sends nothing, so it cannot stop half-way."""
        succession = self._successions.get(which)
        ended = None if succession is None else succession.of(address)
        if succession is not None and ended is not None:
            return succession, ended
        heir = self.createActor(self.class_of(which))
        if succession is None:
            succession = self._successions[which] = Succession(heir)
        ended = Ended(address)
        succession.ended.append(ended)
        succession.heir, succession.is_due, succession.has_inherited = heir, False, False
        self._standing[which] = heir
        if not which.incarnation:
            self._dead.append((address, which))
        return succession, ended

    def _settle(self, which: ChildID) -> None:
        """Ask for what has to come before the heir may begin; let it begin if all has."""
        succession = self._successions[which]
        for ended in succession.ended:
            if not ended.is_asked:
                self.move(which, succession.heir)
                self.send(ended.address, Probe())
                self._ask_restart(which)
                ended.is_asked = True
        self._advance(which)

    def _advance(self, which: ChildID) -> None:
        succession = self._successions.get(which)
        if succession is None or not succession.is_ready():
            return
        state, letters = succession.state, succession.letters()
        first_message = self.first_message_of(which, state, succession.first_message)
        if first_message is None:
            del self._successions[which], self._standing[which]
            self.lose(which, succession.heir)
            for letter in letters:
                self.redirect(letter)
            return
        inherit = Inherit(first_message, state, letters, self._restarts_at_ns)
        self.send(succession.heir, inherit)
        succession.has_inherited = True
        self._standing.pop(which, None)
        self.metrics.restarted(which.actor)

    def _keep(self, which: ChildID, letters: list[object], message: object) -> None:
        if isinstance(message, self.class_of(which).configured_by()):
            self._successions[which].first_message = message
        elif not (isinstance(message, Inherit) or is_for_one_life(message)):
            letters.append(message)  # but no Inherit: that is made again

    def _unsettled_at(self, address: ActorAddress | str) -> ChildID | None:
        """Which child is being succeeded that lived at this address, or whose heir lives there."""
        for which, succession in self._successions.items():
            if is_at(succession.heir, address) or succession.of(address) is not None:
                return which
        return None

    def _known_address(self, which: ChildID, address: ActorAddress | str) -> ActorAddress | None:
        """The address itself, where a dead letter has only its text."""
        if not isinstance(address, str):
            return address
        succession = self._successions.get(which)
        if succession is None:
            return self.address_of(which)
        ended = succession.of(address)
        return succession.heir if ended is None else ended.address

    def _leaving_from(self, address: ActorAddress | str) -> ChildID | None:
        at = address if isinstance(address, str) else address.actorAddressString
        return self._leaving.get(at)

    def _pass_on(self, address: ActorAddress | str, message: object) -> bool:
        """What somebody else told a child that was succeeded long ago."""
        for dead, which in self._dead:
            current = self.address_of(which) if is_at(dead, address) else None
            if current is not None:
                self.send(current, message)
                return True
        return False

    def _redirect(self, undelivered: Undelivered) -> None:
        message = undelivered.message
        while isinstance(message, Undelivered):
            message = message.message
        self.redirect(message)
