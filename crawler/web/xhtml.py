"""Preparing XHTML to be parsed as HTML, which has no `/>`: there, a `<script src="x"/>` has no end, and contains the rest of the page."""

from __future__ import annotations

import re

_CLOSED = re.compile(
    r"""
      <!--.*?(?:-->|\Z)
    | <!\[CDATA\[.*?(?:\]\]>|\Z)
    | <(iframe|noembed|noframes|script|select|style|template|textarea|title|xmp)(?=[\s/>])
      ((?:[^>"'/]++|/(?!>)|"[^"]*+"|'[^']*+')*+)
      (?:/>|>.*?(?:</\1|\Z))
    """,
    re.DOTALL | re.VERBOSE,
)
"""Elements that contain text, or in which a tag means something else; and comments and CDATA, in which something may look like them."""


def as_html(document: str) -> str:
    """The document with an end tag for each of these elements that closes itself."""
    return _CLOSED.sub(_with_end_tag, document) if "/>" in document else document


def _with_end_tag(found: re.Match[str]) -> str:
    name, attributes = found.groups()
    is_closed = name and found.end(2) + len("/>") == found.end() and found[0].endswith("/>")
    return f"<{name}{attributes.rstrip('/')}></{name}>" if is_closed else found[0]
