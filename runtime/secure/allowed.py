"""The classes that a message may be made of: exactly these, by module and name.

The second line only, behind authentication: whoever has the secret may start any actor that can be
imported. What loads sources, or has the logger write elsewhere, is left out on purpose.
"""

from __future__ import annotations

import importlib
import io
import logging
import pickle
from collections.abc import Iterable
from datetime import timedelta
from types import BuiltinFunctionType, FunctionType
from typing import Any, Final

from thespian import actors
from thespian.system import timing
from thespian.system.logdirector import LogAggregator, LoggerExitRequest
from thespian.system.messages import admin, convention, multiproc, status

from ...errors import ConfigError, MessageError
from .frames import Buffer
from .refusals import Reason, RefusedError

THESPIANS: Final[tuple[type, ...]] = (
    actors.ActorAddress,
    actors.ActorExitRequest,
    actors.ActorSystemConventionUpdate,
    actors.ChildActorExited,
    actors.DeadEnvelope,
    actors.PoisonMessage,
    actors.WakeupMessage,
    actors.WatchMessage,
    admin.CapabilityUpdate,
    admin.HandleDeadLetters,
    admin.NewCapabilities,
    admin.NotifyOnSourceAvailability,  # of an actor that ends
    admin.PendingActor,
    admin.PendingActorResponse,
    admin.QueryAck,
    admin.QueryExists,
    admin.SystemShutdown,
    admin.SystemShutdownCompleted,
    convention.ConventionDeRegister,
    convention.ConventionInvite,
    convention.ConventionRegister,
    convention.NotifyOnSystemRegistration,
    multiproc.EndpointConnected,
    multiproc.LoggerConnected,
    LogAggregator,
    LoggerExitRequest,
    status.Thespian_ActorStatus,
    status.Thespian_StatusReq,
    status.Thespian_SystemStatus,
    timing.ExpirationTimer,  # in a status
    logging.LogRecord,
    timedelta,
)

PROTOCOL: Final = 5  # of Python 3.8 and newer

ClassName = tuple[str, str]  # module, qualified name

_allowed: Final[dict[ClassName, type]] = {}
_added: Final[set[ClassName]] = set()


def allow(*classes: type) -> None:
    """Let messages hold instances of these classes; call it when their module is imported.

    Subclasses are not meant with them. A class that makes something happen when it is unpickled
    (`__reduce__`, `__setstate__`) must not be here: dataclasses of bytes, str and int are best.

    Raises:
        ConfigError: A class cannot be found by its name, so pickle cannot send it.
    """
    for cls in classes:
        name = (cls.__module__, cls.__qualname__)
        if "<locals>" in cls.__qualname__:
            raise ConfigError(f"{cls.__qualname__}: define it at the top of a module")
        _allowed[name] = cls
        _added.add(name)


def added_names() -> tuple[ClassName, ...]:
    """What was allowed beyond Thespian's own messages, for a process that is spawned."""
    return tuple(sorted(_added))


def allow_names(names: Iterable[ClassName]) -> None:
    """Allow what the process that spawned this one had allowed."""
    for module, name in names:
        found: object = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        assert isinstance(found, type), "only classes were allowed"
        allow(found)


def dumps(content: object) -> bytes:
    """Pickle what the other side can `loads()`, if it allows the same classes.

    Raises:
        MessageError: It holds something of a class that is not allowed.
    """
    pickled = io.BytesIO()
    _Pickler(pickled, PROTOCOL).dump(content)
    return pickled.getvalue()


def loads(pickled: Buffer) -> object:
    """Unpickle what is made of allowed classes only.

    Raises:
        RefusedError: It is not, or no pickle.
    """
    try:
        return _Unpickler(io.BytesIO(pickled)).load()
    except RefusedError:
        raise
    except Exception as error:  # noqa: BLE001  # a pickle can raise anything
        raise RefusedError(Reason.MALFORMED, type(error).__name__) from None


class _Pickler(pickle.Pickler):
    """Finds out at the sender what the receiver would refuse."""

    def reducer_override(self, obj: object) -> Any:
        if isinstance(obj, type | FunctionType | BuiltinFunctionType):
            name = (obj.__module__, obj.__qualname__)
            try:
                _allowed[name]
            except KeyError:
                raise MessageError(
                    f"{'.'.join(name)} may not be sent to another process: if it is plain data, "
                    "call allow() in its module"
                ) from None
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> type:
        try:
            return _allowed[module, name]
        except KeyError:
            named = ascii(f"{module}.{name}"[:120])
            raise RefusedError(Reason.FORBIDDEN_CLASS, f"{named}: see allow()") from None


for _class in THESPIANS:
    _allowed[_class.__module__, _class.__qualname__] = _class
