"""Opening a crawl file: checking it, and restoring the frontier's memory from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from client.origin import HostKey
from crawler.errors import StateMismatch
from crawler.frontier import migrations
from crawler.frontier.integrity import check
from crawler.frontier.protocol import Counts, HostState

if TYPE_CHECKING:
    from pathlib import Path
    from sqlite3 import Connection

    from crawler.frontier.file import CrawlFile
    from crawler.frontier.intake import Intake

PRAGMAS = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;       -- a power cut may take the last commits, whole; kill -9 takes none
PRAGMA wal_autocheckpoint = 8000;  -- pages; checkpoints dominate the cost of large files
PRAGMA cache_size = -32768;        -- KiB
PRAGMA temp_store = MEMORY;
PRAGMA busy_timeout = 5000;
"""

NOTHING_LEASED = "UPDATE count SET queued = queued + leased, leased = 0;\n"
"""Leases belong to their process (settle.sql): those of an earlier process remain only in the counts."""


_SPIDER = """
INSERT INTO meta VALUES ('spider', ?) ON CONFLICT (key) DO UPDATE SET value = value RETURNING value"""


class Past(NamedTuple):
    """When the first run began (seconds of the epoch; None if there was none), how many seconds all runs took, and when the last
    commit was (seconds of the epoch; 0.0 if there was none)."""

    first_started: float | None
    elapsed: float
    seen: float


def prepare(db: Connection, path: Path) -> None:
    """Make an empty file a crawl file; bring an existing one to the current schema, and check it. Raises StateDamaged, StateTooNew,
    and sqlite3.Error."""
    if not migrations.prepare(db, path):
        check(db, path)


async def check_spider(file: CrawlFile, spider: str) -> None:
    """Raise StateMismatch if the file belongs to another spider; a new file belongs to this one from now on."""
    ((known,),) = await file.write(_SPIDER, (spider,))
    if known != spider:
        raise StateMismatch(
            f"{file.path} belongs to the spider {known!r}, not to {spider!r}; name another file with --state, "
            f"or begin anew with --fresh"
        )


def load(db: Connection, intake: Intake) -> Past:
    """Restore the memory from the file."""
    (counts,) = db.execute("SELECT queued, leased, done, failed, skipped, items, bytes, hosts, aside FROM count")
    intake.counts = Counts(**dict(zip(Counts.__struct_fields__, counts, strict=True)))
    intake.leaves_out = intake.counts.skipped > 0
    ((intake.next_request, intake.next_item, intake.next_pack, intake.first_offer, intake.next_offer),) = db.execute(
        "SELECT (SELECT coalesce(max(id), 0) + 1 FROM request), (SELECT coalesce(max(id), 0) + 1 FROM item), "
        "(SELECT coalesce(max(id), 0) + 1 FROM pack), "
        "(SELECT coalesce(min(id), 1) FROM offered), (SELECT coalesce(max(id), 0) + 1 FROM offered)"
    )
    for number, name, admitted in db.execute("SELECT id, name, admitted FROM host ORDER BY id"):
        intake.know_host(number, HostKey(name), admitted)
    for number, *known in db.execute(
        "SELECT host, held, delay, per_host, budget, pace, latency, failures, resting_until FROM host_state"
    ):
        state = HostState(**dict(zip(HostState.__struct_fields__, known, strict=True)))
        intake.host_states[intake.host_names[number]] = state
    ((elapsed, first_started, seen),) = db.execute(
        "SELECT total(coalesce(ended, seen) - started), min(started), coalesce(max(seen), 0.0) FROM run"
    )
    return Past(first_started, elapsed, seen)
