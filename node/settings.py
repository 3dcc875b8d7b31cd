"""What a node is made with."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..config import Settings, check_count, check_number
from ..errors import ConfigError
from ..link.address import SUFFIX, Address
from ..runtime.secure.secret import Secret

ADMIN_PORT: Final = 7881
HTTP_PORT: Final = 7880
DRAIN_SECONDS: Final = 20.0  # systemd and Kubernetes kill after 90 and 30 s
SHARDS_MAX: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """Everything about a node.

    Args:
        directory: Of this user alone; the shards' Unix sockets are in it.
        listen: Where clients of other machines are let in: `tcp://` or `tls://`.
        shards: Processes that share the rooms.
        admin_port: Where Thespian's admin listens.
        bind: The IPv4 address that other nodes know this one by.
        join: `host:port` of the admins that introduce nodes to each other, the same list on all
            of them; none: this node introduces those who name it.
        http: Host and port of `/healthz` and `/metrics`; None: nowhere. Port 0 takes a free one.
        secret: What the nodes, and clients of other machines, share.
        tls: Certificate and key for `tls://`.
        drain_seconds: How long a node that is told to end may take to hand over.
        data_dir: Each shard keeps its part in `shard-N` of it; None: all is in memory.
        analytics_dir: Each shard writes its analytics to `shard-N.jsonl` there; None: nowhere.
        greenroom: Of each shard.
    """

    directory: Path
    listen: tuple[Address, ...] = ()
    shards: int = 1
    admin_port: int = ADMIN_PORT
    bind: str = "127.0.0.1"
    join: tuple[str, ...] = ()
    http: tuple[str, int] | None = ("127.0.0.1", HTTP_PORT)
    secret: Secret
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    drain_seconds: float = DRAIN_SECONDS
    data_dir: Path | None = None
    analytics_dir: Path | None = None
    greenroom: Settings = field(default_factory=Settings)

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name."""
        check_count("shards", self.shards)
        if self.shards > SHARDS_MAX:
            raise ConfigError(f"shards: at most {SHARDS_MAX}, got {self.shards}")
        check_number("drain_seconds", self.drain_seconds, least=0)
        for address in self.listen:
            if address.kind == "unix":
                raise ConfigError(f"listen: {address}: a node has Unix sockets in one directory")
            if address.kind == "tls" and self.tls is None:
                raise ConfigError(f"listen: {address}: set tls_cert and tls_key")

    def socket_path(self, shard: int) -> Path:
        """Where a shard listens."""
        return self.directory / f"shard-{shard}{SUFFIX}"

    def shard_dir(self, shard: int) -> Path | None:
        """Where a shard keeps what is to last."""
        return None if self.data_dir is None else self.data_dir / f"shard-{shard}"
