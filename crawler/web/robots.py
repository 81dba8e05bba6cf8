"""robots.txt (RFC 9309): what one origin asks of one robot.

It finds the groups of the file that are for us, and the rule in them that decides about a URL. Patterns and paths are compared as the
octets that they stand for; only `%2F` and `%25` stay as they are, because `%2F` is not `/`, and `%2541` is not `%41`.

The file is untrusted: 500 KiB of it hold tens of thousands of rules, and each request to its host is checked against them. So rules without
`*` are looked up in a table, once for each length that such rules have; rules with `*` are tried from the longest on. If there are many of
these and a path is long, the parts of the path are looked up as well, so that it is not searched from end to end for each rule.

Beyond the RFC, because robots.txt files are written by hand: `crawl-delay`; common misspellings of field names; a missing colon; product
tokens with any characters (`archive.org_bot`). By the RFC (§2.2.1), a line that is neither allow nor disallow does not end the list of
user agents above it; a crawl-delay there holds for the agents listed so far.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from typing import NamedTuple

from crawler.web.product import product_token
from crawler.web.urls import path_of

MAX_BYTES = 500 * 1024
"""How much of a robots.txt is read (RFC 9309 §2.5)."""

_LINE_BREAK = re.compile("[\r\n]+")

_RECORD = re.compile(
    r"\s*(?P<field>user[- ]?agent|crawl[- ]delay|[a-z-]+)[ \t]*(?::|[ \t])\s*(?P<value>.*)", re.IGNORECASE
)
_AGENT_FIELD = re.compile("user[- ]?agent", re.IGNORECASE)
_RULE_FIELD = re.compile("allow|d[a-z]*l[oa]w", re.IGNORECASE)
_DELAY_FIELD = re.compile("crawl[- ]delay", re.IGNORECASE)
_SITEMAP_FIELD = re.compile("site-?maps?", re.IGNORECASE)

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_KEPT_ESCAPED = (b"%2F", b"%25")

_ROBOTS_BYTES = 1000
_RULE_BYTES = 130
_SHAPE_BYTES = 280
_PART_BYTES = 64
"""What a file, a rule, a rule with `*` and a part of such a rule take in memory besides their text, roughly."""

_MANY_SHAPES = 500
_STRETCH = 256
"""Characters. If there are many rules with `*`, the parts of a longer path are looked up (`_Holdings`)."""


class _Shape(NamedTuple):
    """A rule with `*`: how its paths start, what they contain after that, in this order, and how they end, if the rule says so."""

    length: int
    allows: bool
    start: str
    inside: tuple[str, ...]
    end: str | None
    line: str

    def fits(self, path: str, holdings: _Holdings | None) -> bool:
        if not path.startswith(self.start):
            return False
        if holdings is not None:
            for part in self.inside:
                if not holdings[part]:
                    return False
        at = len(self.start)
        for part in self.inside:
            found = path.find(part, at)
            if found < 0:
                return False
            at = found + len(part)
        return self.end is None or (len(path) - len(self.end) >= at and path.endswith(self.end))


class Robots:
    """What a robots.txt says to one robot. Made by `parse`; an empty file allows everything.

    What it means that a robots.txt cannot be fetched is up to whoever fetches it (RFC 9309 §2.3.1).
    """

    __slots__ = ("_lengths", "_prefixes", "_shapes", "_wholes", "crawl_delay", "sitemaps", "size_bytes")

    def __init__(self, lines: list[str]) -> None:
        self.crawl_delay: float | None = None
        """The seconds asked for between two requests."""
        self.sitemaps: list[str] = []
        """The URLs of sitemaps, as they are written; they are for every robot."""
        self._prefixes: dict[str, str] = {}  # by what paths start with, the line
        self._wholes: dict[str, str] = {}  # by the only path, the line
        self._shapes: list[_Shape] = []
        for line in lines:
            self._take(line)
        self._lengths = sorted(set(map(len, self._prefixes)), reverse=True)
        self._shapes.sort(key=lambda shape: (shape.length, shape.allows), reverse=True)
        self.size_bytes = self._size_bytes(lines)
        """Roughly how much memory this takes."""

    @classmethod
    def parse(cls, body: bytes, *, user_agent: str) -> Robots:
        """Read the first 500 KiB of a robots.txt, as UTF-8, for the robot that names itself `user_agent` in its requests.

        Never fails: lines that are not understood are ignored, as is a line that is cut off by the limit.
        """
        if len(body) >= MAX_BYTES:
            body = body[: max(body.rfind(b"\n", 0, MAX_BYTES), body.rfind(b"\r", 0, MAX_BYTES), 0)]
        return cls(_lines_for(product_token(user_agent), body.decode("utf-8-sig", "replace")))

    def allows(self, url: str) -> bool:
        """Whether this canonical URL of the origin may be fetched; the robots.txt itself always may."""
        return self.refusal_of(url) is None

    def refusal_of(self, url: str) -> str | None:
        """The rule, as it is written, that forbids fetching this canonical URL; None if it may be fetched."""
        line = self.rule_for(url)
        return None if line is None or _allows(line) else line

    def rule_for(self, url: str) -> str | None:
        """The rule by which `allows` decides; None if no rule matches the URL.

        The longest rule that matches decides; of two with the same length, the one that allows (RFC 9309 §2.2.2).
        """
        path = path_of(url)
        if path == "/robots.txt":
            return None
        path = _octets(path)
        line, length = self._longest_without_shape(path)
        holdings = _Holdings(path) if len(self._shapes) > _MANY_SHAPES and len(path) > _STRETCH else None
        for shape in self._shapes:
            if shape.length < length:
                break
            if shape.fits(path, holdings):
                return shape.line if shape.length > length or shape.allows else line
        return line

    def _longest_without_shape(self, path: str) -> tuple[str | None, int]:
        if whole := self._wholes.get(path):
            return whole, len(path) + 1  # no prefix of the path is as long
        size = len(path)
        for length in self._lengths:
            if length <= size and (line := self._prefixes.get(path[:length])):
                return line, length
        return None, -1

    def _size_bytes(self, lines: list[str]) -> int:
        looked_up = len(self._prefixes) + len(self._wholes) + len(self.sitemaps)
        parts = sum(len(shape.inside) for shape in self._shapes)
        tried = len(self._shapes) * _SHAPE_BYTES + parts * _PART_BYTES
        return _ROBOTS_BYTES + looked_up * _RULE_BYTES + tried + 2 * sum(map(len, lines))

    def _take(self, line: str) -> None:
        record = _RECORD.match(line)
        assert record, "only such lines are given"
        field, value = record["field"], record["value"].strip()
        if not value:
            return
        if _RULE_FIELD.fullmatch(field):
            self._take_rule(line, value)
        elif _DELAY_FIELD.fullmatch(field):
            delay = _seconds(value)
            self.crawl_delay = self.crawl_delay if delay is None else delay
        elif _SITEMAP_FIELD.fullmatch(field):
            self.sitemaps.append(value)

    def _take_rule(self, line: str, value: str) -> None:
        """Take in a rule. `*` stands for any characters, and `$` at the end for the end; `%2A` and `%24` stand for the characters
        themselves (RFC 9309 §2.2.3)."""
        is_whole = value.endswith("$")
        start, *rest = map(_octets, value.removesuffix("$").split("*"))
        if not rest:
            rules = self._wholes if is_whole else self._prefixes
            known = rules.get(start)
            if known is None or (_allows(line) and not _allows(known)):
                rules[start] = line
            return
        length = len(start) + len(rest) + sum(map(len, rest)) + is_whole
        end = rest.pop() if is_whole else None
        self._shapes.append(_Shape(length, _allows(line), start, tuple(filter(None, rest)), end, line))


class _Holdings(dict[str, bool]):
    """Whether a path contains a part of a rule, or the start of a very long part. Some parts are in many rules."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._stretches = sorted({path[at : at + _STRETCH] for at in range(len(path))})

    def __missing__(self, part: str) -> bool:
        start = part[:_STRETCH]
        at = bisect_left(self._stretches, start)
        self[part] = holds = at < len(self._stretches) and self._stretches[at].startswith(start)
        return holds


def _lines_for(token: str, text: str) -> list[str]:
    """The lines of all groups that name `token`, or, if none does, of those for everyone; and the sitemaps."""
    named: list[str] = []
    for_everyone: list[str] = []
    sitemaps: list[str] = []
    is_known = is_heading = names_us = names_everyone = False
    for line in _LINE_BREAK.split(text):
        record = _RECORD.match(line.partition("#")[0])
        if record is None:
            continue
        field, value = record.group("field", "value")
        if _AGENT_FIELD.fullmatch(field):
            if not is_heading:
                is_heading, names_us, names_everyone = True, False, False
            names_everyone = names_everyone or value.split()[:1] == ["*"]
            names_us = names_us or product_token(value) == token != ""
            is_known = is_known or names_us
        elif _SITEMAP_FIELD.fullmatch(field):
            sitemaps.append(record[0].strip())
        else:
            is_heading = is_heading and not _RULE_FIELD.fullmatch(field)
            if names_us:
                named.append(record[0].strip())
            if names_everyone:
                for_everyone.append(record[0].strip())
    return [*(named if is_known else for_everyone), *sitemaps]


def _allows(line: str) -> bool:
    """Whether a line that is a rule begins with `allow`."""
    return line[0] in "aA"


def _seconds(value: str) -> float | None:
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _octets(text: str) -> str:
    """The octets of a path, or of a part of a pattern, each as one character, without unnecessary escapes."""
    if "%" not in text and text.isascii():
        return text
    return _ESCAPE.sub(_octet, text.encode()).decode("latin-1")


def _octet(escape: re.Match[bytes]) -> bytes:
    written = escape[0].upper()
    return written if written in _KEPT_ESCAPED else bytes.fromhex(escape[1].decode())
