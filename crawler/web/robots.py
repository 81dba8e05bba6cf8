"""robots.txt (RFC 9309): what one origin asks of one robot.

Protego reads rules and matches paths. Which of the file's groups are ours is decided here, for there Protego is more
generous than the RFC: it takes `user-agent: neph` to mean nephila, lets any unknown line end a group, and breaks lines at
form feeds and the like. So it is handed just our lines, as one group.

Beyond the RFC, because robots.txt files are written by hand: `crawl-delay`; usual misspellings of field names; a colon left
out; product tokens of any characters (`archive.org_bot`). A line that is neither allow nor disallow does not end the list
of user agents above it, as the RFC has it (§2.2.1), and a crawl-delay there counts for those listed so far.

Departures that are left, all Protego's: a rule that ends in `$` also matches as if the `$` were a character of the path;
a rule that allows `…/index.html` also allows `…/`; `%2F` is not `/`, which §2.2.2 leaves open.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote

from crawler.web.product import product_token
from crawler.web.urls import origin_of, robots_url

MAX_BYTES = 500 * 1024
"""As much of a robots.txt as is read (RFC 9309 §2.5)."""

_EVERYONE = "user-agent: *"

_LINE_BREAK = re.compile("[\r\n]+")
_FALSE_LINE_BREAK = re.compile("[\v\f\x1c-\x1e\x85\u2028\u2029]")
"""Where `str.splitlines` breaks a line and the RFC does not."""

_RECORD = re.compile(r"\s*(?P<field>user[- ]?agent|[a-z-]+)[ \t]*(?::|[ \t])\s*(?P<value>.*)", re.IGNORECASE)
_AGENT_FIELD = re.compile("user[- ]?agent", re.IGNORECASE)
_RULE_FIELD = re.compile("allow|d[a-z]*l[oa]w", re.IGNORECASE)
_SITEMAP_FIELD = re.compile("site-?maps?", re.IGNORECASE)


class _Rule(NamedTuple):
    text: str
    pattern: str
    allows: bool


class Robots:
    """What a robots.txt says to one robot. Made by `parse`; an empty file allows everything.

    What becomes of a robots.txt that could not be had is up to whoever asked for it (RFC 9309 §2.3.1).
    """

    __slots__ = ("_parser", "_rules")

    def __init__(self, lines: list[str]) -> None:
        from protego import Protego

        self._parser = Protego.parse("\n".join([_EVERYONE, *lines]))
        self._rules = [rule for line in lines if (rule := _rule_of(line))]

    @classmethod
    def parse(cls, body: bytes, *, user_agent: str) -> Robots:
        """Read the first 500 KiB of a robots.txt, as UTF-8, for the robot that names itself `user_agent` in its requests.

        Never fails: lines that say nothing known are passed over, as is a line cut off by the limit.
        """
        if len(body) >= MAX_BYTES:
            body = body[: max(body.rfind(b"\n", 0, MAX_BYTES), body.rfind(b"\r", 0, MAX_BYTES), 0)]
        return cls(_lines_for(product_token(user_agent), body.decode("utf-8-sig", "replace")))

    def allows(self, url: str) -> bool:
        """Whether this canonical URL of the origin may be fetched. The robots.txt itself always may."""
        return self._parser.can_fetch(url, "*")

    def rule_for(self, url: str) -> str | None:
        """The rule, as it is written, by which `allows` decides; None if no rule speaks of the URL. For explanations: slow."""
        if url == robots_url(origin_of(url)):
            return None
        allowed = self.allows(url)
        deciding = [rule for rule in self._rules if rule.allows == allowed and _matches(rule.pattern, url)]
        return max(deciding, key=lambda rule: len(rule.pattern)).text if deciding else None

    @property
    def crawl_delay(self) -> float | None:
        """The seconds asked for between two requests."""
        return self._parser.crawl_delay("*")

    @property
    def sitemaps(self) -> list[str]:
        """The URLs of sitemaps, as they are written; they concern every robot."""
        return list(self._parser.sitemaps)


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
            sitemaps.append(_one_line(record[0]))
        else:
            is_heading = is_heading and not _RULE_FIELD.fullmatch(field)
            if names_us:
                named.append(_one_line(record[0]))
            if names_everyone:
                for_everyone.append(_one_line(record[0]))
    return [*(named if is_known else for_everyone), *sitemaps]


def _one_line(text: str) -> str:
    return _FALSE_LINE_BREAK.sub(lambda found: quote(found[0]), text).strip()


def _rule_of(line: str) -> _Rule | None:
    record = _RECORD.match(line)
    if record is None or not _RULE_FIELD.fullmatch(record["field"]) or not record["value"]:
        return None
    return _Rule(line, record["value"], allows=record["field"].lower() == "allow")


def _matches(pattern: str, url: str) -> bool:
    from protego import Protego

    return not Protego.parse(f"{_EVERYONE}\ndisallow: {pattern}").can_fetch(url, "*")
