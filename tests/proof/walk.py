"""What a crawl of a folder served by nginx must find, worked out from the files alone.

A plain breadth-first walk over the disk with the standard library. It shares nothing with the crawler: neither the HTML
parser, nor the rules for URLs, nor a network; so that where the two agree, both are right or the standard was read wrongly
twice, independently.

What nginx does with a path, as far as these folders need it: percent escapes are decoded, a percent sign that starts none
is a bad request, and repeated slashes are merged; a folder without its slash is redirected to the one with it; a folder with its slash is its index.html, or forbidden.

Usage: python -m tests.proof.walk ROOT URL, which prints the answers as JSON
"""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

_STRAY_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
_HTML = {".html", ".htm", ".xhtml"}
_BLANK = "".join(map(chr, range(0x21)))
_AS_THEY_ARE = "/%:@!$&'()*+,;=[]|^-._~"
"""What the path-percent-encode set of the WHATWG URL Standard leaves alone, of the ASCII characters seen in paths."""


class Answer(NamedTuple):
    """What nginx says to one URL: `target` is where a redirect leads, `links` the same-host URLs an HTML page names."""

    status: int
    is_html: bool = False
    target: str | None = None
    links: frozenset[str] = frozenset()


class Walk(NamedTuple):
    """Every URL that is asked for, with its answer."""

    answers: dict[str, Answer]

    @classmethod
    def from_json(cls, text: str) -> Walk:
        """What a process that took the walk has printed."""
        return cls({url: Answer(**answer) for url, answer in json.loads(text).items()})

    def to_json(self) -> str:
        """The answers, but for their links."""
        kept = ("status", "is_html", "target")
        return json.dumps({url: {name: getattr(answer, name) for name in kept} for url, answer in self.answers.items()})

    @property
    def pages(self) -> set[str]:
        """The HTML pages."""
        return {url for url, answer in self.answers.items() if answer.status == 200 and answer.is_html}

    @property
    def redirects(self) -> dict[str, str]:
        return {url: answer.target for url, answer in self.answers.items() if answer.target is not None}

    @property
    def finals(self) -> dict[str, int]:
        """The URLs at which a journey can end, with their status."""
        return {url: answer.status for url, answer in self.answers.items() if answer.target is None}


def walk(root: Path, start: str) -> Walk:
    """Everything that same-host `<a href>` links lead to from the URL `start`, at which `root` is served."""
    answers: dict[str, Answer] = {}
    level = [start]
    while level:
        found: dict[str, None] = {}
        for url in level:
            answer = answers[url] = _ask(root, url)
            found.update(dict.fromkeys([answer.target] if answer.target else answer.links))
        level = [url for url in found if url not in answers]
    return Walk(answers)


def _ask(root: Path, url: str) -> Answer:
    path = urlsplit(url).path
    if _STRAY_PERCENT.search(path):
        return Answer(400, is_html=True)
    name = re.sub("/{2,}", "/", unquote(path))
    file = root / name.removeprefix("/")
    if file.is_dir() and not name.endswith("/"):
        return Answer(301, is_html=True, target=f"{url}/")
    if name.endswith("/"):
        if not file.is_dir():
            return Answer(404, is_html=True)
        file = file / "index.html"
        if not file.is_file():
            return Answer(403, is_html=True)
    if not file.is_file():
        return Answer(404, is_html=True)
    if file.suffix not in _HTML:  # to nginx as to pathlib, a name that begins with its only dot has no suffix
        return Answer(200)
    return Answer(200, is_html=True, links=frozenset(_links(url, file)))


def _links(url: str, file: Path) -> Iterator[str]:
    # No encoding is needed to find the links: outside ASCII these pages have text alone, as the tests make sure.
    anchors = _Anchors()
    anchors.feed(file.read_bytes().decode("latin-1"))
    anchors.close()
    site = urlsplit(url)
    base = _join(site, anchors.base or "")
    for href in dict.fromkeys(anchors.hrefs):
        target = _join(base, href)
        if target[:2] == site[:2]:
            yield target.geturl()


def _join(base: SplitResult, reference: str) -> SplitResult:
    """Where a reference leads, without fragment (RFC 3986 §5.2.2), escaped as a browser would.

    `urllib.parse.urljoin` drops empty path segments, which the RFC and the browsers keep.
    """
    parts = urlsplit(reference)._replace(fragment="")
    if parts.scheme or parts.netloc:
        return parts._replace(scheme=parts.scheme or base.scheme, path=quote(parts.path or "/", safe=_AS_THEY_ARE))
    if not parts.path:
        return base._replace(query=parts.query or base.query)
    folder = "" if parts.path.startswith("/") else base.path[: base.path.rindex("/") + 1]
    return base._replace(path=quote(_without_dots(folder + parts.path), safe=_AS_THEY_ARE), query=parts.query)


def _without_dots(path: str) -> str:
    """RFC 3986 §5.2.4."""
    kept: list[str] = []
    _, *segments = path.split("/")
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return f"/{'/'.join(kept)}"


class _Anchors(HTMLParser):
    """Collects the `href` of every `<a>`, and of the first `<base>`."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.base: str | None = None
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("a", "base"):
            return
        href = next((value for name, value in attrs if name == "href"), None)
        if href is None:
            return
        if tag == "a":
            self.hrefs.append(href.strip(_BLANK))
        elif self.base is None:
            self.base = href.strip(_BLANK)


if __name__ == "__main__":
    print(walk(Path(sys.argv[1]), sys.argv[2]).to_json())
