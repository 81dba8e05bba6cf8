"""What a document links to and is called, by its tree; and a scan's answer in the same form, to be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from selectolax.lexbor import LexborHTMLParser

from crawler.web.urls import without_fragment

if TYPE_CHECKING:
    from crawler.web.scan import Scan


class Findings(NamedTuple):
    """Trees repeat some links that are misnested, and put those that are misplaced in a table before it. So links are sets."""

    followed: frozenset[str]
    """Where links lead that may be followed."""
    nofollow: frozenset[str]
    """Where no other links lead than those whose `rel` says nofollow."""
    base: str | None
    title: str | None
    """White space collapsed."""


def by_tree(document: bytes) -> Findings:
    """What the tree of a document in UTF-8 tells."""
    dom = LexborHTMLParser(document)
    followed: set[str] = set()
    forbidden: set[str] = set()
    for a in dom.css("a[href]"):
        attributes = a.attributes
        if "href" in attributes:  # not an xlink:href
            says_nofollow = "nofollow" in (attributes.get("rel") or "").lower().replace(",", " ").split()
            (forbidden if says_nofollow else followed).add(without_fragment(attributes["href"] or ""))
    base = dom.css_first("base[href]")
    title = dom.css_first("title:not(svg title)")
    return Findings(
        frozenset(followed),
        frozenset(forbidden - followed),
        (base.attributes["href"] or "") if base else None,
        " ".join(title.text().split()) if title else None,
    )


def by_scan(scan: Scan) -> Findings:
    """What a scan has told."""
    references = [(_line_ends_made_one(reference), may) for reference, may in scan.references.items()]
    return Findings(
        frozenset(reference for reference, may_follow in references if may_follow),
        frozenset(reference for reference, may_follow in references if not may_follow),
        None if scan.base is None else _line_ends_made_one(scan.base),
        None if scan.title is None else " ".join(scan.title.split()),
    )


def _line_ends_made_one(value: str) -> str:
    """As a parser does it to the whole document; to a URL they mean nothing."""
    return value.replace("\r\n", "\n").replace("\r", "\n")
