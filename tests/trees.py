"""What a document links to and is called, by its tree; and a scan's answer in the same form, to be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from selectolax.lexbor import LexborHTMLParser

if TYPE_CHECKING:
    from crawler.web.scan import Scan


class Findings(NamedTuple):
    """Trees repeat some links that are misnested, and put those that are misplaced in a table before it. So links are sets."""

    followed: frozenset[str]
    """The hrefs, as written, of every link that may be followed."""
    nofollow: frozenset[str]
    """Those of every link whose `rel` says nofollow."""
    base: str | None
    title: str | None
    """White space collapsed."""


def by_tree(document: bytes) -> Findings:
    """What the tree of a document in UTF-8 tells."""
    dom = LexborHTMLParser(document)
    links = [a.attributes for a in dom.css("a[href]") if "href" in a.attributes]
    nofollow = [link for link in links if "nofollow" in (link.get("rel") or "").lower().split()]
    bases = [base.attributes["href"] or "" for base in dom.css("base[href]")]
    title = dom.css_first("title:not(svg title)")
    return Findings(
        frozenset(link["href"] or "" for link in links if link not in nofollow),
        frozenset(link["href"] or "" for link in nofollow),
        bases[0] if bases else None,
        " ".join(title.text().split()) if title else None,
    )


def by_scan(scan: Scan) -> Findings:
    """What a scan has told."""
    forbidden = set(scan.nofollow)
    return Findings(
        frozenset(href for at, href in enumerate(scan.hrefs) if at not in forbidden),
        frozenset(scan.hrefs[at] for at in forbidden),
        scan.base,
        None if scan.title is None else " ".join(scan.title.split()),
    )
