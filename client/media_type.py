"""Media types, as in Content-Type (RFC 9110 §8.3)."""

from __future__ import annotations

import codecs
from functools import lru_cache
from typing import Final, NamedTuple

from client.disposition import split_parameters

_MAX_NAME_LENGTH: Final = 64
"""Longer than the name of any codec. Python caches every name that is looked up, for good."""

_NOT_CHARSETS: Final = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"}
"""Text codecs in which no document is written. The first two take quadratic time."""


class MediaType(NamedTuple):
    """A media type in lower case without parameters, the codec for its charset parameter, and that parameter as received."""

    name: str
    charset: str | None
    label: str | None = None

    def matches(self, expected: str) -> bool:
        """Whether this is the type `expected`; `application/json` also means every `+json` type (RFC 6839 §3.1)."""
        return self.name == expected.lower() or (expected == "application/json" and self.name.endswith("+json"))


@lru_cache(maxsize=256)  # a site has a handful
def parse_media_type(value: str) -> MediaType:
    """Parse a Content-Type value as leniently as browsers do; the name is empty if there is none. Never fails."""
    name, _, parameters = value.partition(";")
    for parameter, label in split_parameters(parameters):
        if parameter == "charset":  # the first one counts
            return MediaType(name.strip().lower(), known_charset(label), label)
    return MediaType(name.strip().lower(), None)


def known_charset(label: str) -> str | None:
    """Return the name of the codec for a label, for `bytes.decode`; None if it is not an encoding of text."""
    label = label.strip(" '\"")
    if len(label) > _MAX_NAME_LENGTH:
        return None
    try:
        name = codecs.lookup(label).name
        "".encode(name)  # fails for codecs from bytes to bytes, such as zlib
    except (LookupError, ValueError):  # ValueError: NUL in the name, or the codec `undefined`
        return None
    return None if name in _NOT_CHARSETS else name
