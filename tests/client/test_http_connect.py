"""CONNECT: the bytes of the request, and what is made of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.handshakes import ConnectDeclined, ProxyFault, TargetFault
from client.http_connect import MAX_HEAD_BYTES, http_connect
from tests.client.transcripts import play

if TYPE_CHECKING:
    from collections.abc import Callable


def whole(limit: int) -> int:
    return limit


def bytewise(_limit: int) -> int:
    return 1


each_pace = pytest.mark.parametrize("step", [whole, bytewise])


@pytest.mark.parametrize(
    ("host", "target"),
    [
        ("origin.example", "origin.example:443"),
        ("192.0.2.7", "192.0.2.7:443"),
        ("2001:db8::1", "[2001:db8::1]:443"),
    ],
)
def test_the_request(host: str, target: str) -> None:
    """RFC 9112 §3.2.3: the authority form, always with its port."""
    sent, _ = play(http_connect(host, 443, "X-Key: 1\r\n"), b"HTTP/1.1 200 OK\r\n\r\n")
    assert sent == f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nX-Key: 1\r\n\r\n".encode()


@pytest.mark.parametrize("host", ["a b", "a\r\nX: y", "a\x7f", "\u00fc.example"])
def test_a_host_that_would_break_the_request(host: str) -> None:
    with pytest.raises(TargetFault, match="cannot carry"):
        play(http_connect(host, 443), b"")


@each_pace
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 Connection established\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nVia: 1.0 test\r\n\r\n",
        b"HTTP/1.1 200\r\n\r\n",
        b"HTTP/1.1 299 \r\n\r\n",
        b"HTTP/1.1 200 OK\n\n",
        b"HTTP/1.1 200 OK\r\nVia: test\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",  # both ignored, RFC 9110 §9.3.6
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: </>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ],
)
def test_success(answer: bytes, step: Callable[[int], int]) -> None:
    assert play(http_connect("origin.example", 443), answer, step=step)[1] == b""


@each_pace
def test_another_status_is_told_with_its_headers(step: Callable[[int], int]) -> None:
    answer = (
        b"HTTP/1.1 407 Wer da \xc3\xbc\r\nProxy-Authenticate: Basic\r\nproxy-authenticate: Digest\r\n"
        b"Folded: one\r\n two\r\nX:\r\n\r\nthe body"
    )
    with pytest.raises(ConnectDeclined) as caught:
        play(http_connect("origin.example", 443), answer, step=step)
    declined = caught.value
    assert (declined.status, declined.reason) == (407, "Wer da \u00fc")
    assert declined.headers == [
        ("Proxy-Authenticate", "Basic"),
        ("proxy-authenticate", "Digest"),
        ("Folded", "one two"),
        ("X", ""),
    ]


@pytest.mark.parametrize("status", [300, 302, 403, 500, 999])
def test_only_2xx_is_success(status: int) -> None:
    with pytest.raises(ConnectDeclined) as caught:
        play(http_connect("origin.example", 443), b"HTTP/1.1 %d\r\n\r\n" % status)
    assert (caught.value.status, caught.value.reason) == (status, "")


@each_pace
@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"SSH-2.0-test\r\n", "is not HTTP/1"),
        (b"\5\0", "is not HTTP/1"),
        (b"HTTP/2 200\r\n\r\n", "is not HTTP/1"),
        (b"HTTP/1.1 200OK\r\n\r\n", "is not HTTP/1"),
        (b"HTTP/1.1 20 OK\r\n\r\n", "is not HTTP/1"),
        (b"HTTP/1.1 \xff\xff\xff\r\n\r\n", "is not HTTP/1"),
        (b"HTTP/1.1 100 Go on\r\n\r\n200 OK\r\n\r\n", "is not HTTP/1"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", "101"),
    ],
)
def test_what_is_not_an_answer(answer: bytes, text: str, step: Callable[[int], int]) -> None:
    with pytest.raises(ProxyFault, match=text):
        play(http_connect("origin.example", 443), answer, step=step)


def test_bytes_behind_a_success_are_refused() -> None:
    """Nobody we tunnel to speaks first: they would be taken for the origin's, and are the proxy's."""
    with pytest.raises(ProxyFault, match="bytes after"):
        play(http_connect("origin.example", 443), b"HTTP/1.1 200 OK\r\n\r\n\x16\x03\x03")


@each_pace
@pytest.mark.parametrize(
    "endless",
    [
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 2 * MAX_HEAD_BYTES,
        b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * MAX_HEAD_BYTES,
        b"HTTP/1.1 100 Continue\r\n\r\n" * MAX_HEAD_BYTES,
    ],
    ids=["line", "lines", "interim"],
)
def test_an_endless_head_is_bounded(endless: bytes, step: Callable[[int], int]) -> None:
    with pytest.raises(ProxyFault, match=f"more than {MAX_HEAD_BYTES} bytes"):
        play(http_connect("origin.example", 443), endless, step=step)


HEADS = st.lists(
    st.sampled_from([b"HTTP/1.1 ", b"200", b"407", b"100", b" ", b"OK", b"\r\n", b"\n", b"\r", b"A: b", b"\0", b"\xff"])
)


@given(HEADS.map(b"".join), st.lists(st.integers(1, 30), min_size=1))
def test_the_pace_changes_nothing(answer: bytes, steps: list[int]) -> None:
    """However an answer arrives it means the same, except for the bytes behind it, which may come too late to be seen."""
    pace = iter(steps * (len(answer) + 1))

    def outcome(step: Callable[[int], int]) -> str:
        try:
            play(http_connect("origin.example", 443), answer, step=step)
        except ConnectDeclined as declined:
            return f"declined {declined.args}"
        except ProxyFault as fault:
            return "opened" if "bytes after" in str(fault) else "fault"
        except EOFError:
            return "more"
        return "opened"

    assert outcome(lambda _limit: next(pace)) == outcome(whole)
