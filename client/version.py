"""The version of HTTP that a message speaks."""

from typing import Final, NamedTuple


class HttpVersion(NamedTuple):
    """As in the start line: `HttpVersion(1, 1)` is HTTP/1.1 (RFC 9110 §2.5)."""

    major: int
    minor: int


HttpVersion10: Final = HttpVersion(1, 0)
HttpVersion11: Final = HttpVersion(1, 1)
