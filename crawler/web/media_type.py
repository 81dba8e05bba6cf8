"""What a body is: its Content-Type, or, where that is missing, its first bytes (WHATWG MIME Sniffing, the part on HTML)."""

from __future__ import annotations

import re

_CHARSET = re.compile(r""";\s*charset\s*=\s*(?:"([^"]*)"|([^\s;"]+))""", re.IGNORECASE)

_HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})

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
    return content_type.partition(";")[0].strip().lower()


def charset(content_type: str) -> str | None:
    """The charset parameter as it is written, without quotes."""
    found = _CHARSET.search(content_type)
    return (found[1] or found[2]) if found else None


def is_html(content_type: str, body: bytes) -> bool:
    """Whether the header says HTML or XHTML or, in its absence, the body starts as HTML does (MIME Sniffing §7.1)."""
    return essence(content_type) in _HTML_TYPES or (not content_type and _looks_like_html(body) is not None)
