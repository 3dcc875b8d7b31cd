from collections.abc import Callable

from thespian.actors import Actor

def actualActorClass(
    actorClass: type[Actor] | str,
    sourceHashLoader: Callable[[str, str], type[Actor]] | None = None,
) -> type[Actor]: ...
def thesplog_control(
    baseLevel: int = 10, useLogging: bool = True, tmpFileMaxSize: int = 0
) -> None: ...
