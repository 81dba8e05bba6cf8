"""Versions of HTTP."""

import re
from typing import Final, NamedTuple


class HttpVersion(NamedTuple):
    """A version of HTTP, as in the start line of a message: `HttpVersion(1, 1)` is HTTP/1.1 (RFC 9110 §2.5)."""

    major: int
    minor: int


HttpVersion10: Final = HttpVersion(1, 0)
HttpVersion11: Final = HttpVersion(1, 1)


_WRITTEN: Final = re.compile("([0-9])[.]([0-9])")


def checked_version(given: tuple[int, int] | str) -> HttpVersion:
    """Return a version, given as a tuple or as text like ``"1.1"``. Raises `ValueError` for others (RFC 9112 §2.3)."""
    if isinstance(given, str):
        if (match := _WRITTEN.fullmatch(given)) is None:
            raise ValueError(f"not an HTTP version: {given!r}")
        return HttpVersion(int(match[1]), int(match[2]))
    version = HttpVersion(*given)
    if not all(type(number) is int and 0 <= number <= 9 for number in version):
        raise ValueError(f"not an HTTP version: {version}")
    return version
