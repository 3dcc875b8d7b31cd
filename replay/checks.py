"""What would fail late, or destroy something, is refused before anything is opened."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path

from ..core.url import check_url
from ..errors import ConfigError, TransportError


def check_outputs(recording: Path, outputs: Mapping[str, Path | None]) -> None:
    """Make sure that every output has a folder, and a file of its own.

    Args:
        recording: What is read, and so must not be written to.
        outputs: Where to write, by option; None: that is not asked for.

    Raises:
        ConfigError: A folder is missing, or two options name the same file.
    """
    wanted = {option: path for option, path in outputs.items() if path is not None}
    for option, path in wanted.items():
        if not path.absolute().parent.is_dir():
            raise ConfigError(f"{option}: no folder {path.parent}; make it first")
    named = {"FILE": recording, **wanted}
    for (option, path), (other_option, other_path) in combinations(named.items(), 2):
        if _is_same_file(path, other_path):
            raise ConfigError(
                f"{option} and {other_option} are the same file, {other_path}; "
                "give each one of its own"
            )


def check_webhook_urls(urls: Iterable[str]) -> None:
    """Make sure that webhooks can be sent to each of them.

    Raises:
        ConfigError: One is no URL, has no host, or is not of http or https.
    """
    for url in urls:
        try:
            check_url(url)
        except TransportError as error:
            raise ConfigError(
                f"--webhook-url: expected http:// or https:// with a host; {error}"
            ) from error


def _is_same_file(one: Path, other: Path) -> bool:
    if one.exists() and other.exists():
        # nothing is lost when two write to /dev/null or a terminal
        return one.samefile(other) and not one.is_char_device()
    return os.path.realpath(one) == os.path.realpath(other)
