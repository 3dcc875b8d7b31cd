from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from greenroom.errors import ConfigError
from greenroom.node.options import SECRET_NAME, NodeOptions, node_settings
from greenroom.runtime.secure.secret import FILE_VARIABLE, VARIABLE

LIVEKIT = """
port: 7880
rtc:
  udp_port: 7882
keys:
  APIkey: a-secret-of-at-least-thirty-two-bytes
webhook:
  api_key: APIkey
  urls: [https://example.com/hook]
  filter_params:
    exclude_events: [track_published]
greenroom:
  disk_sync: normal
  flush_interval_seconds: 2
"""


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NodeOptions:
    for name in (FILE_VARIABLE, VARIABLE):
        monkeypatch.delenv(name, raising=False)
    return NodeOptions(
        config=None,
        listen=(f"unix:{tmp_path}/run",),
        shards=2,
        analytics_dir=None,
        data_dir=None,
        http="127.0.0.1:0",
        admin_port=7881,
        bind="127.0.0.1",
        join=(),
        node_id="one",
        tls_cert=None,
        tls_key=None,
        drain_seconds=5.0,
    )


def with_config(options: NodeOptions, tmp_path: Path, text: str) -> NodeOptions:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    return replace(options, config=path)


def test_livekits_own_file_gives_keys_and_webhooks_and_the_rest_is_passed_over(
    options: NodeOptions, tmp_path: Path
) -> None:
    settings = node_settings(with_config(options, tmp_path, LIVEKIT)).greenroom

    assert settings.node_id == "one"
    assert settings.webhook.urls == ("https://example.com/hook",)
    assert settings.webhook.api_key == "APIkey"
    assert settings.webhook.keys["APIkey"] == "a-secret-of-at-least-thirty-two-bytes"
    assert settings.webhook.exclude_events == ("track_published",)
    assert (settings.disk_sync, settings.flush_interval_seconds) == ("normal", 2)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("[1, 2]", "config"),
        ("a: [", "config"),
        ("\x00", "config"),
        ("keys: [a]", "webhook.keys"),
        ("keys: {1: a}", "webhook.keys"),
        ("keys: {a: 1}", "webhook.keys"),
        ("webhook: 3", "webhook"),
        ("webhook: {url: http://a}", "webhook.url"),
        ("webhook: {urls: http://a}", "webhook.urls"),
        ("webhook: {urls: [1]}", "webhook.urls"),
        ("webhook: {urls: [http://a]}", "webhook.api_key"),
        ("webhook: {policy: fast}", "webhook.policy"),
        ("webhook: {allow_private: 3}", "webhook.allow_private"),
        ("webhook: {filter_params: 3}", "webhook.filter_params"),
        ("webhook: {filter_params: {events: []}}", "webhook.filter_params"),
        ("webhook: {filter_params: {include_events: track}}", "webhook.include_events"),
        ("webhook: {1: 2}", "webhook.1"),
        ("greenroom: [1]", "greenroom"),
        ("greenroom: {shard: 3}", "greenroom.shard"),
        ("greenroom: {capacity: many}", "capacity"),
        ("greenroom: {durability: none}", "durability"),
        ("greenroom: {flush_interval_seconds: -1}", "flush_interval_seconds"),
    ],
)
def test_a_mistake_in_the_file_is_told_by_its_name(
    options: NodeOptions, tmp_path: Path, text: str, name: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        node_settings(with_config(options, tmp_path, text))

    assert name in str(caught.value).partition(":")[0]


@pytest.mark.parametrize("text", ["", "---", "keys:", "webhook:\ngreenroom:\n", "rtc: {}"])
def test_empty_files_and_sections_are_as_none(
    options: NodeOptions, tmp_path: Path, text: str
) -> None:
    read = node_settings(with_config(options, tmp_path, text))

    assert read.greenroom == node_settings(options).greenroom


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"shards": 0}, "shards"),
        ({"shards": 65}, "shards"),
        ({"drain_seconds": -1.0}, "drain_seconds"),
        ({"http": "7880"}, "http"),
        ({"http": "host:many"}, "http"),
        ({"http": "host:70000"}, "http"),
        ({"join": ("",)}, "join"),
        ({"join": ("nowhere.invalid:1",)}, "join"),
        ({"join": ("localhost",)}, "join"),
        ({"listen": ("unix:/a", "unix:/b")}, "listen"),
        ({"listen": ("ftp://a:1",)}, "listen"),
        ({"tls_key": Path("key.pem")}, "tls_cert"),
        ({"tls_cert": Path("/nowhere/cert.pem")}, "tls_cert"),
        ({"config": Path("/nowhere/livekit.yaml")}, "config"),
        ({"node_id": "a\nb"}, "node_id"),
    ],
)
def test_a_wrong_option_is_told_by_its_name(
    options: NodeOptions, changed: dict[str, object], name: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        node_settings(replace(options, **changed))  # type: ignore[arg-type]

    assert str(caught.value).startswith(name)


def test_a_node_of_this_machine_alone_makes_its_own_secret_and_keeps_it(
    options: NodeOptions, tmp_path: Path
) -> None:
    node_settings(options)
    path = tmp_path / "run" / SECRET_NAME
    first = path.read_bytes()
    node_settings(options)

    assert path.read_bytes() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "changed",
    [{"bind": "0.0.0.0"}, {"listen": ("tcp://127.0.0.1:7000",)}],
)
def test_whoever_others_can_reach_needs_a_secret_that_they_share(
    options: NodeOptions, changed: dict[str, object]
) -> None:
    with pytest.raises(ConfigError, match=FILE_VARIABLE):
        node_settings(replace(options, **changed))  # type: ignore[arg-type]


def test_no_http_is_no_http_and_a_name_to_join_becomes_an_address(options: NodeOptions) -> None:
    settings = node_settings(replace(options, http="", join=("localhost:7881",)))

    assert settings.http is None
    assert settings.join == ("127.0.0.1:7881",)
