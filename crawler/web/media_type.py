"""What a body is, by its Content-Type or, if that names no type, by its first bytes (WHATWG MIME Sniffing, the part on HTML).

Some servers list several types in one header: the last one counts (Fetch Standard, "extract a MIME type").
"""

from __future__ import annotations

import re
from functools import lru_cache

_CHARSET = re.compile(r""";\s*charset\s*=\s*(?:"([^"]*)"?|([^\s;,"]+))""", re.IGNORECASE)

_KEPT = 64
"""How many Content-Types are cached: a site has few."""

_WORD = r"[!#$%&'*+.^_`|~0-9a-z-]+"
_is_type = re.compile(f"{_WORD}/{_WORD}").fullmatch

_UNKNOWN_TYPES = frozenset({"unknown/unknown", "application/unknown", "*/*"})
XHTML = "application/xhtml+xml"
_HTML_TYPES = frozenset({"text/html", XHTML})

_looks_like_html = re.compile(
    rb"""
    (?: \xef\xbb\xbf )? [\t\n\x0c\r ]*
    (?: <!--
      | < (?: !DOCTYPE[ ]HTML | HTML | HEAD | SCRIPT | IFRAME | H1 | DIV | FONT | TABLE | A | STYLE | TITLE | B | BODY | BR | P ) [ >]
    )
    """,
    re.IGNORECASE | re.VERBOSE,
).match


@lru_cache(_KEPT)
def essence(content_type: str) -> str:
    """`type/subtype` in lower case, without parameters; empty if the header is."""
    if "," in content_type:
        for one in reversed(content_type.split(",")):
            kind = essence(one)
            if _is_type(kind) and kind != "*/*":
                return kind
    return content_type.partition(";")[0].strip().lower()


@lru_cache(_KEPT)
def charset(content_type: str) -> str | None:
    """The charset parameter as it is written, without quotes; None if there is none."""
    for one in reversed(content_type.split(",")):
        if found := _CHARSET.search(one):
            return found[1] or found[2]
    return None


def is_unknown(kind: str) -> bool:
    """Whether an essence leaves open what the body is: it is missing, malformed, or says so (MIME Sniffing §7.1)."""
    return kind in _UNKNOWN_TYPES or not _is_type(kind)


def is_html(content_type: str, body: bytes) -> bool:
    """Whether the header says HTML or XHTML or, if it leaves that open, the body starts as HTML does (MIME Sniffing §7.1)."""
    kind = essence(content_type)
    return kind in _HTML_TYPES or (is_unknown(kind) and _looks_like_html(body) is not None)
