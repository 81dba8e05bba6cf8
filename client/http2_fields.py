"""Heads of HTTP/2: converting requests from the form of HTTP/1.1 to fields, and responses from fields to that form.

Requests are serialized the same way for both versions: `ClientRequest.wire` has checked every byte, and here its lines become
fields (RFC 9113 §8.3.1), without the connection-specific ones (§8.2.2). The fields of responses are checked and put into the
lines that `Head` reads. So only this module handles two kinds of heads.

Stricter than HTTP/1.1, as RFC 9113 demands: names must be lower case, and connection-specific fields are malformed.
More lenient: white space around a value is stripped (§8.2.1 calls it malformed, browsers do not), and control characters other
than NUL, CR and LF count as spaces, as in HTTP/1.1.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

from hpack import HeaderTuple, NeverIndexedHeaderTuple

from client.exchange import WireError
from client.head import Head

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from client.exchange import Asked

Fields: TypeAlias = "list[tuple[bytes, bytes]]"

_CONNECTION_FIELDS: Final = frozenset(
    {b"connection", b"http2-settings", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)
"""The connection-specific fields of HTTP/1.1 (RFC 9113 §8.2.2)."""
_SECRET_FIELDS: Final = frozenset({b"authorization", b"proxy-authorization"})
_SHORT_COOKIE: Final = 20
"""Shorter ones could be guessed from how well they compress with others (RFC 7541 §7.1.3); the library's limit."""
_MOST_DIGITS: Final = 18
_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_STATUS: Final = re.compile(rb"[1-9][0-9]{2}")
_BREAK: Final = re.compile(rb"[\r\n\0]")
_CONTROL: Final = re.compile(rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")


def may_carry(request: Asked, data: bytes) -> bool:
    """Whether a serialized request can be sent over HTTP/2: not if it asks for another protocol or version."""
    request_line = data[: data.index(b"\r\n")]
    return request_line.endswith(b" HTTP/1.1") and request.method != "CONNECT" and not request.asks_upgrade()


def request_fields(data: bytes) -> tuple[Fields, bytes]:
    """Return the fields of a request that was serialized for HTTP/1.1 over TLS, and its content."""
    head, _, content = data.partition(b"\r\n\r\n")
    request_line, *lines = head.split(b"\r\n")
    method, target, _version = request_line.split(b" ")
    authority = b""
    fields: Fields = []
    dropped = _CONNECTION_FIELDS
    for line in lines:
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        if name == b"host":
            authority = value
        elif name == b"connection":
            dropped = dropped.union(option.strip().lower() for option in value.split(b","))
        elif name == b"transfer-encoding":
            content = _without_chunks(content)
        elif name != b"te" or value.lower() == b"trailers":
            fields.append(_field(name, value))
    pseudo: Fields = [
        HeaderTuple(b":method", method),
        HeaderTuple(b":scheme", b"https"),
        HeaderTuple(b":authority", authority),
        HeaderTuple(b":path", target),
    ]
    return pseudo + [field for field in fields if field[0] not in dropped], content


def _field(name: bytes, value: bytes) -> HeaderTuple:
    is_secret = name in _SECRET_FIELDS or (name == b"cookie" and len(value) < _SHORT_COOKIE)
    return (NeverIndexedHeaderTuple if is_secret else HeaderTuple)(name, value)


def _without_chunks(content: bytes) -> bytes:
    """Return the content of one chunk, in which a body in memory is sent, or of none."""
    size, _, rest = content.partition(b"\r\n")
    return rest[: int(size, 16)] if size else b""


def response_head(fields: Iterable[tuple[bytes, bytes]]) -> tuple[int, Head]:
    """Return the status and the head of a response. Raises `WireError` for malformed fields (RFC 9113 §8.1.1)."""
    status: bytes | None = None
    lines: list[bytes] = []
    for name, value in fields:
        if name.startswith(b":"):
            if name != b":status" or status is not None or lines:
                raise WireError(f"malformed fields: {name[:40]!r} is misplaced")
            status = value
        else:
            lines.append(_line(name, value))
    if status is None or not _STATUS.fullmatch(status):
        raise WireError(f"malformed status: {(status or b'')[:40]!r}")
    return int(status), Head(b"HTTP/2.0 %s \r\n%s\r\n" % (status, b"".join(lines)))


def _line(name: bytes, value: bytes) -> bytes:
    if not _NAME.fullmatch(name):
        raise WireError(f"not a field name: {name[:40]!r}")
    if name in _CONNECTION_FIELDS:
        raise WireError(f"a connection-specific field: {name!r}")
    if _BREAK.search(value):
        raise WireError(f"a line break or NUL in the field {name[:40]!r}")
    return b"%s: %s\r\n" % (name, _CONTROL.sub(b" ", value).strip(b" \t"))


def content_length(head: Head) -> int | None:
    """Return the Content-Length of a head; None without one. Raises `WireError` if it is not a number, or differs from another."""
    lengths: Sequence[bytes] = head.values("\ncontent-length:")
    if not lengths:
        return None
    if len(set(lengths)) > 1 or not lengths[0].isdigit() or len(lengths[0]) > _MOST_DIGITS:
        raise WireError(f"malformed Content-Length: {b', '.join(lengths)[:40]!r}")
    return int(lengths[0])
