"""What was seen, on disk: sorted runs of marks, the filter over them, and the links that are stored until they are sifted.

A run is written, once and for all, whenever as many marks have come as memory holds. It has 256 rows, by the first byte of the marks.
A run and the filter that knows it are written in one transaction, after the commit that brought the requests, so whatever it knows is
in the file. So a large file opens as fast as the filter can be read; only requests that came after the last run are hashed again.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from crawler.cancellation import to_the_end
from crawler.frontier.marks import BLOCK_BYTES, PARTS, bytes_of, strike_out, words_of
from crawler.frontier.rows import Offer, method_and_body
from crawler.web.urls import fingerprint, fingerprints

if TYPE_CHECKING:
    from array import array
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from crawler.frontier.commits import GroupCommit
    from crawler.frontier.file import CrawlFile
    from crawler.frontier.intake import Intake

_PUT_PART = "INSERT INTO seen (id, marks, upto) VALUES (?, ?, ?)"
_PUT_BITS = "INSERT OR REPLACE INTO sketch VALUES (?, ?)"

_SEEN_ON_THE_WAY = """
SELECT json_extract(hop, '$[0]'), json_extract(hop, '$[1]')
FROM (SELECT hop FROM queue WHERE hop IS NOT NULL UNION ALL SELECT hop FROM aside WHERE hop IS NOT NULL)
UNION ALL
SELECT passed.url, 'GET' FROM (
    SELECT request, value AS url FROM queue, json_each(hop, '$[2]') WHERE hop IS NOT NULL
    UNION ALL SELECT request, value FROM aside, json_each(hop, '$[2]') WHERE hop IS NOT NULL
    UNION ALL SELECT request, final_url FROM result WHERE redirects IS NOT NULL
    UNION ALL SELECT request, value FROM result, json_each(redirects) WHERE redirects IS NOT NULL
) AS passed JOIN request ON request.id = passed.request
WHERE passed.url IS NOT NULL AND json_extract(request.extra, '$.method') IS NULL"""
"""Where redirects led. Only for a GET is it known with which method they were followed: better fetch such a URL twice than never."""

_PARTS = "SELECT id, marks FROM seen WHERE id BETWEEN ? AND ?"
_SOME_PARTS = "SELECT marks FROM json_each(?) AS wanted CROSS JOIN seen ON seen.id = wanted.value"

_OFFERS = "SELECT id, depth, found_on, alone, extra, urls FROM offered WHERE id BETWEEN ? AND ? ORDER BY id"

_PAGES = """
SELECT request.id, coalesce(result.final_url, request.url) FROM json_each(?) AS wanted
CROSS JOIN request ON request.id = wanted.value LEFT JOIN result ON result.request = request.id
WHERE request.url NOT LIKE 'lost:%'"""
"""Without those whose URL is not known any more after a repair: nobody can judge a link by that."""

_ROWS_AT_ONCE = 20_000
_PARTS_AT_ONCE = 16
"""A megabyte of a run with a million marks."""
_OFFERS_AT_ONCE = 200

_WORTH_KEEPING = 250_000
"""Fewer requests than this are read and hashed in half a second when the file is opened, and not worth a run when it is closed."""

_PATIENCE_SECONDS = 60.0
"""How long a link is stored, at most, while there is other work; or a hundred times as long as the last sifting took, if that is more."""


class Runs:
    """Keeps the intake's sieve from growing, and answers its doubts."""

    def __init__(self, intake: Intake, file: CrawlFile, commits: GroupCommit) -> None:
        self._intake = intake
        self._sieve = intake.sieve
        self._file = file
        self._commits = commits
        self._runs = 0
        self._upto = 0
        self._has_work = asyncio.Event()
        self._has_much = asyncio.Event()
        self._turn = asyncio.Lock()
        self._patience = _PATIENCE_SECONDS

    # ------------------------------------------------------------------ opening and closing

    async def load(self) -> None:
        """Fill the sieve from the file. Raises ValueError when the file's seen-set is damaged."""
        last = self._intake.next_request - 1
        ((rows, newest, upto),) = await self._file.read(
            "SELECT count(*), coalesce(max(id), -1), coalesce(max(upto), 0) FROM seen"
        )
        if upto <= last:
            self._runs, self._upto = (newest + 1) // PARTS, upto
            if rows != self._runs * PARTS:
                raise ValueError("a part of the seen-set is missing")
        else:  # the file was repaired, and has lost requests: these were never seen
            await self._file.run_script("DELETE FROM seen; DELETE FROM sketch;")
        if self._runs:
            await self._load_bits()
            if len(self._sieve.bits) < self._sieve.wanted_bytes:
                await self._enlarge_bits()
        for first in range(self._upto + 1, last + 1, _ROWS_AT_ONCE):
            until = min(first + _ROWS_AT_ONCE - 1, last)
            urls = await self._file.read("SELECT url, extra FROM request WHERE id BETWEEN ? AND ?", (first, until))
            marks = [fingerprint(url, *(method_and_body(extra) if extra else ())) for url, extra in urls]
            self._sieve.update(words_of(b"".join(marks)))
            if self._sieve.is_full:
                self._sieve.begin_leaving()
                await self._write_run(until)
        passed = [fingerprint(url, method) for url, method in await self._file.read(_SEEN_ON_THE_WAY)]
        self._sieve.update(words_of(b"".join(passed)))
        async for offer in self._offers(self._intake.next_offer - 1, lambda _: True):
            self._sieve.ask(words_of(b"".join(offer.marks)))
        if self.is_undecided:
            self._has_work.set()

    async def _load_bits(self) -> None:
        bits = bytearray()
        for part in range(PARTS):
            for (some,) in await self._file.read("SELECT bits FROM sketch WHERE part = ?", (part,)):
                bits += some
        blocks, rest = divmod(len(bits), BLOCK_BYTES)
        if rest or not blocks or blocks & (blocks - 1):
            raise ValueError("the filter over the seen-set is damaged")
        self._sieve.bits = bits

    async def _enlarge_bits(self) -> None:
        """Make the filter anew from the runs: it was made for a process that remembered less, and would fill up too soon."""
        self._sieve.begin_bits()
        for first in range(0, self._runs * PARTS, _PARTS_AT_ONCE):
            for _, marks in await self._file.read(_PARTS, (first, first + _PARTS_AT_ONCE - 1)):
                self._sieve.note(words_of(marks))
        async with self._file.transaction():
            await self._write_bits()

    async def put_away(self) -> None:
        """Write what memory holds, if restoring it from the requests would take long. Nothing may be pending."""
        upto = self._intake.next_request - 1
        if upto - self._upto >= _WORTH_KEEPING:
            self._sieve.begin_leaving()
            await self._write_run(upto)

    # ------------------------------------------------------------------ beside the work

    @property
    def is_undecided(self) -> bool:
        """Whether some of the stored links may be new."""
        return self._intake.first_offer < self._intake.next_offer

    def pend(self) -> bool:
        """Note that something was taken in; returns whether so much came that more must wait for `tend`."""
        sieve = self._sieve
        is_much = sieve.asks_enough or sieve.is_full
        if not (sieve.asks or is_much):
            return False
        self._has_work.set()
        if is_much:
            self._has_much.set()
        return sieve.is_overdue

    async def keep_tending(self) -> None:
        """Call `tend` when there is much to do, or something has waited for long; until cancelled."""
        while True:
            await self._has_work.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._patience):
                    await self._has_much.wait()
            await self.tend(sifts=True)

    async def tend(self, *, sifts: bool = False) -> None:
        """Write a run if it is time for that; sift if it is time, or if `sifts`."""
        async with self._turn:
            self._has_work.clear()
            self._has_much.clear()
            if self._sieve.is_full:
                await to_the_end(self._write_what_is_recent())
            if self._sieve.asks_enough or (sifts and self.is_undecided):
                begin = time.monotonic()
                await self._sift()
                self._patience = max(_PATIENCE_SECONDS, 100 * (time.monotonic() - begin))
            self.pend()

    async def _write_what_is_recent(self) -> None:
        async with self._file.turn:
            self._sieve.begin_leaving()
            upto = self._intake.next_request - 1
            await self._commits.commit()  # all that leaves is in the file by then, or was before
            await self._write_run(upto)

    async def _write_run(self, upto: int) -> None:
        """Write what leaves memory as a run. The requests up to `upto` must be in the file, and nobody else may write."""
        first = self._runs * PARTS
        async with self._file.transaction():
            for some in _portions():
                parts = [(first + number, bytes_of(self._sieve.leaving(number)), upto) for number in some]
                await self._file.write_each(_PUT_PART, parts)
            await self._write_bits()
        self._sieve.end_leaving()
        self._runs += 1
        self._upto = upto

    async def _write_bits(self) -> None:
        bits, width = self._sieve.bits, len(self._sieve.bits) // PARTS
        for some in _portions():
            sketch = [(number, bytes(bits[number * width : (number + 1) * width])) for number in some]
            await self._file.write_each(_PUT_BITS, sketch)

    # ------------------------------------------------------------------ doubts

    async def is_known(self, mark: array[int]) -> bool:
        """Whether a mark is in one of the runs: a look-up on disk in each."""
        places = range(mark[0] >> 56, self._runs * PARTS, PARTS)
        for (marks,) in await self._file.read(_SOME_PARTS, (msgspec.json.encode(list(places)).decode(),)):
            is_found = bytearray(1)
            strike_out(mark, is_found, words_of(marks))
            if is_found[0]:
                return True
        return False

    async def _sift(self) -> None:
        """Find out which of the stored links are new, and take those in."""
        async with self._file.turn:
            asked = self._sieve.begin_sifting()
            upto = self._intake.next_offer - 1
            await self._commits.commit()  # all that is asked about is in the file by then
        new = await self._not_in_runs(asked) if any(asked) else set()
        offers = [offer async for offer in self._offers(upto, new.__contains__)] if new else []
        async with self._file.turn:
            self._intake.take_offers(offers, upto)
            await self._commits.commit()

    async def _not_in_runs(self, asked: Sequence[array[int]]) -> set[bytes]:
        """The marks that are in none of the runs; `asked` has them by their first bytes, sorted."""
        found = [bytearray(len(part) // 2) for part in asked]
        for first in range(0, self._runs * PARTS, _PARTS_AT_ONCE):
            rows = await self._file.read(_PARTS, (first, first + _PARTS_AT_ONCE - 1))
            for number, marks in rows:
                strike_out(asked[number % PARTS], found[number % PARTS], words_of(marks))
        return {
            bytes_of(part[2 * at : 2 * at + 2])
            for part, flags in zip(asked, found, strict=True)
            for at, is_found in enumerate(flags)
            if not is_found
        }

    async def _offers(self, upto: int, takes: Callable[[bytes], bool]) -> AsyncIterator[Offer]:
        """The stored links, up to this number: for each page those whose marks `takes` accepts, if there are any."""
        for first in range(self._intake.first_offer, upto + 1, _OFFERS_AT_ONCE):
            rows = await self._file.read(_OFFERS, (first, min(first + _OFFERS_AT_ONCE - 1, upto)))
            some = [offer for row in rows if (offer := _offer(row, takes)).urls]
            pages: dict[int | None, str] = dict(await self._file.read(_PAGES, (_numbers(some),)))
            for offer in some:
                yield offer._replace(page=pages.get(offer.found_on))


def _portions() -> Iterator[range]:
    """The parts of a run, a few at a time."""
    return (range(first, first + _PARTS_AT_ONCE) for first in range(0, PARTS, _PARTS_AT_ONCE))


def _offer(row: tuple[int, int, int | None, int, str | None, str], takes: Callable[[bytes], bool]) -> Offer:
    _, depth, found_on, alone, extra, text = row
    urls: list[str] = msgspec.json.decode(text)
    method, body = method_and_body(extra) if extra else ("GET", None)
    marks = fingerprints(urls) if method == "GET" and not body else [fingerprint(url, method, body) for url in urls]
    places = [at for at, mark in enumerate(marks) if takes(mark)]
    return Offer(depth, found_on, None, bool(alone), extra, [urls[at] for at in places], [marks[at] for at in places])


def _numbers(offers: list[Offer]) -> str:
    return msgspec.json.encode([offer.found_on for offer in offers]).decode()
