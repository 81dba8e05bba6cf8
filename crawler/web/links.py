"""The links of a document as they are written: the hrefs of its `<a>` elements, and the base that they are relative to.

If the document's tree is not needed otherwise, `look_through` finds the same, and the title, at a tenth of the cost.
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
    """The links and the title of a document, which is in UTF-8 and without a byte order mark; None if they take its tree: because only
    the tree can tell, or because `scan` is not compiled, and so takes longer.
    """
    return scan.scan(document) if scan.IS_COMPILED else None


def hrefs(dom: LexborHTMLParser) -> list[str]:
    """The href of every `a[href]`, as it is written, in document order; empty if it has no value, which means the base itself.

    The contents of `<template>`, which are not part of the document, and comments are not searched; `<noscript>` is, since scripts do
    not run here.
    """
    return _hrefs_of(dom.css("a[href]"))  # faster than by tag name


def _hrefs_of(links: Iterable[LexborNode]) -> list[str]:
    """The href of each link. One that `a[href]` matches only for its xlink:href has none."""
    found = []
    for a in links:
        attributes = a.attrs  # asking for one is faster than reading all
        href = attributes.get("href")
        if href is not None:
            found.append(href)
        elif "href" in attributes:  # without a value
            found.append("")
    return found


def hrefs_by_rel(dom: LexborHTMLParser) -> tuple[list[str], list[str]]:
    """The same as `hrefs`, in two lists: links that may be followed, and links whose `rel` says nofollow."""
    followed: list[str] = []
    forbidden: list[str] = []
    for a in dom.css("a[href]"):
        attributes = a.attrs
        if "href" in attributes:
            rel = attributes.get("rel")
            (forbidden if rel and scan.says_nofollow(rel) else followed).append(attributes.get("href") or "")
    return followed, forbidden


def may_have_base(body: bytes) -> bool:
    """Whether these bytes, in an encoding that has ASCII as it is, may contain a `<base>`: searching them costs a third of searching the
    tree."""
    return _BASE(body) is not None


def hrefs_in(node: LexborNode) -> list[str]:
    """Where a node leads: its own href, if it has one (`a`, `area`, `link`), otherwise those of the `a[href]` inside it."""
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
    """The canonical URL that a `<base>` with this href makes references relative to; the href is itself relative to the document's `url`,
    which is canonical. One that is neither http nor https is ignored (HTML Standard §4.2.3). None: there is no `<base>`.
    """
    return url if href is None else next(iter(resolve(url, [href])), url)


def by_rel(scan: Scan) -> tuple[list[str], list[str]]:
    """The same as `hrefs_by_rel`, from a scan. A reference of both kinds counts as one that may be followed."""
    followed = [reference for reference, may_follow in scan.references.items() if may_follow]
    return followed, [reference for reference, may_follow in scan.references.items() if not may_follow]
