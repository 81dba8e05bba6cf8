"""Media types as Content-Type names them (RFC 9110 §8.3)."""

from __future__ import annotations

import codecs
from functools import lru_cache
from typing import Final, NamedTuple

from client.disposition import split_parameters

_MAX_NAME_LENGTH: Final = 64
"""Longer than the name of any codec. Python remembers every name that it was ever asked for."""

_NOT_CHARSETS: Final = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"}
"""Codecs of text that no document is written in. The first two take quadratic time."""


class MediaType(NamedTuple):
    """A media type in lower case without its parameters, the codec that the charset parameter names, and that as it came."""

    name: str
    charset: str | None
    label: str | None = None

    def matches(self, expected: str) -> bool:
        """Whether this is the type `expected`; `application/json` also means every `+json` type (RFC 6839 §3.1)."""
        return self.name == expected.lower() or (expected == "application/json" and self.name.endswith("+json"))


@lru_cache(maxsize=256)  # a site has a handful
def parse_media_type(value: str) -> MediaType:
    """Read a Content-Type value as generously as browsers do; the name is empty when there is none. Never fails."""
    name, _, parameters = value.partition(";")
    for parameter, label in split_parameters(parameters):
        if parameter == "charset":  # the first one counts
            return MediaType(name.strip().lower(), known_charset(label), label)
    return MediaType(name.strip().lower(), None)


def known_charset(label: str) -> str | None:
    """Return the codec that a label means, for `bytes.decode`; None for what is no encoding of text."""
    label = label.strip(" '\"")
    if len(label) > _MAX_NAME_LENGTH:
        return None
    try:
        name = codecs.lookup(label).name
        "".encode(name)  # fails for codecs from bytes to bytes, such as zlib
    except (LookupError, ValueError):  # ValueError: NUL in the name, or the codec `undefined`
        return None
    return None if name in _NOT_CHARSETS else name
