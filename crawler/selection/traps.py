"""Traps: sites that make up URLs without end. A crawler that is caught in one fetches the same page for ever, or nothing.

A crawler cannot recognise a trap with certainty, only suspect one; so what is suspected here is set aside with its reason, and not
dropped. Six things are suspicious, and a seventh if the user gives patterns a budget:

* *a URL that grows*: a run of segments that is repeated in its path (`/a/b/a/b/a/b/a/b`), as relative links cause it where every path is
  answered; the same in its query; an escape of an escape of an escape; sheer length;
* *a session id* in a URL that was found before with another one. The first is fetched as it is, because a site that puts sessions into
  its URLs may well need one;
* *a calendar*: pages whose URLs end in dates, hundreds of them in a row, that lead to nothing but further dates;
* *a pattern*: a path through thousands of pages, each found on the one before, that leads to nothing else. Two URLs have the same pattern
  if they differ only in digits in the path and values in the query;
* *copies*: many pages in a row that differ only in their queries, with bodies that their host has sent before, and that lead to nothing
  else;
* *echoes*: pages that are, byte for byte, the page on which they were found, as where every path is answered by one page with relative
  links;
* *more of a pattern* than its budget: shops whose filters combine into more pages than anybody wants, each a little different.

For calendars, patterns and copies, only new links count as leading somewhere: those that had not been found before. So a list of a
million products is not a trap, however long it is; nor are the products, which are found on lists or a few steps from one another; but a
calendar without events is one.

A single request of the spider (`Request`, `page.follow`) is suspected only for its URL: a spider that goes through a list page by page
knows where to stop.

What is kept here is bounded, and the oldest is forgotten. A crawl that is resumed remembers the sessions in the URLs that were found
last, and begins its counts anew: they count things in a row, so losing them costs one more row of pages for each trap, but never a page.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from operator import eq
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from msgspec import Struct
from xxhash import xxh3_64_intdigest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crawler.settings import Settings

_KINDS_KEPT = 20_000
_BODIES_KEPT = 65_536
_SESSIONS_KEPT = 100_000
_WIDEST_RUN = 16
"""Segments. With this bound, a path of thousands of segments, of which a page may hold thousands, is not compared with itself at every
distance. If a wider run is repeated, each of its segments is soon found too often by itself."""

_DIGITS = re.compile(r"\d+")
_VALUE = re.compile(r"=[^&]*")
_DATE_AT_END = re.compile(
    r"""(?:^|\D)(?:
        [12]\d{3} (?P<between>[-/._]) (?:0?[1-9]|1[0-2]) (?:(?P=between) (?:0?[1-9]|[12]\d|3[01]))?  # 2024-05, 2024/5/31
        | [12]\d{3} (?:0[1-9]|1[0-2]) (?:0[1-9]|[12]\d|3[01])  # 20240531
        ) (?:/|\.\w{1,5})? $""",
    re.VERBOSE,
)
_DATE_IN_QUERY = re.compile(
    r"(?:^|[&_])(?:y|year|yr|month|mon|week|day|date)=\d|=[12]\d{3}-?[01]\d(?:-?[0-3]\d)?(?:&|$)"
)
_SESSION = re.compile(
    r"""(?: [;&?]jsessionid | [&?](?:phpsessid|aspsessionid\w*|oscsid|zenid|cftoken) )
            = (?=[^&;/]*\d) [\w.!*~,-]{12,}
        | [&?] (?:sid|sess(?:ion)?_?(?:id)?)
            = (?: [0-9a-f]{16,} | [0-9a-f]{8}-[0-9a-f-]{27} | (?=(?:[^&;/\d]*\d){5}) \w{20,} ) (?=[&;]|$)
        | (?<=/)\(s\(\w{24}\)\)/""",
    re.VERBOSE | re.IGNORECASE,
)
"""Session ids, by the names that servers give them; under a name that anybody might use, only a value that looks random."""

_NESTED_ESCAPE = re.compile("%2525[2-7][0-9A-F]")
"""An escape of an escape of an escape: the URL of a page with a parameter for where to go back to, nested in another such URL."""

Kind: TypeAlias = str
"""What URLs of one pattern have in common: their host, and the pattern."""


class Thresholds(NamedTuple):
    """When suspicion begins; 0: never. `crawler.settings` says what each of them counts."""

    repeats: int = 3
    url_length: int = 2048
    dates: int = 1000
    steps: int = 5000
    copies: int = 50
    pattern: int = 0

    @classmethod
    def of(cls, settings: Settings) -> Thresholds:
        return cls(
            repeats=settings.trap_repeats,
            url_length=settings.trap_url_length,
            dates=settings.trap_dates,
            steps=settings.trap_steps,
            copies=settings.trap_copies,
            pattern=settings.trap_pattern,
        )


class _Record(Struct):
    """About the latest pages of one kind: how many in a row led to nothing new, at which depth that began, and how many in a row were
    copies; and how many links of this kind were let in."""

    barren: int = 0
    begin: int | None = None
    copies: int = 0
    let_in: int = 0


def digest_of(body: bytes) -> int:
    """A digest that distinguishes bodies; the same in every process."""
    return xxh3_64_intdigest(body)


class Traps:
    """Judges what looks like a trap in one crawl. `visited` is called for each page, then `suspicion` for each new link on it."""

    def __init__(self, thresholds: Thresholds = Thresholds()) -> None:  # noqa: B008 - it cannot change
        self._thresholds = thresholds
        self._records: OrderedDict[Kind, _Record] = OrderedDict()
        self._pages = _Latest(_BODIES_KEPT)  # by the URL requested, the digest of its body
        self._bodies = _Latest(_BODIES_KEPT)  # by digest, how many of its pages were echoes
        self._sessions = _Latest(2 * _SESSIONS_KEPT)  # by URL without its session, the whole
        self._copied: set[Kind] = set()
        self._page: str | None = None
        self._page_kind: Kind | None = None
        self._page_is_date: bool | None = None
        self._page_echoes = 0

    def visited(self, url: str, body: int, found_on: str | None = None, *, requested_url: str | None = None) -> None:
        """Note a page that has come: its canonical URL, the digest of its body, and the page on which it was found, by the URL that was
        requested. `requested_url`: its own, if redirects led from there."""
        self._look_at(url)
        digest = hash((url.split("/", 3)[2], body))
        echoes = self._bodies.get(digest)
        if self._page_kind:
            self._count(self._page_kind, is_copy=echoes is not None and "?" in url)
        if found_on and self._pages.get(hash(found_on)) == digest:
            self._page_echoes = echoes = (echoes or 0) + 1
        self._bodies.put(digest, echoes or 0)
        self._pages.put(hash(requested_url or url), digest)

    def _count(self, kind: Kind, *, is_copy: bool) -> None:
        record, most = self._record(kind), self._thresholds.copies
        record.barren += 1
        record.copies = record.copies + 1 if is_copy else 0
        if most and record.copies >= most:
            self._copied.add(kind)
        elif not record.copies:
            self._copied.discard(kind)

    def remember(self, urls: Iterable[str]) -> None:
        """Take up the sessions in canonical URLs that were let in by earlier runs."""
        for url in urls:
            if "?" in url or ";" in url or "(" in url:
                self._known_but_for_session(url)

    def suspicion(self, url: str, found_on: str | None, *, depth: int = 1, is_alone: bool = False) -> str | None:
        """Why a new canonical URL in scope, at this depth, looks like part of a trap, in words; None if it does not.

        `found_on` is the page visited last; None for what was not found on a page. With `is_alone`, a single request as opposed to one
        of many links, it is not suspected because of other pages.
        """
        thresholds = self._thresholds
        path, _, query = url.split("/", 3)[3].partition("?")
        if thresholds.url_length and len(url) > thresholds.url_length:
            return f"a URL of {len(url)} characters"
        if most := thresholds.repeats:
            grown = _grown_path(path.split("/"), most) if path.count("/") >= most else None
            if grown := grown or (_grown_query(query, most) if query else None):
                return grown
        if (query or ";" in path or "(" in path) and (known := self._known_but_for_session(url)):
            return known
        suspicion = self._more_of_the_same(url, depth, found_on) if found_on else None
        return None if is_alone else suspicion or self._beyond_budget(url)

    def _beyond_budget(self, url: str) -> str | None:
        most = self._thresholds.pattern
        if not most or not (kind := _kind_of(url)):
            return None
        record = self._record(kind)
        if record.let_in >= most:
            return f"{most} URLs like {kind} have been let in"
        record.let_in += 1
        return None

    def _known_but_for_session(self, url: str) -> str | None:
        session = _SESSION.search(url)
        if session is None:
            return None
        bare = xxh3_64_intdigest((url[: session.start()] + url[session.end() :]).encode())
        if self._sessions.get(bare) not in (None, hash(url)):
            return "found before, with another session id"
        self._sessions.put(bare, hash(url))
        return None

    def _more_of_the_same(self, url: str, depth: int, found_on: str) -> str | None:
        if found_on != self._page:
            self._look_at(found_on)
        most = self._thresholds.copies
        if most and (number := self._page_echoes) >= most:
            return f"found on a copy of the very page that leads to that copy, number {number} of such copies"
        if not self._page_kind and not self._copied:
            return None
        kind = _kind_of(url)
        if kind in self._copied:
            return f"the last pages like {kind}, {most} and more in a row, were copies, and led nowhere"
        return self._barren(url, kind, depth)

    def _barren(self, url: str, kind: Kind | None, depth: int) -> str | None:
        if not self._page_kind:
            return None
        record, dates, steps = self._record(self._page_kind), self._thresholds.dates, self._thresholds.steps
        is_same = kind == self._page_kind
        if record.begin is None:
            record.begin = depth
        if is_same and record.barren <= min(dates, steps):  # no more steps than pages
            return None
        is_date = self._is_on_date() and _is_date(url)
        if not is_same and not is_date:
            record.barren, record.begin, record.copies = 0, depth, 0
            self._copied.discard(self._page_kind)
        elif is_date and dates and record.barren > dates:
            return f"the last {record.barren} pages like {self._page_kind} led to nothing but further dates"
        elif is_same and steps and depth - record.begin > steps:
            return f"the last {steps} steps led from one page like {kind} to the next, and to nothing else"
        return None

    def _is_on_date(self) -> bool:
        if self._page_is_date is None:
            self._page_is_date = self._page is not None and _is_date(self._page)
        return self._page_is_date

    def _look_at(self, page: str) -> None:
        self._page = page
        self._page_kind = _kind_of(page)
        self._page_is_date = None
        self._page_echoes = 0

    def _record(self, kind: Kind) -> _Record:
        record = self._records.get(kind)
        if record is None:
            record = self._records[kind] = _Record()
            if len(self._records) > _KINDS_KEPT:
                self._copied.discard(self._records.popitem(last=False)[0])
        else:
            self._records.move_to_end(kind)
        return record


class _Latest:
    """A mapping of numbers to numbers: at most `most`, and always the latest half of them. When half are new, these become the old ones,
    and the old ones are forgotten. An `OrderedDict` could forget the oldest alone, but takes three times the memory.
    """

    __slots__ = ("_most_new", "_new", "_old")

    def __init__(self, most: int) -> None:
        self._most_new = most // 2
        self._new: dict[int, int] = {}
        self._old: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def get(self, key: int) -> int | None:
        found = self._new.get(key)
        return self._old.get(key) if found is None else found

    def put(self, key: int, value: int) -> None:
        if len(self._new) >= self._most_new:
            self._old, self._new = self._new, {}
        self._new[key] = value


def _kind_of(url: str) -> Kind | None:
    """The kind of a URL; None if neither digits nor a query distinguish it from others: then it is one of a kind."""
    _, _, host, rest = url.split("/", 3)
    path, mark, query = rest.partition("?")
    collapsed = _DIGITS.sub("#", path)
    if mark:
        return f"{host}/{collapsed}?{_VALUE.sub('', query)}"
    return f"{host}/{collapsed}" if collapsed != path else None


def _is_date(url: str) -> bool:
    """Whether a date distinguishes this page from others like it. If a title follows the date, it is an article, and this is False."""
    rest = url.split("/", 3)[3].replace("%2F", "/")
    return _DATE_AT_END.search(rest) is not None or _DATE_IN_QUERY.search(rest.partition("?")[2]) is not None


def _grown_path(segments: list[str], most: int) -> str | None:
    """How a path has grown, in words; None if it has not. Repeated numbers do not count, as in `/list/0/0/0/0`."""
    if len(segments) - len(set(segments)) < most:
        return None
    for width in range(1, min(len(segments) // (most + 1), _WIDEST_RUN) + 1):
        again = bytes(map(eq, segments, segments[width:]))  # 1 where a segment is repeated at this distance
        streak = b"\1" * (width * most)
        place = again.find(streak)
        while place >= 0:
            run = segments[place : place + width]
            if not all(map(str.isdigit, run)):
                return f"/{'/'.join(run)} stands {most + 1} times in a row in its path"
            place = again.find(streak, place + 1)
    for segment, times in Counter(segments).most_common():
        if times <= 2 * most:
            return None
        if not segment.isdigit():
            return f"/{segment} stands {times} times in its path"
    return None


def _grown_query(query: str, most: int) -> str | None:
    if _NESTED_ESCAPE.search(query):
        return "its query holds escapes of escapes of escapes"
    pairs = query.split("&")
    if len(pairs) - len(set(pairs)) < most:
        return None
    pair, times = Counter(pairs).most_common(1)[0]
    return f"{pair} stands {times} times in its query" if times > most else None
