from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from greenroom.errors import ConfigError
from greenroom.replay.checks import check_outputs, check_webhook_urls


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "call.jsonl"
    path.write_text("{}\n")
    return path


def test_an_output_that_is_the_recording_is_refused(recording: Path) -> None:
    same = recording.parent / ".." / recording.parent.name / recording.name

    with pytest.raises(ConfigError, match="FILE and --metrics-out are the same file"):
        check_outputs(recording, {"--analytics-out": None, "--metrics-out": same})


@pytest.mark.parametrize("make_link", [Path.symlink_to, Path.hardlink_to])
def test_a_link_to_the_recording_is_refused_as_output(
    recording: Path, make_link: Callable[[Path, Path], None]
) -> None:
    linked = recording.parent / "linked"
    make_link(linked, recording)

    with pytest.raises(ConfigError, match="FILE and --plot are the same file"):
        check_outputs(recording, {"--plot": linked})


def test_two_outputs_that_are_the_same_new_file_are_refused(
    recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(recording.parent)
    outputs = {"--analytics-out": Path("out"), "--metrics-out": recording.parent / "out"}

    with pytest.raises(ConfigError, match="--analytics-out and --metrics-out are the same file"):
        check_outputs(recording, outputs)


def test_outputs_may_all_be_thrown_away(recording: Path) -> None:
    null = Path(os.devnull)

    check_outputs(recording, {"--analytics-out": null, "--metrics-out": null})


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks",
        "/hooks",
        "localhost:8080",
        "ftp://host/",
        "http://",
        "http:///hooks",
        "http://[",
    ],
)
def test_a_webhook_url_that_is_not_http_with_a_host_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^--webhook-url: expected http:// or https://"):
        check_webhook_urls(["http://127.0.0.1/", url])


def test_webhook_urls_of_http_and_https_are_taken() -> None:
    check_webhook_urls(["http://127.0.0.1:9/", "https://example.com/hooks?a=b"])
