"""The secret is where it was put, is long enough, and goes nowhere."""

from __future__ import annotations

import copy
import os
import pickle
import stat
import threading
from pathlib import Path
from typing import Final

import pytest

from greenroom.errors import ConfigError
from greenroom.runtime.secure.frames import FrameKey
from greenroom.runtime.secure.secret import Secret, make_secret_file

TEXT: Final = "0123456789abcdef0123456789abcdef"

posix_only = pytest.mark.skipif(os.name != "posix", reason="modes mean this on POSIX only")


def private_file(path: Path, text: str = TEXT, mode: int = 0o600) -> Path:
    path.write_text(text, "ascii")
    path.chmod(mode)
    return path


def test_the_environment_names_the_file_or_holds_the_secret(tmp_path: Path) -> None:
    path = private_file(tmp_path / "secret", f"{TEXT}\n")

    from_file = Secret.from_environment({"GREENROOM_SECRET_FILE": str(path)})
    from_text = Secret.from_environment({"GREENROOM_SECRET": TEXT})

    assert from_file == from_text == Secret(TEXT.encode())
    assert from_file != Secret(TEXT[::-1].encode())


@posix_only
def test_a_credential_of_systemd_may_show_its_acl_as_the_right_of_a_group(tmp_path: Path) -> None:
    path = private_file(tmp_path / "secret", mode=0o440)
    environ = {"GREENROOM_SECRET_FILE": str(path)}

    found = Secret.from_environment({**environ, "CREDENTIALS_DIRECTORY": str(tmp_path)})

    assert found == Secret(TEXT.encode())
    for elsewhere in ({}, {"CREDENTIALS_DIRECTORY": str(tmp_path / "another")}):
        with pytest.raises(ConfigError, match="mode 0440"):
            Secret.from_environment({**environ, **elsewhere})
    path.chmod(0o444)
    with pytest.raises(ConfigError, match="mode 0444"):
        Secret.from_environment({**environ, "CREDENTIALS_DIRECTORY": str(tmp_path)})


@pytest.mark.parametrize("length", [0, 31, 4097])
def test_a_secret_of_another_length_is_refused_and_not_shown(length: int) -> None:
    text = "s" * length

    with pytest.raises(ConfigError, match="GREENROOM_SECRET") as raised:
        Secret.from_environment({"GREENROOM_SECRET": text})

    assert length == 0 or text not in str(raised.value)


def test_none_and_two_are_both_refused() -> None:
    with pytest.raises(ConfigError, match=r"not set, .* openssl rand"):
        Secret.from_environment({})
    with pytest.raises(ConfigError, match="both set: unset one"):
        Secret.from_environment({"GREENROOM_SECRET": TEXT, "GREENROOM_SECRET_FILE": "secret"})


@posix_only
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644])
def test_a_file_that_others_may_use_is_refused_with_what_to_run(tmp_path: Path, mode: int) -> None:
    path = private_file(tmp_path / "secret", mode=mode)

    with pytest.raises(ConfigError, match=f"mode {mode:04o}.*chmod 600 {path}"):
        Secret.from_file(path)


@posix_only
@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_that_only_its_owner_may_use_is_taken(tmp_path: Path, mode: int) -> None:
    path = private_file(tmp_path / "secret", mode=mode)

    assert Secret.from_file(path) == Secret(TEXT.encode())


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ConfigError, match=str(path)):
            Secret.from_file(path)


@posix_only
def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path, 0o600)

    with pytest.raises(ConfigError, match="not a regular file"):
        Secret.from_file(path)


def test_a_secret_is_in_no_text_and_does_not_travel() -> None:
    secret = Secret(TEXT.encode())

    for thing in (secret, FrameKey(secret), {"a": secret}):
        assert TEXT not in repr(thing)
        assert TEXT not in str(thing)
    for send in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="does not travel"):
            send(secret)


def test_each_purpose_has_a_key_of_its_own() -> None:
    secret = Secret(TEXT.encode())

    keys = {secret.derive(b"one"), secret.derive(b"two"), TEXT.encode()}

    assert len(keys) == 3
    assert secret.derive(b"one") == Secret(TEXT.encode()).derive(b"one")


@posix_only
def test_a_file_is_made_that_only_its_owner_may_use(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = make_secret_file(tmp_path / "greenroom.secret")
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Secret.from_file(path) != Secret.from_file(make_secret_file(tmp_path / "other"))
    assert {one.name for one in tmp_path.iterdir()} == {"greenroom.secret", "other"}


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    path = private_file(tmp_path / "secret")

    assert make_secret_file(path).read_text("ascii") == TEXT


def test_several_makers_agree_on_one_secret(tmp_path: Path) -> None:
    made: list[str] = []
    together = threading.Barrier(8)

    def make() -> None:
        together.wait()
        made.append(make_secret_file(tmp_path / "secret").read_text("ascii"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(made) == 8
    assert len(set(made)) == 1


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be made: No such file"):
        make_secret_file(tmp_path / "missing" / "secret")
