"""SOCKS: the bytes of each version, and connections through a proxy that speaks them."""

from __future__ import annotations

import errno
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client import BasicAuth
from client.handshakes import ProxyFault, TargetFault
from client.socks import socks4, socks5
from tests.client.transcripts import play

if TYPE_CHECKING:
    from collections.abc import Callable

    from client.handshakes import Handshake

AUTH = BasicAuth("me", "secret")
NAME = b"\x03\x0eorigin.example"
BOUND4 = b"\0\x01\x7f\0\0\x01\x1f\x90"
BOUND6 = b"\0\x04" + bytes(18)
BOUND_NAME = b"\0\x03\x04here\0\0"

DIALOGUES = [
    pytest.param(lambda: socks4("192.0.2.7", 80), b"\4\1\0\x50\xc0\0\2\7\0", b"\0\x5a" + bytes(6), id="4"),
    pytest.param(
        lambda: socks4("192.0.2.7", 443, "me"), b"\4\1\1\xbb\xc0\0\2\7me\0", b"\4\x5a" + bytes(6), id="4-user"
    ),
    pytest.param(
        lambda: socks4("origin.example", 80, "me"),
        b"\4\1\0\x50\0\0\0\1me\0origin.example\0",
        b"\0\x5a" + bytes(6),
        id="4a",
    ),
    pytest.param(
        lambda: socks5("192.0.2.7", 80), b"\5\1\0" + b"\5\1\0\1\xc0\0\2\7\0\x50", b"\5\0" + b"\5\0" + BOUND4, id="5"
    ),
    pytest.param(
        lambda: socks5("2001:db8::1", 80),
        b"\5\1\0" + b"\5\1\0\4" + bytes.fromhex("20010db8") + bytes(11) + b"\1\0\x50",
        b"\5\0" + b"\5\0" + BOUND6,
        id="5-ipv6",
    ),
    pytest.param(
        lambda: socks5("origin.example", 65535),
        b"\5\1\0" + b"\5\1\0" + NAME + b"\xff\xff",
        b"\5\0" + b"\5\0" + BOUND_NAME,
        id="5-name",
    ),
    pytest.param(
        lambda: socks5("origin.example", 80, AUTH),
        b"\5\2\0\2" + b"\1\2me\6secret" + b"\5\1\0" + NAME + b"\0\x50",
        b"\5\2" + b"\1\0" + b"\5\0" + BOUND4,
        id="5-login",
    ),
    pytest.param(
        lambda: socks5("origin.example", 80, AUTH),
        b"\5\2\0\2" + b"\5\1\0" + NAME + b"\0\x50",
        b"\5\0" + b"\5\0" + BOUND4,
        id="5-login-not-wanted",
    ),
    pytest.param(
        lambda: socks5("192.0.2.7", 80, BasicAuth("\u00fc", "\u00df", "utf-8")),
        b"\5\2\0\2" + b"\1\2\xc3\xbc\2\xc3\x9f" + b"\5\1\0\1\xc0\0\2\7\0\x50",
        b"\5\2" + b"\1\0" + b"\5\0" + BOUND4,
        id="5-login-utf8",
    ),
]


@pytest.mark.parametrize(("handshake", "sent", "answers"), DIALOGUES)
@given(steps=st.lists(st.integers(1, 20), min_size=1, max_size=40))
def test_a_dialogue(handshake: Callable[[], Handshake], sent: bytes, answers: bytes, steps: list[int]) -> None:
    """However the bytes arrive, just those of the proxy are taken: the next belong to the origin."""
    pace = iter(steps * 40)
    assert play(handshake(), answers + b"origin's", step=lambda _limit: next(pace)) == (sent, b"origin's")


@pytest.mark.parametrize(
    ("code", "kind", "number", "text"),
    [
        (91, TargetFault, errno.ECONNREFUSED, "rejected by the proxy, or failed"),
        (92, ProxyFault, errno.EACCES, "could not reach identd"),
        (93, ProxyFault, errno.EACCES, "another user"),
        (0, ProxyFault, errno.EACCES, "unknown reply 0"),
    ],
)
def test_each_refusal_of_version_4(code: int, kind: type[OSError], number: int, text: str) -> None:
    with pytest.raises(kind, match=text) as caught:
        play(socks4("origin.example", 80), bytes((0, code)) + bytes(6))
    assert caught.value.errno == number


@pytest.mark.parametrize(
    ("code", "kind", "number", "text"),
    [
        (1, ProxyFault, errno.EPROTO, "general failure"),
        (2, TargetFault, errno.EACCES, "not allowed"),
        (3, TargetFault, errno.ENETUNREACH, "network unreachable"),
        (4, TargetFault, errno.EHOSTUNREACH, "host unreachable"),
        (5, TargetFault, errno.ECONNREFUSED, "connection refused"),
        (6, TargetFault, errno.ETIMEDOUT, "TTL expired"),
        (7, ProxyFault, errno.EPROTO, "does not support CONNECT"),
        (8, TargetFault, errno.EAFNOSUPPORT, "does not support this type of address"),
        (9, ProxyFault, errno.EPROTO, "unassigned reply 9"),
        (255, ProxyFault, errno.EPROTO, "unassigned reply 255"),
    ],
)
def test_each_refusal_of_version_5(code: int, kind: type[OSError], number: int, text: str) -> None:
    """Two bytes of it are enough: there are servers that say no more."""
    with pytest.raises(kind, match=text) as caught:
        play(socks5("origin.example", 80), b"\5\0" + bytes((5, code)))
    assert caught.value.errno == number


@pytest.mark.parametrize(
    ("handshake", "answers", "text"),
    [
        (lambda: socks4("192.0.2.7", 80), b"HTTP/1.1 400", "not a SOCKS 4 proxy: its reply has version 72"),
        (lambda: socks5("192.0.2.7", 80), b"HTTP/1.1 400", "not a SOCKS 5 proxy: its reply has version 72"),
        (lambda: socks5("192.0.2.7", 80), b"\4\0", "not a SOCKS 5 proxy: its reply has version 4"),
        (lambda: socks5("192.0.2.7", 80), b"\5\xff", "demands credentials"),
        (lambda: socks5("192.0.2.7", 80, AUTH), b"\5\xff", "accepts no password"),
        (lambda: socks5("192.0.2.7", 80), b"\5\2", "chose method 2, which was not offered"),
        (lambda: socks5("192.0.2.7", 80, AUTH), b"\5\1", "chose method 1, which was not offered"),
        (lambda: socks5("192.0.2.7", 80, AUTH), b"\5\2\1\1", "refused our user name and password"),
        (lambda: socks5("192.0.2.7", 80), b"\5\0\4\0", "not a SOCKS 5 proxy: its reply has version 4"),
        (lambda: socks5("192.0.2.7", 80), b"\5\0\5\0\0\2", "an address of unknown kind 2"),
    ],
)
def test_what_is_not_socks(handshake: Callable[[], Handshake], answers: bytes, text: str) -> None:
    with pytest.raises(ProxyFault, match=text):
        play(handshake(), answers)


@pytest.mark.parametrize("host", ["", "a" * 256, "nul\0.example", "\u00fc.example"])
@pytest.mark.parametrize("start", [socks4, socks5])
def test_names_that_socks_cannot_carry(start: Callable[[str, int], Handshake], host: str) -> None:
    with pytest.raises(TargetFault, match="cannot carry"):
        play(start(host, 80), b"\5\0")


def test_version_4_has_no_ipv6() -> None:
    with pytest.raises(TargetFault, match="does not support IPv6") as caught:
        play(socks4("2001:db8::1", 80), b"")
    assert caught.value.errno == errno.EAFNOSUPPORT


@given(st.binary(max_size=64))
def test_whatever_a_proxy_answers_ends_it(answers: bytes) -> None:
    """In success, in one of its two errors, or with the wish for more."""
    for handshake in (socks4("origin.example", 80), socks5("192.0.2.7", 80), socks5("origin.example", 80, AUTH)):
        with suppress(ProxyFault, TargetFault, EOFError):
            play(handshake, answers)
