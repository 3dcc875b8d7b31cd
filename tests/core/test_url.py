from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from greenroom.config import hide_password
from greenroom.core.url import check_url, post_error, quoted
from greenroom.errors import TransportError


# what Go 1.26.8's net/url and net/http say of them
@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://127.0.0.1 bad/", 'invalid character " " in host name'),
        ("127.0.0.1:80/x", "first path segment in URL cannot contain colon"),
        ("1http://x", "first path segment in URL cannot contain colon"),
        ("ht tp://x", "first path segment in URL cannot contain colon"),
        (" http://h/", "first path segment in URL cannot contain colon"),
        ("http://h:abc/", 'invalid port ":abc" after host'),
        ("http://h:80 /", 'invalid port ":80 " after host'),
        ("http://[::1/", "missing ']' in host"),
        ("http://[x]/", 'invalid host: ParseAddr("x"): unable to parse IP'),
        ("http://h[/", "invalid IP-literal"),
        ("http://[fe80::1%en0]/", 'invalid URL escape "%en"'),
        ("http://a%zz@h/", 'invalid URL escape "%zz"'),
        ("http://h/%zz", 'invalid URL escape "%zz"'),
        ("http://h/%", 'invalid URL escape "%"'),
        ("http://h/#%zz", 'invalid URL escape "%zz"'),
        ("http://h%41/", 'invalid URL escape "%41"'),
        ("http://h\x01/", "net/url: invalid control character in URL"),
        ("http://h/\n", "net/url: invalid control character in URL"),
        ("://x", "missing protocol scheme"),
        ("http://us er@h/", "net/url: invalid userinfo"),
        ("http://h{/", 'invalid character "{" in host name'),
        ("http://h\\/", 'invalid character "\\\\" in host name'),
    ],
)
def test_a_url_that_does_not_parse_is_never_tried(url: str, problem: str) -> None:
    with pytest.raises(TransportError) as caught:
        check_url(url)

    assert caught.value.reason == f"parse {quoted(url)}: {problem}"
    assert not caught.value.sent
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", 'unsupported protocol scheme ""'),
        ("/x", 'unsupported protocol scheme ""'),
        ("*", 'unsupported protocol scheme ""'),
        ("http", 'unsupported protocol scheme ""'),
        ("//h/x", 'unsupported protocol scheme ""'),
        ("example.com/x", 'unsupported protocol scheme ""'),
        ("ftp://127.0.0.1/x", 'unsupported protocol scheme "ftp"'),
        ("mailto:a@b", 'unsupported protocol scheme "mailto"'),
        ("unix:///x", 'unsupported protocol scheme "unix"'),
        ("http:///x", "http: no Host in request URL"),
        ("http:foo", "http: no Host in request URL"),
        ("http:", "http: no Host in request URL"),
        ("http://:80/x", "http: no Host in request URL"),  # Go would dial this machine
        ("http://h:99999/x", "dial tcp: address 99999: invalid port"),
    ],
)
def test_a_url_that_cannot_be_asked_fails_its_first_attempt(url: str, problem: str) -> None:
    with pytest.raises(TransportError) as caught:
        check_url(url)

    assert caught.value.reason == f"Post {quoted(url)}: {problem}"
    assert caught.value.sent
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "url",
    [
        "http://h",
        "HTTPS://h:443/x?q=a b#f",
        "http://h:/x",
        "http://h?x",
        "http://[::1]:8/x",
        "http://[fe80::1%25en0]/",
        "http://a:b@h/",
        "http://a@b@h/",
        "http://u:p%20w@h/x",
        "http://h/é",
        "http://hé/",
        "http://h/x?%zz",
    ],
)
def test_what_go_would_try_is_tried(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://user:pw@127.0.0.1:8/hook", "http://user:xxxxx@127.0.0.1:8/hook"),
        ("http://user:@h/", "http://user:xxxxx@h/"),
        ("http://:pw@h/", "http://:xxxxx@h/"),
        ("http://user:p:w@x@h/", "http://user:xxxxx@h/"),
        ("//user:pw@h/", "//user:xxxxx@h/"),
        ("http://user@h/", "http://user@h/"),
        ("http://h:80/a@b", "http://h:80/a@b"),
        ("http://h/?a:b@c", "http://h/?a:b@c"),
        ("", ""),
    ],
)
def test_only_the_password_is_hidden(url: str, shown: str) -> None:
    assert hide_password(url) == shown


@given(st.from_regex(r"[A-Za-z0-9:@%\[\] ]{0,12}", fullmatch=True))
@example("%zz")
def test_no_error_shows_a_password(noise: str) -> None:
    password = "correct-horse"

    for credentials in (f"{noise}{password}", f"{password}{noise}"):
        url = f"http://user:{credentials}@host{noise}/"
        try:
            check_url(url)
            text = post_error(url, "EOF")
        except TransportError as error:
            text = error.reason

        assert password not in text


def test_a_password_with_a_slash_is_not_shown_though_it_looks_like_a_port() -> None:
    with pytest.raises(TransportError) as caught:
        check_url("http://user:correct/horse@host/")

    shown = 'parse "http://user:xxxxx@host/": net/url: invalid userinfo'
    assert caught.value.reason == shown
