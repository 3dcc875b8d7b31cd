"""What we sign, judged by JavaScript libraries of receivers; `make node` installs them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import pytest
from livekit.protocol.models import Room
from livekit.protocol.webhook import WebhookEvent

from greenroom.core.signatures import SigningKey, build_signed_headers
from greenroom.core.webhook import encode_body

HERE: Final = Path(__file__).resolve().parent
OLD: Final = SigningKey("APIold", "sécret-sécret-sécret-sécret-0123456789")
NEW: Final = SigningKey("APInew", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
EVENT: Final = WebhookEvent(event="room_started", room=Room(name="日本語"), id="EV_1")
BODY: Final = encode_body(EVENT)

Judge: TypeAlias = Callable[[dict[str, str], bytes, SigningKey], dict[str, str]]


@pytest.fixture(scope="module")
def node() -> str:
    node = shutil.which("node", path=Path(sys.executable).parent) or shutil.which("node")
    if node is None or not (HERE / "node_modules").is_dir():
        # a laptop may do without; where it is decided what is good, nothing is left out
        is_needed = os.environ.get("CI") and not os.environ.get("GREENROOM_WITHOUT_NODE")
        (pytest.fail if is_needed else pytest.skip)("run `make node` first")
    return node


def run_node(node: str, arguments: list[str], given: object) -> Any:
    done = subprocess.run(
        [node, *arguments],
        cwd=HERE,
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def judge(node: str) -> Judge:
    def run(headers: dict[str, str], body: bytes, key: SigningKey) -> dict[str, str]:
        case = {
            "headers": headers,
            "body": body.decode(),
            "apiKey": key.api_key,
            "secret": key.secret,
        }
        return cast(dict[str, str], run_node(node, ["receive.mjs"], case))

    return run


def headers_of(*keys: SigningKey, late_s: int = 0) -> dict[str, str]:
    now_s = int(time.time()) - late_s  # the libraries read the real clock
    return dict(build_signed_headers(BODY, "EV_1", 1, "日本語", keys, now_s))


@pytest.mark.parametrize("key", [OLD, NEW], ids=["plain secret", "whsec_ secret"])
def test_both_libraries_accept_what_we_sign(judge: Judge, key: SigningKey) -> None:
    assert judge(headers_of(key), BODY, key) == {"livekit": "EV_1", "standard": "EV_1"}


def test_while_keys_are_exchanged_the_old_one_is_still_accepted(judge: Judge) -> None:
    verdict = judge(headers_of(NEW, OLD), BODY, OLD)

    assert verdict["standard"] == "EV_1"


def test_both_refuse_a_changed_body_and_what_is_too_old(judge: Judge) -> None:
    for headers, body in [
        (headers_of(OLD), BODY.replace(b"EV_1", b"EV_2")),
        (headers_of(OLD, late_s=400), BODY),
    ]:
        verdict = judge(headers, body, OLD)

        assert verdict["livekit"].startswith("refused")
        assert verdict["standard"].startswith("refused")


@pytest.mark.parametrize("key", [OLD, NEW], ids=["plain secret", "whsec_ secret"])
def test_the_documents_code_for_node_receives_what_we_sign(node: str, key: SigningKey) -> None:
    document = (HERE.parents[1] / "docs" / "webhooks-receiving.md").read_text("utf-8")
    (code,) = re.findall(r"```js\n(.*?)```", document, re.DOTALL)
    pairs = build_signed_headers(BODY, "EV_1", 7, "日 本", [key], int(time.time()), endpoint="a/b")
    given = [
        {name.lower(): value for name, value in pairs},
        BODY.decode(),
        key.api_key,
        key.secret,
    ]

    answer = run_node(node, ["--input-type=module", "--eval", code + USE], given)

    assert answer == ["EV_1", "EV_1", {"sequence": 7, "endpoint": "a/b", "key": "日 本"}, True]


USE: Final = """
import { readFileSync } from "node:fs";
const [headers, body, apiKey, secret] = JSON.parse(readFileSync(0, "utf8"));
const answer = [
  (await receiveLikeLiveKit(headers, body, apiKey, secret)).id,
  receiveStandard(headers, body, secret).id,
  readSequence(headers, secret),
];
try {
  readSequence({ ...headers, "greenroom-sequence": "8" }, secret);
} catch {
  answer.push(true);
}
console.log(JSON.stringify(answer));
"""
