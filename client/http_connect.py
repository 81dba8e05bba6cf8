"""CONNECT: asking an HTTP proxy for a tunnel (RFC 9110 §9.3.6).

The head of the answer is read as leniently as `client.http1` reads others: a bare LF ends a line, folded lines are joined,
any HTTP/1 version is accepted. Its size is bounded. Bytes after the head of a 2xx answer would be the target's; but the
targets of our tunnels never speak first, so such bytes come from somebody else, and the tunnel is not used.
"""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING, Final

from client.handshakes import Ask, ConnectDeclined, ProxyFault, TargetFault, UnclearFault

if TYPE_CHECKING:
    from collections.abc import Generator

    from client.handshakes import Handshake

MAX_HEAD_BYTES: Final = 64 * 1024
"""The largest head of an answer, together with the 1xx heads before it; the same as `ReadPolicy.max_head_size`."""

_VERSION: Final = b"HTTP/1."
_STATUS_LINE: Final = re.compile(r"HTTP/1\.[0-9] ([1-9][0-9]{2})(?: (.*))?")
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")


def http_connect(host: str, port: int, header_lines: str = "") -> Handshake:
    """Ask for a tunnel; `header_lines` are header lines for the proxy, each with its CRLF.

    Raises `ConnectDeclined` for a status other than 2xx, `ProxyFault` for an answer that is not HTTP/1 or too large, and
    `TargetFault` for a host that HTTP cannot express.
    """
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if not (target.isascii() and target.isprintable()) or " " in target:
        raise TargetFault("a name that HTTP cannot carry", errno.EINVAL)
    request = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{header_lines}\r\n".encode()
    received = bytearray()
    start = status = 0
    while status < 200:
        end = yield from _receive_head(received, start, request)
        status, reason, headers = _parse_head(received[start : end.start()])
        if status == 101:
            raise ProxyFault("the proxy answered CONNECT with 101 (Switching Protocols)")
        start, request = end.end(), b""
    if status >= 300:
        raise ConnectDeclined(status, reason, headers)
    if len(received) > start:
        raise UnclearFault("the proxy sent bytes after its answer to CONNECT")


def _receive_head(received: bytearray, start: int, request: bytes) -> Generator[Ask, bytes, re.Match[bytes]]:
    """Receive until there is a whole head from `start` on; return the match of its end."""
    searched = start
    while (end := _HEAD_END.search(received, searched)) is None:
        searched = max(start, len(received) - 3)
        room = MAX_HEAD_BYTES - len(received)
        if not room:
            raise ProxyFault(f"the answer to CONNECT has a head of more than {MAX_HEAD_BYTES} bytes")
        received += yield Ask(room, request)
        request = b""
        begun = received[start : start + len(_VERSION)]
        if not _VERSION.startswith(begun):  # do not wait for the end of something that is not HTTP
            raise ProxyFault(f"the answer to CONNECT is not HTTP/1: {bytes(begun)!r}")
    return end


def _parse_head(head: bytearray) -> tuple[int, str, list[tuple[str, str]]]:
    """Return the status, the reason and the headers."""
    first, *lines = head.decode("utf-8", "surrogateescape").replace("\r\n", "\n").split("\n")
    status_line = _STATUS_LINE.fullmatch(first)
    if status_line is None:
        raise ProxyFault(f"the answer to CONNECT is not HTTP/1: {first[:40]!r}")
    headers: list[tuple[str, str]] = []
    for line in lines:
        if line[:1] in (" ", "\t") and headers:
            name, value = headers.pop()
            headers.append((name, f"{value} {line.strip()}"))
        else:
            name, _, value = line.partition(":")
            headers.append((name.strip(), value.strip()))
    return int(status_line[1]), status_line[2] or "", headers
