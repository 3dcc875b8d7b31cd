"""Where a node's link is: a Unix socket, or TCP with or without TLS."""

from __future__ import annotations

import ipaddress
import os
import socket
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from ..errors import ConfigError

DIRECTORY: Final = "greenroom"
SUFFIX: Final = ".sock"
_PATH_MAX: Final = 100  # of sockaddr_un's 108 bytes, some for `shard-NN.sock`
_FORMS: Final = "expected a path, unix:/PATH, tcp://HOST:PORT (loopback) or tls://HOST:PORT"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen, or to connect.

    Args:
        kind: "unix", "tcp" (loopback only) or "tls".
        path: Of a Unix socket, or of a directory with sockets of several shards.
        host: Name or IP address, for the other kinds.
        port: 1 to 65535, for the other kinds; 0 to listen at any free one.
    """

    kind: Literal["unix", "tcp", "tls"]
    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        if self.kind == "unix":
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind}://{host}:{self.port}"

    @classmethod
    def parse(cls, text: str, name: str = "address") -> Self:
        """Read `unix:/path`, a path, `tcp://127.0.0.1:7800` or `tls://node:7800`.

        Raises:
            ConfigError: It is of another form, or would go over a network without TLS.
        """
        if not isinstance(text, str):
            raise ConfigError(f"{name}: {_FORMS}, got {text!r}")
        if text.startswith("unix:") or "://" not in text:
            path = text.removeprefix("unix:")
            if not path.startswith("/") or len(os.fsencode(path)) > _PATH_MAX or "\0" in path:
                raise ConfigError(
                    f"{name}: expected an absolute path of at most {_PATH_MAX} bytes, got {path!r}"
                )
            return cls("unix", path=path)
        kind, host, port = _split(text)
        if kind not in ("tcp", "tls") or not host or port is None:
            raise ConfigError(f"{name}: {_FORMS}, got {text!r}")
        if kind == "tcp" and not _is_loopback(host):
            raise ConfigError(f"{name}: {text} goes over a network without TLS: use tls://")
        return cls("tls" if kind == "tls" else "tcp", host=host, port=port)

    def sockets(self) -> list[str]:
        """The Unix sockets that are meant: the one, or those in the directory."""
        path = Path(self.path)
        if not path.is_dir():
            return [self.path]
        return sorted(str(entry) for entry in path.iterdir() if entry.suffix == SUFFIX)


def _split(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of a URL that has nothing else; no port where it is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")  # what cannot be a name is found here, not when it is looked up
    except ValueError:
        return "", "", None
    if parts.username is not None or parts.path.strip("/") or parts.query or parts.fragment:
        return "", "", None
    return parts.scheme, host, port


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_answered(path: str) -> bool:
    """Whether somebody listens at a Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)  # noqa: FBT003  # the standard library's form
        try:
            sock.connect(path)
        except BlockingIOError:
            return True  # so many wait that there is no room
        except OSError:
            return False
    return True


def default_address(environ: os._Environ[str] | dict[str, str] = os.environ) -> str:
    """Where this user's node is: `GREENROOM_ADDRESS`, else a directory of the user's own.

    That is `greenroom` in `XDG_RUNTIME_DIR`, or `greenroom-UID` in the directory for temporary
    files.
    """
    if given := environ.get("GREENROOM_ADDRESS"):
        return given
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        return str(Path(runtime, DIRECTORY))
    return str(Path(tempfile.gettempdir(), f"{DIRECTORY}-{os.getuid()}"))


def check_directory(path: Path, name: str = "address") -> None:
    """Refuse a directory that others than its owner, who is this user or root, can write to.

    Raises:
        ConfigError: Somebody else could put a socket there.
    """
    seen = path.stat()
    if seen.st_uid not in (os.getuid(), 0) or seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigError(
            f"{name}: {path} belongs to another user or can be written by others; "
            f"remove it, or choose another with GREENROOM_ADDRESS"
        )
