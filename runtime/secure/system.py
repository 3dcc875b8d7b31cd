"""The way in: start the actor system of a node, or join the one that runs on this machine."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, Final

from thespian.actors import ActorSystem, InvalidActorAddress
from thespian.system.admin import convention

from ...errors import ConfigError, LifecycleError
from .base import ActorSystemBase, JoiningBase, SystemProcesses
from .logs import LOG_CONFIG
from .secret import Secret
from .transport import SecureTransport
from .wire import LOOPBACK, configure

ADMIN_PORT: Final = "Admin Port"
CONVENTION_SECONDS: Final = 2.0
CONVENTION_MISSES: Final = 3


def start_system(
    capabilities: Mapping[str, object],
    *,
    admin_port: int,
    bind: str = LOOPBACK,
    secret: Secret | None = None,
    log_config: Mapping[str, Any] = LOG_CONFIG,
) -> ActorSystem:
    """Start an actor system whose processes authenticate each other.

    All of them (admin, logger, actors) end with this process, whatever ends it. The result is not
    what `ActorSystem()` without arguments gives. Call it from a process that has little to fork:
    the others inherit its memory and descriptors.

    Args:
        capabilities: Of the system; every node of the cluster can read them. "Process Startup
            Method" may be "spawn", if the secret is in the environment.
        admin_port: Where the admin listens; actors listen on any free port.
        bind: The IPv4 address of this machine to listen on and to be known by.
        secret: What the nodes share; `Secret.from_environment()` if not given.
        log_config: For `logging.config.dictConfig` in the logger's process.

    Raises:
        ConfigError: There is no secret, or a setting cannot be used.
        LifecycleError: The port is taken, the system does not come up, or this is not the main
            thread: with the end of the thread that forked them, the processes would end.
    """
    if threading.current_thread() is not threading.main_thread():
        raise LifecycleError("start_system() must be called on the main thread of the process")
    configure(secret or Secret.from_environment(), bind)
    settings = _settings(capabilities, admin_port)
    if SecureTransport.probeAdmin(SecureTransport.getAdminAddr(settings)):
        raise LifecycleError(
            f"{bind}:{admin_port} is in use: end what listens there, or choose another port"
        )
    return _open(ActorSystemBase, settings, dict(log_config))


def join_system(
    *, admin_port: int, bind: str = LOOPBACK, secret: Secret | None = None
) -> ActorSystem:
    """Connect to the actor system that runs on this machine; never starts one.

    Its `shutdown()` only leaves the system, which goes on for the others.

    Args:
        admin_port: Where its admin listens.
        bind: The address that it listens on.
        secret: What it was started with; `Secret.from_environment()` if not given.

    Raises:
        ConfigError: There is no secret, or a setting cannot be used.
        LifecycleError: No system runs there, or it has another secret.
    """
    configure(secret or Secret.from_environment(), bind)
    return _open(JoiningBase, _settings({}, admin_port), {"version": 1})


def processes_of(system: ActorSystem) -> SystemProcesses:
    """The processes of a system that this process started: for who watches over them.

    Raises:
        LifecycleError: It was not started here, or is closed.
    """
    return _base_of(system).processes()


def kill_system(system: ActorSystem) -> None:
    """End all processes of a system that this process started, at once and without a word."""
    _base_of(system).kill()


def _base_of(system: ActorSystem) -> ActorSystemBase:
    base: object = system._systemBase
    if not isinstance(base, ActorSystemBase):
        raise LifecycleError("not an actor system of start_system(), or closed")
    return base


def _settings(capabilities: Mapping[str, object], admin_port: int) -> dict[str, object]:
    if not isinstance(admin_port, int) or not 0 < admin_port < 1 << 16:
        raise ConfigError(f"admin_port: expected a number from 1 to 65535, got {admin_port!r}")
    return {**capabilities, ADMIN_PORT: admin_port}


def _open(
    base: type[ActorSystemBase], settings: dict[str, object], log_config: dict[str, Any]
) -> ActorSystem:
    holder: Any = SimpleNamespace(capabilities=settings)
    try:
        started = base(holder, log_config)
    except InvalidActorAddress:
        raise LifecycleError(
            f"what listens on port {settings[ADMIN_PORT]} does not answer as an actor system with "
            "this secret does: check both"
        ) from None
    return ActorSystem(started, settings, transientUnique=True)


def hurry_convention(seconds: float = CONVENTION_SECONDS, misses: int = CONVENTION_MISSES) -> None:
    """Have nodes meet again within seconds after one was started anew, not within 22 minutes.

    For this process and those forked from it; before `start_system`.

    Args:
        seconds: Between two registrations with the node that introduces.
        misses: So many may be missed until that node forgets another.
    """
    convention.CONVENTION_REREGISTRATION_PERIOD = timedelta(seconds=seconds)
    convention.CONVENTION_RESTART_PERIOD = timedelta(seconds=seconds)
    convention.CONVENTION_REGISTRATION_MISS_MAX = misses
