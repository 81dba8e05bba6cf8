"""The pages that an earlier crawl kept, found by their URLs: a new crawl only asks whether they have changed.

A crawl file has no index of URLs, so one is built in a temporary file of SQLite's own: memory does not grow with the earlier crawl.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, NamedTuple, Self

import msgspec

from crawler.errors import StorageError
from crawler.frontier.integrity import damaged, making_sense
from crawler.frontier.kept import Bodies
from crawler.frontier.statefile import StateFile
from crawler.headers import headers_from_json

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from multidict import CIMultiDictProxy

_INDEX = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -8192;  -- KiB
CREATE TABLE known (url TEXT PRIMARY KEY, request INTEGER NOT NULL) WITHOUT ROWID"""

_OURS = """
SELECT coalesce(result.final_url, request.url), request.id FROM result JOIN request ON request.id = result.request
WHERE result.state = 'done' AND result.status = 200 AND (extra IS NULL
    OR json_valid(extra) AND json_extract(extra, '$.method') IS NULL AND json_extract(extra, '$.body') IS NULL)
ORDER BY 1, 2"""
"""Pages requested by GET without a body, also before any redirects. Sorted as in the index, so that each row is appended to it; of several
for one URL, the last one counts."""

_KNOWN = """
SELECT coalesce(result.final_url, request.url), result.size, json_extract(request.extra, '$.headers'),
       response.headers, response.body
FROM response JOIN result ON result.request = response.request JOIN request ON request.id = response.request
WHERE response.request = ? AND result.state = 'done' AND result.status = 200"""


class KnownPage(NamedTuple):
    """A page as it was, without its body. `own`: the headers of its request, without those of all requests; `size` and `digest` are the
    body's."""

    url: str
    size: int
    own: dict[str, str]
    headers: CIMultiDictProxy[str]
    digest: str


class KnownUrls:
    """Which request of an earlier crawl brought the page at a URL. Building the index takes a few seconds per million pages, and as much
    disk space as their URLs."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    @classmethod
    def of(cls, path: Path) -> Self:
        """The index of a crawl file, as it is now. It may be built in another thread than the one that uses it.

        Raises what `StateFile` raises, and StorageError if there is no space for it.
        """
        with StateFile(path) as file:
            db = sqlite3.connect("", check_same_thread=False)
            try:
                db.executescript(_INDEX)
                db.executemany("INSERT OR REPLACE INTO known VALUES (?, ?)", file.query(_OURS))
                db.commit()
            except sqlite3.Error as error:
                db.close()
                raise StorageError(f"cannot index the URLs of {path} in a temporary file: {error}") from error
            except BaseException:
                db.close()
                raise
        return cls(db)

    def find(self, url: str) -> int | None:
        """The number of the request; None if there is none."""
        try:
            for (number,) in self._db.execute("SELECT request FROM known WHERE url = ?", (url,)):
                return int(number)
        except (sqlite3.Error, UnicodeError):  # the disk fails, or the URL is not text: the page is fetched in full
            return None
        return None

    def close(self) -> None:
        self._db.close()


class KnownPages:
    """The pages themselves, by the numbers of their requests, open until the end of a `with` block. The packs that were read last are
    cached.

    Raises what `StateFile` raises.
    """

    def __init__(self, path: Path) -> None:
        self._file = StateFile(path, follows=True)
        self._bodies = Bodies(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.__exit__(kind, error, trace)

    @property
    def has_any(self) -> bool:
        """Whether any page was kept."""
        return any(self._file.query("SELECT 1 FROM response LIMIT 1"))

    def read(self, number: int) -> KnownPage | None:
        """A page as it was; None if it was not kept. Raises StateError if it cannot be read."""
        for url, size, own, headers, digest in self._file.look_up(_KNOWN, (number,)):
            with making_sense(self._file.path):
                own_headers = msgspec.json.decode(own, type=dict[str, str]) if own else {}
                return KnownPage(url, size, own_headers, headers_from_json(headers), digest)
        return None

    def body_of(self, known: KnownPage) -> bytes:
        """The body of a page. Raises StateDamaged if it is not what it was."""
        body = self._bodies.of(known.url, known.digest)
        if len(body) != known.size:
            raise damaged(self._file.path, f"the body of {known.url} is lost, it has another size")
        return body
