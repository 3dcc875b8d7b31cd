"""From what a command line and a configuration file say to `NodeSettings`."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from ..config import Settings, WebhookSettings
from ..errors import ConfigError
from ..link.address import Address, default_address
from ..runtime.secure.secret import FILE_VARIABLE, HOW_TO, VARIABLE, Secret, make_secret_file
from .settings import NodeSettings

SECRET_NAME: Final = "node.secret"
_SECTIONS: Final = {"keys", "webhook", "greenroom"}
_WEBHOOK: Final = {"urls", "api_key", "filter_params", "policy", "allow_private"}
_GREENROOM: Final = {
    *("flush_interval_seconds", "close_wait_seconds", "capacity"),
    *("durability", "disk_sync"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """What `greenroom serve` was told; see its help."""

    config: Path | None
    listen: tuple[str, ...]
    shards: int
    data_dir: Path | None
    analytics_dir: Path | None
    http: str
    admin_port: int
    bind: str
    join: tuple[str, ...]
    node_id: str
    tls_cert: Path | None
    tls_key: Path | None
    drain_seconds: float


def node_settings(options: NodeOptions) -> NodeSettings:
    """The settings that the options mean.

    Raises:
        ConfigError: One of them is wrong, by its name.
    """
    addresses = [Address.parse(text, "listen") for text in options.listen]
    directories = [each for each in addresses if each.kind == "unix"]
    if len(directories) > 1:
        raise ConfigError("listen: one directory for Unix sockets, or none")
    directory = Path(directories[0].path if directories else _default_directory())
    listen = tuple(each for each in addresses if each.kind != "unix")
    return NodeSettings(
        directory=directory,
        listen=listen,
        shards=options.shards,
        admin_port=options.admin_port or _free_port(options.bind),
        bind=options.bind,
        join=tuple(_admin(text) for text in options.join),
        http=_host_and_port(options.http),
        secret=_secret(directory, listen, options.bind),
        tls=_tls(options.tls_cert, options.tls_key),
        drain_seconds=options.drain_seconds,
        data_dir=_directory(options.data_dir, "data_dir"),
        analytics_dir=_directory(options.analytics_dir, "analytics_dir"),
        greenroom=_greenroom(options),
    )


def _default_directory() -> str:
    return Address.parse(default_address(), "GREENROOM_ADDRESS").path or "."


def _secret(directory: Path, listen: tuple[Address, ...], bind: str) -> Secret:
    """The one of the environment; a node that only this machine reaches makes its own."""
    if os.environ.get(FILE_VARIABLE) or os.environ.get(VARIABLE):
        return Secret.from_environment()
    if listen or not bind.startswith("127."):
        what = f"listen: {listen[0]}" if listen else f"bind: {bind}"
        raise ConfigError(f"{what} is for others than this user, so it takes a secret: {HOW_TO}")
    path = directory / SECRET_NAME
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Secret.from_file(path if path.exists() else make_secret_file(path))
    except OSError as error:
        raise ConfigError(f"listen: {directory}: {error.strerror}") from error


def _directory(path: Path | None, name: str) -> Path | None:
    """That directory, made if it is not there: better refused now than by each shard."""
    if path is None:
        return None
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{name}: {path}: {error.strerror}") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigError(f"{name}: {path}: this user may not write there")
    return path.absolute()


def _host_and_port(text: str, name: str = "http") -> tuple[str, int] | None:
    if not text:
        return None
    try:
        parts = urlsplit(f"//{text}")
        if parts.hostname is not None and parts.port is not None:
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise ConfigError(f"{name}: expected HOST:PORT, got {text!r}")


def _free_port(host: str) -> int:
    try:
        with socket.create_server((host, 0)) as sock:
            port: int = sock.getsockname()[1]
            return port
    except OSError as error:
        raise ConfigError(f"bind: {host}: {error.strerror}") from error


def _admin(text: str) -> str:
    """`host:port` with the host's IPv4 address, as Thespian wants it."""
    parsed = _host_and_port(text, "join")
    if parsed is None:
        raise ConfigError("join: expected HOST:PORT, got nothing")
    host, port = parsed
    try:
        return f"{socket.gethostbyname(host)}:{port}"
    except OSError as error:
        raise ConfigError(f"join: {text}: {error.strerror}") from error


def _tls(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if cert is None and key is None:
        return None
    if cert is None:
        raise ConfigError("tls_cert: tls_key needs it")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"tls_cert: {cert}: {error}") from error
    return context


def _greenroom(options: NodeOptions) -> Settings:
    read = {} if options.config is None else _read(options.config)
    webhook = _section(read, "webhook", _WEBHOOK)
    filters = webhook.pop("filter_params", None) or {}
    if not isinstance(filters, Mapping) or filters.keys() - {"include_events", "exclude_events"}:
        raise ConfigError("webhook.filter_params: include_events and exclude_events, or nothing")
    more = _section(read, "greenroom", _GREENROOM)
    return Settings(
        node_id=options.node_id or socket.gethostname(),
        webhook=WebhookSettings(keys=read.get("keys") or {}, **filters, **webhook),
        **more,
    )


def _read(path: Path) -> dict[str, Any]:
    """The file's sections; LiveKit's others are for LiveKit, and passed over.

    Raises:
        ConfigError: It is no YAML, or no mapping.
    """
    try:
        import yaml
    except ModuleNotFoundError:
        raise ConfigError("config: pip install 'greenroom[cli]' to read YAML") from None
    try:
        read = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"config: {path}: {error}") from error
    if read is None:
        return {}
    if not isinstance(read, dict):
        raise ConfigError(f"config: {path}: expected sections such as `keys:` and `webhook:`")
    return {name: value for name, value in read.items() if name in _SECTIONS}


def _section(read: Mapping[str, Any], name: str, known: set[str]) -> dict[str, Any]:
    section = read.get(name) or {}
    if not isinstance(section, Mapping):
        raise ConfigError(f"{name}: expected a section, got {section!r}")
    for key in section:
        if key not in known:
            raise ConfigError(f"{name}.{key}: unknown; there are {', '.join(sorted(known))}")
    return dict(section)
