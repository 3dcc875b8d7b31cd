"""From a class, or the name of one, to an actor: Thespian's rules for constructing."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from thespian.actors import Actor, InvalidActorSourceHash, NoCompatibleSystemForActor
from thespian.system.sourceLoader import loadModuleFromHashSource
from thespian.system.utilis import actualActorClass

from .cell import ActorClass, Requirements

CapabilityCheck = Callable[[Mapping[str, object], Mapping[str, object]], bool]


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is always the same about making an actor of one class.

    Args:
        wants_capabilities: The constructor has a parameter of this name.
        wants_requirements: The constructor has a parameter of this name.
        check: The class's own capability check.
        collects_messages: The class is decorated with `initializing_messages`.
    """

    wants_capabilities: bool
    wants_requirements: bool
    check: CapabilityCheck | None
    collects_messages: bool


class Spawner:
    """Makes actors. It looks into a class once: that takes longer than all the rest.

    Args:
        capabilities: Of the base; read at each creation.
        sources: Loaded sources, hash -> zip; read at each creation.
    """

    def __init__(self, capabilities: dict[str, object], sources: Mapping[str, bytes]) -> None:
        self._capabilities = capabilities
        self._sources = sources
        self._recipes: dict[type[Actor], Recipe] = {}

    def __repr__(self) -> str:
        return f"<Spawner {len(self._recipes)} classes known>"

    def forget_classes(self) -> None:
        """Let go of the classes, so that an unloaded source can be freed."""
        self._recipes.clear()

    def spawn(
        self, actor_class: ActorClass, requirements: Requirements, source_hash: str | None
    ) -> Actor:
        """A new actor, not yet known to anyone.

        Raises:
            InvalidActorSourceHash: No such source is loaded.
            NoCompatibleSystemForActor: The class's capability check says no.
            Exception: Whatever importing or constructing the class raises.
        """
        if source_hash or isinstance(actor_class, str):
            actor_class = self._load(actor_class, source_hash)
        recipe = self._recipes.get(actor_class)
        if recipe is None:
            recipe = self._recipes[actor_class] = read_recipe(actor_class)
        if recipe.check is not None and not recipe.check(self._capabilities, requirements or {}):
            raise NoCompatibleSystemForActor(
                actor_class, "No compatible ActorSystem could be found"
            )
        if recipe.wants_capabilities or recipe.wants_requirements:
            arguments: dict[str, object] = {}
            if recipe.wants_capabilities:
                arguments["capabilities"] = self._capabilities
            if recipe.wants_requirements:
                arguments["requirements"] = requirements
            actor = actor_class(**arguments)
        else:
            actor = actor_class()
        if recipe.collects_messages:
            # thespian.initmsgs keeps this list on the class: two actors would share messages
            actor._post_init_pending = []
        return actor

    def _load(self, actor_class: ActorClass, source_hash: str | None) -> type[Actor]:
        if not source_hash:
            return actualActorClass(actor_class)
        if source_hash not in self._sources:
            raise InvalidActorSourceHash(source_hash)
        loader = functools.partial(loadModuleFromHashSource, source_hash, self._sources)
        return actualActorClass(actor_class, loader)


def read_recipe(actor_class: type[Actor]) -> Recipe:
    """Look into a class. Source: thespian system/utilis.py, withPossibleInitArgs."""
    parameters = inspect.signature(actor_class.__init__).parameters
    return Recipe(
        wants_capabilities="capabilities" in parameters,
        wants_requirements="requirements" in parameters,
        check=getattr(actor_class, "actorSystemCapabilityCheck", None),
        collects_messages=hasattr(actor_class, "_post_init_pending"),
    )
