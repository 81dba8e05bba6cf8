"""Links as a document has them: the raw hrefs of its `<a>` elements, and the base they start from.

Where nobody has asked for the document's tree, `look_through` tells the same, and the title, at a tenth of the cost.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from crawler.web import scan
from crawler.web.urls import resolve

if TYPE_CHECKING:
    from collections.abc import Iterable

    from selectolax.lexbor import LexborHTMLParser, LexborNode

    from crawler.web.scan import Scan

_BASE = re.compile(rb"<base", re.IGNORECASE).search


def look_through(document: bytes) -> Scan | None:
    """What a document, in UTF-8 and without byte order mark, links to and is called; None where that takes its tree: where the
    tree alone can tell, and where `scan` is not compiled, and so takes longer.
    """
    return scan.scan(document) if scan.IS_COMPILED else None


def hrefs(dom: LexborHTMLParser) -> list[str]:
    """The href of every `a[href]`, as written, in document order; empty where it has no value, which means the base itself.

    Neither the contents of `<template>`, which are no part of the document, nor comments are looked into; `<noscript>` is,
    for scripts do not run here.
    """
    return _hrefs_of(dom.css("a[href]"))  # faster than by tag name


def _hrefs_of(links: Iterable[LexborNode]) -> list[str]:
    """The href of each; a link that `a[href]` matches for its xlink:href alone has none."""
    found = []
    for a in links:
        attributes = a.attrs  # to ask for one is faster than to have all
        href = attributes.get("href")
        if href is not None:
            found.append(href)
        elif "href" in attributes:  # without a value
            found.append("")
    return found


def hrefs_by_rel(dom: LexborHTMLParser) -> tuple[list[str], list[str]]:
    """What `hrefs` gives, in two lists: those that may be followed, and those whose `rel` says nofollow."""
    followed: list[str] = []
    forbidden: list[str] = []
    for a in dom.css("a[href]"):
        attributes = a.attrs
        if "href" in attributes:
            rel = attributes.get("rel")
            (forbidden if rel and scan.says_nofollow(rel) else followed).append(attributes.get("href") or "")
    return followed, forbidden


def may_have_base(body: bytes) -> bool:
    """Whether a `<base>` may be among these bytes, which are in an encoding that has ASCII as it is: to look for one in the
    bytes costs a third of looking through the tree."""
    return _BASE(body) is not None


def hrefs_in(node: LexborNode) -> list[str]:
    """Where a node leads: its own href, if it has one (`a`, `area`, `link`), else those of the `a[href]` inside it."""
    attributes = node.attrs
    href = attributes.get("href")
    if href is not None:
        return [href]
    return [""] if "href" in attributes else _hrefs_of(node.css("a[href]"))


def base_of(dom: LexborHTMLParser, url: str) -> str:
    """What the document's references are relative to, by its first `base[href]`; see `base_by`."""
    for base in dom.tags("base"):
        attributes = base.attributes
        if "href" in attributes:
            return base_by(attributes["href"] or "", url)
    return url


def base_by(href: str | None, url: str) -> str:
    """What a `<base>` with this href, itself relative to the document's `url` (canonical, as is the answer), makes references
    relative to. One that is neither http nor https is passed over (HTML Standard §4.2.3); None: there is none.
    """
    return url if href is None else next(iter(resolve(url, [href])), url)


def by_rel(scan: Scan) -> tuple[list[str], list[str]]:
    """Where a scan found links to lead, as `hrefs_by_rel` finds it in a tree; where both kinds lead, one may."""
    followed = [reference for reference, may_follow in scan.references.items() if may_follow]
    return followed, [reference for reference, may_follow in scan.references.items() if not may_follow]
