"""What a page asks of the robots that read it: robots directives, links not to be followed, its canonical URL.

Directives come as `X-Robots-Tag` headers and as `<meta name="robots">`, for every robot or for one by its name; those for everyone and
those for us add up. Two of them mean something to a crawler: `noindex` and `nofollow`, together `none`. The others, such as
`unavailable_after`, are ignored.

The canonical URL (RFC 6596) comes as `<link rel=canonical>` or in a `Link` header (RFC 8288). A page that names several counts as naming
none. Many pages name the wrong one, such as the home page for every page of a site, so the crawler needs more to believe that two URLs
are one page: see `may_be_other_name`.

Only elements in the head count, because what is in the body may come from a visitor. Searching the tree takes a few microseconds, so the
bytes of the head are searched first. A head that contains the bytes `<body`, in a script, say, is taken to end there. If they occur
nowhere, since that tag may be left out, the head ends before the first tag that can only be in the body: the tree of a whole document
costs more than a crawl should pay to read one line of it.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct
from yarl import URL

from client.links import parse_links
from crawler.web.product import product_token
from crawler.web.urls import host_of, resolve

if TYPE_CHECKING:
    from collections.abc import Iterable

    from multidict import CIMultiDictProxy
    from selectolax.lexbor import LexborNode


class Obedience(Struct, frozen=True, kw_only=True):
    """Which directives a crawl obeys, and by which name (a product token in lower case) pages may address it."""

    agent: str = ""
    nofollow: bool = True

    @classmethod
    def of(cls, *, user_agent: str, robots: bool, nofollow: bool) -> Obedience:
        """The obedience of a crawl with these settings: without `robots`, `nofollow` does not hold either."""
        return cls(agent=product_token(user_agent), nofollow=robots and nofollow)


OBEDIENT = Obedience()


class Directives(NamedTuple):
    """What one page says. `canonical` is a canonical URL, on any host; None if the page names none."""

    noindex: bool = False
    nofollow: bool = False
    canonical: str | None = None


_NOTHING = Directives()

_MEANINGS = {
    "noindex": frozenset({"noindex"}),
    "nofollow": frozenset({"nofollow"}),
    "none": frozenset({"noindex", "nofollow"}),
}
_WITH_VALUES = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
"""Directives that are followed by a colon, as the name of a robot is."""

_ROBOT = re.compile(r"\s*([a-z0-9!#$%&'*+.^_`|~-]+)\s*:")
_BETWEEN = re.compile(r"[\s,]+")

_NAME_END = rb"(?=[ \t\n\f\r/>])"
_TAG_END = rb"""(?:[^>=]++|=[ \t\n\f\r]*+(?:"[^"]*+"|'[^']*+')?+)*+>"""
_HELD = rb"|".join(
    rb"<%b%b%b.*?</%b" % (name, _NAME_END, _TAG_END, name)
    for name in (b"title", b"script", b"style", b"noframes", b"template")
)
_HEAD = re.compile(
    rb"(?:[^<]++|<!--(?:-?>|.*?--!?>)|<(?:[/?]|!(?!--))[^>]*+>|<(?:html|head|meta|link|base|basefont|bgsound|noscript)%b%b|%b)*+"
    % (_NAME_END, _TAG_END, _HELD),
    re.IGNORECASE | re.DOTALL,
)
"""What may be in a head, and text, which also ends it, but does no harm."""

_IN_SEGMENT = re.compile(";[^/]*")
_INDEX = re.compile(r"(?:index|default|home)\.[a-z]{2,5}")
_NUMBERS = re.compile("[0-9]+")
_NUMBER = re.compile(r"(?:[^=]*+=)?[.:_-]*+\d[\d.:_-]*+")
"""A parameter that is a number or a date. Session ids and the like also have letters."""


def directives_of(
    url: str,
    headers: CIMultiDictProxy[str],
    head: LexborNode | None = None,
    *,
    base: str = "",
    encoding: str = "utf-8",
    agent: str = "",
) -> Directives:
    """What the page at `url` says to the robot `agent` in its headers and in its `head`. References in the head are relative to `base`,
    and written in `encoding`. Both URLs are canonical.
    """
    tags, links = headers.getall("X-Robots-Tag", ()), headers.getall("Link", ())
    if head is None and not tags and not links:
        return _NOTHING
    said = _said_in_headers(tags, agent)
    canonical = _canonical_in_headers(links, url) if links else set()
    for node in head.iter() if head else ():
        if node.tag == "meta":
            said |= _said_in(node, agent)
        elif node.tag == "link":
            canonical |= _canonical_in(node, base, encoding)
    named = canonical.pop() if len(canonical) == 1 else None
    return Directives("noindex" in said, "nofollow" in said, named)


def head_of(body: bytes) -> bytes:
    """The beginning of a document that contains its head, and nothing of its body but text. Its encoding must have ASCII as it is."""
    end = body.find(b"<body")
    if end < 0:
        found = _HEAD.match(body)
        assert found, "nothing matches as well"
        end = found.end()
    return body[:end]


def may_speak(head: bytes, agent: str = "") -> bool:
    """Whether a head with these bytes may say something to robots."""
    head = head.lower()
    return b"canonical" in head or b"robots" in head or bool(agent and agent.encode() in head)


def may_forbid_links(body: bytes) -> bool:
    """Whether these bytes, in an encoding that has ASCII as it is, may contain a link that is not to be followed. Like nearly every
    crawler, this expects `nofollow` in lower case; if it is found, the tree decides, in any case."""
    return b"nofollow" in body


def may_be_other_name(url: str, canonical: str) -> bool:
    """Whether `canonical`, which the page at `url` names, can be another name of that page.

    It must be on the same host; it must not be the root, or another folder that the page is in; it must have the same numbers in its path;
    and its query must be the page's, without some parameters at most, but with those that are numbers or dates: these nearly always
    choose what is shown. So `/sale/lamp?session=8f3a` may be `/lamp`, but no article is the home page, the second page of a list is not
    the first, and `/3.10/lamp` is not `/3/lamp`. Upper and lower case, a slash or an index file at the end of the path, and parameters
    after a semicolon do not count.
    """
    if host_of(url) != host_of(canonical):
        return False
    path, query = _path_and_query(url)
    other_path, other_query = _path_and_query(canonical)
    if path != other_path and path[: len(other_path)] == other_path:
        return False
    if sorted(_NUMBERS.findall("/".join(path))) != sorted(_NUMBERS.findall("/".join(other_path))):
        return False
    return not (other_query - query or any(map(_NUMBER.fullmatch, query - other_query)))


def share_last_segment(url: str, other: str) -> bool:
    """Whether two paths end with the same segment, as those of one page in two places do."""
    return _path_and_query(url)[0][-1:] == _path_and_query(other)[0][-1:]


def _said_in_headers(values: Iterable[str], agent: str) -> set[str]:
    """The directives in header fields that are for us. A robot's name holds for all that follows in its field line, up to the next
    name."""
    said: set[str] = set()
    for value in values:
        is_for_us = True
        for part in value.lower().split(","):
            start = 0
            if (robot := _ROBOT.match(part)) and robot[1] not in _WITH_VALUES:
                is_for_us, start = robot[1] in ("*", agent), robot.end()
            if is_for_us:
                said |= _MEANINGS.get(part[start:].strip(), frozenset())
    return said


def _said_in(meta: LexborNode, agent: str) -> set[str]:
    attributes = meta.attributes
    name = (attributes.get("name") or "").strip().lower()
    if not name or name not in ("robots", agent):
        return set()
    words = set(_BETWEEN.split((attributes.get("content") or "").lower()))
    return {meaning for word in _MEANINGS.keys() & words for meaning in _MEANINGS[word]}


def _canonical_in_headers(values: Iterable[str], url: str) -> set[str]:
    links = parse_links(values, URL(url, encoded=True)).values()
    targets = [str(link["url"]) for link in links if "canonical" in _words(link.get("rel")) and "anchor" not in link]
    return set(resolve(url, targets))


def _canonical_in(link: LexborNode, base: str, encoding: str) -> set[str]:
    attributes = link.attributes
    href = attributes.get("href")
    if href is None or "canonical" not in _words(attributes.get("rel")):
        return set()
    from crawler.web.encoders import in_query  # not needed before the first document

    return set(resolve(base, [in_query(href, encoding)]))


def _words(value: object) -> list[str]:
    return str(value or "").lower().split()


def _path_and_query(url: str) -> tuple[list[str], Counter[str]]:
    """The segments of the path, as far as they count, and the parameters of the query."""
    path, _, query = url.split("/", 3)[3].partition("?")
    segments = [segment for segment in _IN_SEGMENT.sub("", path).lower().split("/") if segment]
    if segments and _INDEX.fullmatch(segments[-1]):
        segments.pop()
    return segments, Counter(filter(None, query.split("&")))
