"""What a body is: its Content-Type, or, where that names no type, its first bytes (WHATWG MIME Sniffing, the part on HTML).

Servers say it twice in one header, too: the last of what it lists counts (Fetch Standard, "extract a MIME type").
"""

from __future__ import annotations

import re

_CHARSET = re.compile(r""";\s*charset\s*=\s*(?:"([^"]*)"?|([^\s;,"]+))""", re.IGNORECASE)

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


def essence(content_type: str) -> str:
    """`type/subtype` in lower case, without parameters; empty when the header is."""
    if "," in content_type:
        for one in reversed(content_type.split(",")):
            kind = essence(one)
            if _is_type(kind) and kind != "*/*":
                return kind
    return content_type.partition(";")[0].strip().lower()


def charset(content_type: str) -> str | None:
    """The charset parameter as it is written, without quotes."""
    for one in reversed(content_type.split(",")):
        if found := _CHARSET.search(one):
            return found[1] or found[2]
    return None


def is_unknown(kind: str) -> bool:
    """Whether an essence leaves open what the body is: it is missing, none by its form, or says so (MIME Sniffing §7.1)."""
    return kind in _UNKNOWN_TYPES or not _is_type(kind)


def is_html(content_type: str, body: bytes) -> bool:
    """Whether the header says HTML or XHTML or, if it leaves that open, the body starts as HTML does (MIME Sniffing §7.1)."""
    kind = essence(content_type)
    return kind in _HTML_TYPES or (is_unknown(kind) and _looks_like_html(body) is not None)
