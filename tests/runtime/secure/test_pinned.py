"""The base runs on the Thespian that it was tested with, and says so otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
from thespian.system.transport import TCPTransport

from greenroom.errors import ConfigError
from greenroom.runtime.secure.pinned import check_installed, check_source, check_version
from greenroom.runtime.secure.transport import SecureTransport


@pytest.mark.parametrize("version", ["3.10.7", "4.0.2", "4.1.0", ""])
def test_another_version_is_refused_with_what_to_install(version: str) -> None:
    with pytest.raises(ConfigError, match=r"pip install thespian==4\.0\.1"):
        check_version(version)


def test_an_edited_source_is_refused_with_what_to_install() -> None:
    source = Path(str(TCPTransport.__file__)).read_bytes()

    check_source(TCPTransport.__name__, source)
    with pytest.raises(ConfigError, match=r"--force-reinstall thespian==4\.0\.1"):
        check_source(TCPTransport.__name__, source + b"\n")


def test_the_installed_one_is_the_tested_one() -> None:
    check_installed()


def test_the_plain_base_stays_as_it_is() -> None:
    assert not issubclass(SecureTransport, TCPTransport.TCPTransport)
    buffer = vars(TCPTransport)["ReceiveBuffer"]
    assert buffer.__module__ == "thespian.system.transport.streamBuffer"
