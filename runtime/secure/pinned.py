"""The one version of Thespian that this package changes from within, and a check that it is that.

The package replaces methods of Thespian's TCP transport, which Thespian may change at any time. So
nothing here runs on another version, or on sources that somebody has edited.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from types import ModuleType
from typing import Final, cast

from ...errors import ConfigError

TESTED_VERSIONS: Final = ("4.0.1",)

# SHA-256 of the sources that this package changes or relies on, as released
SOURCES: Final = {
    "thespian.system.transport.TCPTransport": (
        "303b9a9b3871ca949f70c5f57654fc8147e44f8d0e9981c55902a1b0f16a2c59"
    ),
    "thespian.system.transport.asyncTransportBase": (
        "67ed9591a1703beae2178b78034046858d91aef6d29172cb1a1b0b68b7054062"
    ),
    "thespian.system.transport.IPBase": (
        "ff75cc8eb35019a3783b9ee3d8e8720c9fe4d6a6c3219fef7e1934b85c359a69"
    ),
    "thespian.system.multiprocCommon": (
        "fe2c4c348eac187d6cc7dabe0eff23dca276a2822e51b41d07e0c954c9e5efee"
    ),
    "thespian.system.logdirector": (
        "d756ac5d9496a848f2715b69ed517eeec893e40619ea9ae720dfb7cd91d5b90e"
    ),
}


def check_version(installed: str) -> None:
    """Refuse a version that was not tested.

    Raises:
        ConfigError: Says which version works, and how to get it.
    """
    if installed not in TESTED_VERSIONS:
        works = TESTED_VERSIONS[-1]
        raise ConfigError(
            f"nodes need Thespian {works}, and {installed} is installed: "
            f"run `pip install thespian=={works}`"
        )


def check_source(module: str, source: bytes) -> None:
    """Refuse a source that is not the released one.

    Raises:
        ConfigError: Says which module it is, and how to get the released one.
    """
    if hashlib.sha256(source).hexdigest() != SOURCES[module]:
        works = TESTED_VERSIONS[-1]
        raise ConfigError(
            f"{module} is not what Thespian {works} was released with: "
            f"run `pip install --force-reinstall thespian=={works}`"
        )


def check_installed() -> None:
    """Refuse to run on anything but the Thespian that was tested.

    Raises:
        ConfigError: It is another version, or edited.
    """
    check_version(version("thespian"))
    for module in SOURCES:
        check_source(module, _read(_find(module)))


def load_copy(module: str, name: str) -> ModuleType:
    """Run the source of an installed module once more, as another module.

    Its functions have globals of their own, so that what is replaced there leaves Thespian's own
    TCP base as it is.

    Args:
        module: Whose source it is.
        name: The full name of the copy, under which it goes into `sys.modules`.
    """
    spec = importlib.util.spec_from_file_location(name, _find(module).origin)
    assert spec is not None, "made from an existing file"
    assert spec.loader is not None, "made from a file that ends in .py"
    copy = importlib.util.module_from_spec(spec)
    sys.modules[name] = copy
    spec.loader.exec_module(copy)
    return copy


def _find(module: str) -> ModuleSpec:
    spec = importlib.util.find_spec(module)
    if spec is None:
        raise ConfigError(
            f"{module} is missing: run `pip install thespian=={TESTED_VERSIONS[-1]}`"
        )
    return spec


def _read(spec: ModuleSpec) -> bytes:
    loader = cast("importlib.machinery.SourceFileLoader", spec.loader)
    return loader.get_data(str(spec.origin))
