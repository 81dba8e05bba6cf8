"""Opening a crawl file: checks, and the frontier's memory made again from what the file holds; and what closing adds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from client.origin import HostKey
from crawler.errors import StateMismatch
from crawler.frontier.protocol import Counts, HostState
from crawler.frontier.rows import method_and_body
from crawler.web.urls import fingerprint

if TYPE_CHECKING:
    from crawler.frontier.file import CrawlFile
    from crawler.frontier.intake import Intake

PRAGMAS = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;       -- a power cut may take the last commits, whole; kill -9 takes none
PRAGMA wal_autocheckpoint = 8000;  -- pages; checkpoints dominate the cost of large files
PRAGMA cache_size = -65536;        -- KiB
PRAGMA temp_store = MEMORY;
PRAGMA busy_timeout = 5000;
"""

UNLEASE = """
BEGIN IMMEDIATE;
INSERT INTO queue SELECT host, rank, request, 0, attempts, hop FROM lease;
UPDATE count SET queued = queued + leased, leased = 0;
DELETE FROM lease;
COMMIT;
"""

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

_ROWS_AT_ONCE = 50_000

_WORTH_KEEPING = 250_000
"""So many requests are read and hashed in about a third of a second."""


class Past(NamedTuple):
    """When the first run began (seconds of the epoch; None if there was none), how long all took, when the last one that
    committed did so (0.0: none), and the last request that the seen-set in the file knows."""

    first_started: float | None
    elapsed: float
    seen: float
    seen_upto: int


async def check_spider(file: CrawlFile, spider: str) -> None:
    """Raise StateMismatch if the file is another spider's; a new one is this spider's from here on."""
    await file.write("INSERT OR IGNORE INTO meta VALUES ('spider', ?)", (spider,))
    ((known,),) = await file.read("SELECT value FROM meta WHERE key = 'spider'")
    if known != spider:
        raise StateMismatch(
            f"{file.path} belongs to the spider {known!r}, not to {spider!r}; name another file with --state, "
            f"or begin anew with --fresh"
        )


async def load(file: CrawlFile, intake: Intake) -> Past:
    """Fill the memory from the file."""
    (counts,) = await file.read("SELECT queued, leased, done, failed, skipped, items, bytes, hosts, aside FROM count")
    intake.counts = Counts(**dict(zip(Counts.__dataclass_fields__, counts, strict=True)))
    ((intake.next_request, intake.next_item),) = await file.read(
        "SELECT (SELECT coalesce(max(id), 0) + 1 FROM request), (SELECT coalesce(max(id), 0) + 1 FROM item)"
    )
    for number, name, admitted in await file.read("SELECT id, name, admitted FROM host ORDER BY id"):
        intake.know_host(number, HostKey(name), admitted)
    for number, *known in await file.read(
        "SELECT host, held, delay, per_host, budget, pace, latency, failures, resting_until FROM host_state"
    ):
        state = HostState(**dict(zip(HostState.__dataclass_fields__, known, strict=True)))
        intake.host_states[intake.host_names[number]] = state
    ((elapsed, first_started, seen),) = await file.read(
        "SELECT total(coalesce(ended, seen) - started), min(started), coalesce(max(seen), 0.0) FROM run"
    )
    return Past(first_started, elapsed, seen, await _load_seen(file, intake))


async def _load_seen(file: CrawlFile, intake: Intake) -> int:
    seen, upto = intake.seen, 0
    for part, marks, last in await file.read("SELECT part, marks, upto FROM seen"):
        seen.restore(part, marks)
        upto = last
    for first in range(upto + 1, intake.next_request, _ROWS_AT_ONCE):
        rows = await file.read(
            "SELECT url, extra FROM request WHERE id >= ? AND id < ?", (first, first + _ROWS_AT_ONCE)
        )
        for url, extra in rows:
            seen.add(fingerprint(url) if extra is None else fingerprint(url, *method_and_body(extra)))
    for url, method in await file.read(_SEEN_ON_THE_WAY):
        seen.add(fingerprint(url, method))
    return upto


async def keep_seen(file: CrawlFile, intake: Intake, known_upto: int) -> None:
    """Put the seen-set away, if making it again from the requests behind `known_upto` would take long."""
    upto = intake.next_request - 1
    if upto - known_upto >= _WORTH_KEEPING:
        parts = ((part, marks, upto) for part, marks in intake.seen.shelves())
        await file.write_rows("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", parts)
