"""Media types as Content-Type names them (RFC 9110 §8.3)."""

from __future__ import annotations

import codecs
from functools import lru_cache
from typing import NamedTuple


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
    """Read a Content-Type value as generously as browsers do; the name is empty when there is none."""
    from email.message import Message  # loads much, and no request needs it

    message = Message()
    message["Content-Type"] = value.replace("\n", " ").replace("\r", " ")
    name = value.partition(";")[0].strip().lower()
    charset = message.get_param("charset", failobj=None)
    if not isinstance(charset, str):
        return MediaType(name, None)
    try:
        return MediaType(name, codecs.lookup(charset.strip(" '\"")).name, charset)
    except (LookupError, ValueError):  # ValueError: NUL in the name
        return MediaType(name, None, charset)
