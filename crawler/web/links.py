"""Links as a document has them: the raw hrefs of its `<a>` elements, and the base they start from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from crawler.web.urls import resolve

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

_BASE = re.compile(rb"<base", re.IGNORECASE).search


def hrefs(dom: LexborHTMLParser) -> list[str]:
    """The href of every `a[href]`, as written, in document order; empty where it has no value, which means the base itself.

    Neither the contents of `<template>`, which are no part of the document, nor comments are looked into; `<noscript>` is,
    for scripts do not run here.
    """
    found = []
    for a in dom.css("a[href]"):  # faster than by tag name; and so is one attribute than all
        attributes = a.attrs
        href = attributes.get("href")
        if href is not None:
            found.append(href)
        elif "href" in attributes:  # without a value; the selector takes an xlink:href as well
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
            (forbidden if rel and "nofollow" in rel.lower().split() else followed).append(attributes.get("href") or "")
    return followed, forbidden


def may_have_base(body: bytes) -> bool:
    """Whether a `<base>` may be among these bytes, which are in an encoding that has ASCII as it is: to look for one in the
    bytes costs a third of looking through the tree."""
    return _BASE(body) is not None


def hrefs_in(node: LexborNode) -> list[str]:
    """Where a node leads: its own href, if it has one (`a`, `area`, `link`), else those of the `a[href]` inside it."""
    attributes = node.attributes
    if "href" in attributes:
        return [attributes["href"] or ""]
    return [a.attributes["href"] or "" for a in node.css("a[href]")]


def base_of(dom: LexborHTMLParser, url: str) -> str:
    """What the document's references are relative to: the first `base[href]`, itself relative to the document's `url`
    (canonical, as is the answer). A base that is neither http nor https is passed over (HTML Standard §4.2.3).
    """
    for base in dom.tags("base"):
        attributes = base.attributes
        if "href" in attributes:
            return next(iter(resolve(url, [attributes["href"] or ""])), url)
    return url
