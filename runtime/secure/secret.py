"""The secret that the nodes of one cluster share.

It comes from a file or from the environment, so never from a command line, and goes nowhere: not
into a log, a `repr()`, a pickle or the capabilities of an actor system.
"""

from __future__ import annotations

import hmac
import os
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from ...errors import ConfigError

FILE_VARIABLE: Final = "GREENROOM_SECRET_FILE"
VARIABLE: Final = "GREENROOM_SECRET"
CREDENTIALS_VARIABLE: Final = "CREDENTIALS_DIRECTORY"  # systemd.exec(5), LoadCredential=
LEAST_BYTES: Final = 32  # as long as the digest: RFC 2104, section 3
MOST_BYTES: Final = 4096  # whoever names a larger file has named the wrong one
MADE_BYTES: Final = 32  # random ones, in a file that greenroom makes

HOW_TO: Final = (
    f"make one with `(umask 077; openssl rand -hex 32 > greenroom.secret)` and name it by "
    f"{FILE_VARIABLE}"
)


class Secret:
    """At least 32 bytes that only the nodes of one cluster know.

    Args:
        value: The bytes; blanks and line ends around them do not count.
        source: Where they are from, for error messages.

    Raises:
        ConfigError: It is too short, or too long to be meant.
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes, source: str = "the secret") -> None:
        self._value = value.strip()
        if not LEAST_BYTES <= len(self._value) <= MOST_BYTES:
            raise ConfigError(
                f"{source}: must have {LEAST_BYTES} to {MOST_BYTES} bytes, "
                f"has {len(self._value)}: {HOW_TO}"
            )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Secret:
        """Read the file that GREENROOM_SECRET_FILE names, or else GREENROOM_SECRET.

        Raises:
            ConfigError: Both or none are set, or the secret cannot be used; says what to do.
        """
        path, text = environ.get(FILE_VARIABLE), environ.get(VARIABLE)
        if path and text:
            raise ConfigError(f"{FILE_VARIABLE} and {VARIABLE} are both set: unset one of them")
        if path:
            held = environ.get(CREDENTIALS_VARIABLE)
            return cls.from_file(Path(path), is_credential=str(Path(path).parent) == held)
        if text:
            return cls(os.fsencode(text), VARIABLE)
        raise ConfigError(f"{FILE_VARIABLE}: not set, and a node needs a secret: {HOW_TO}")

    @classmethod
    def from_file(cls, path: Path, *, is_credential: bool = False) -> Secret:
        """Read a file that nobody but its owner may read or write.

        Args:
            path: Of the file.
            is_credential: Whether it is in systemd's directory for this service: others cannot
                get there, and its own user's right to read is an ACL, which shows as the group's.

        Raises:
            ConfigError: There is no such file, others may read it, or it holds no secret.
        """
        where = f"secret file {path}"
        try:
            # O_NONBLOCK: a named pipe must not hold the start up
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        except OSError as error:
            raise ConfigError(f"{where}: {error.strerror}: {HOW_TO}") from None
        try:
            _check_privacy(os.fstat(descriptor), path, is_credential=is_credential)
            return cls(os.read(descriptor, MOST_BYTES + 1), where)
        finally:
            os.close(descriptor)

    def derive(self, purpose: bytes) -> bytes:
        """A key of 32 bytes for one purpose; from it nobody learns those for others.

        Args:
            purpose: Names the protocol and its version.
        """
        return hmac.digest(self._value, purpose, "sha256")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]  # nothing to look up by

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret does not travel")


def _check_privacy(status: os.stat_result, path: Path, *, is_credential: bool) -> None:
    where = f"secret file {path}"
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"{where}: is not a regular file: {HOW_TO}")
    if os.name != "posix":
        return  # there the mode says nothing about who may read
    allowed = stat.S_IRGRP if is_credential else 0
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO) & ~allowed:
        mode = stat.S_IMODE(status.st_mode)
        raise ConfigError(
            f"{where}: others than its owner may use it (mode {mode:04o}): run `chmod 600 {path}`"
        )
    if status.st_uid not in (0, os.geteuid()):
        raise ConfigError(
            f"{where}: belongs to user {status.st_uid}, and this process is user "
            f"{os.geteuid()}: give the file to whom the node runs as"
        )


def make_secret_file(path: Path) -> Path:
    """Make a file with a random secret, for a node on loopback that was given none.

    Atomic: others see the whole file or none, and of several makers one wins. A file that is
    already there stays as it is.

    Returns:
        The path, for GREENROOM_SECRET_FILE or `Secret.from_file`.

    Raises:
        ConfigError: It cannot be made, or a file is there that holds no usable secret.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with open(os.open(draft, flags, 0o600), "w", encoding="ascii") as file:
            file.write(f"{secrets.token_hex(MADE_BYTES)}\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)  # unlike rename(), never replaces what is there
    except OSError as error:
        raise ConfigError(
            f"secret file {path}: cannot be made: {error.strerror}: choose a directory that the "
            f"node may write, or {HOW_TO}"
        ) from None
    finally:
        draft.unlink(missing_ok=True)
    Secret.from_file(path)
    return path
