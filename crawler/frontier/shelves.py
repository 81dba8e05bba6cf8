"""The seen-set in the crawl file, so that a large file opens fast, however its last process ended.

It is put away shelf by shelf, one with each commit, whenever the crawl has grown by an eighth since the last time; and what
is missing then, when a run ends. A shelf goes into the file behind the commit with which it was taken: what it knows is
there. Requests that came later are read from the file and hashed again, which is quick for those that no shelf knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from crawler.frontier.rows import method_and_body
from crawler.frontier.seen import SHELVES
from crawler.web.urls import fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable

    from crawler.frontier.file import CrawlFile
    from crawler.frontier.seen import SeenSet

Shelf: TypeAlias = tuple[int, bytes, int]
"""Its number, its marks, and the last request that may be among them: a row of the table `seen`."""

PUT_SHELF = "INSERT OR REPLACE INTO seen VALUES (?, ?, ?)"

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
"""Where redirects led. Behind a request that was no GET nothing says with which method they were followed: rather fetch
such a URL twice than never."""

_ROWS_AT_ONCE = 20_000

_WORTH_KEEPING = 250_000
"""So many requests are read and hashed in about half a second."""

_GROWTH = 8
"""The seen-set is put away again when an eighth has come to it: each mark is written about nine times in all, and what was
not put away before a kill can be made again in seconds."""


class Shelves:
    """Which shelves of a seen-set are in the file, and which is to go there next. `upto`: the last request they all know."""

    def __init__(self, seen: SeenSet) -> None:
        self._seen = seen
        self._next = 0
        self._began = 0
        self.upto = 0

    def take(self, upto: int) -> Shelf | None:
        """The shelf to put away behind a commit that brings the file up to the request `upto`; None if none is due."""
        if self._next == 0:
            if upto - self.upto < max(_WORTH_KEEPING, upto // _GROWTH):
                return None
            self._began = upto
        shelf = self._next, self._seen.shelf(self._next), upto
        self._next = (self._next + 1) % SHELVES
        if self._next == 0:
            self.upto = self._began
        return shelf

    async def put_all(self, file: CrawlFile, upto: int) -> None:
        """Put everything away, if making it again from the requests would take long; nothing pends."""
        if upto - self.upto >= _WORTH_KEEPING:
            await file.write_rows(PUT_SHELF, ((number, self._seen.shelf(number), upto) for number in range(SHELVES)))

    async def load(self, file: CrawlFile, upto: int) -> None:
        """Make the seen-set again of a file whose last request is `upto`. Raises ValueError when a shelf is damaged."""
        ((number, known, latest),) = await file.read("SELECT count(*), min(upto), max(upto) FROM seen")
        if number == SHELVES and latest <= upto:  # else the first time was cut off, or the file was mended
            for shelf in range(SHELVES):
                ((marks,),) = await file.read("SELECT marks FROM seen WHERE part = ?", (shelf,))
                self._seen.restore(shelf, marks)
            self.upto = known
        else:
            latest = 0
        await self._hash(file, range(self.upto + 1, latest + 1), self._seen.update)
        await self._hash(file, range(latest + 1, upto + 1), self._seen.extend)
        self._seen.update(fingerprint(url, method) for url, method in await file.read(_SEEN_ON_THE_WAY))

    async def _hash(self, file: CrawlFile, requests: range, take: Callable[[list[bytes]], None]) -> None:
        """Have the marks of requests taken, by those numbers."""
        for first in requests[::_ROWS_AT_ONCE]:
            rows = await file.read(
                "SELECT url, extra FROM request WHERE id BETWEEN ? AND ?",
                (first, min(first + _ROWS_AT_ONCE, requests.stop) - 1),
            )
            take([fingerprint(url, *(method_and_body(extra) if extra else ())) for url, extra in rows])
