"""The group commit: what is pending in the intake goes to the file, in order, one batch at a time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from crawler.cancellation import to_the_end

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from crawler.frontier.batch import Batch
    from crawler.frontier.file import CrawlFile
    from crawler.frontier.intake import Intake
    from crawler.frontier.rows import Row
    from crawler.store import Pack, Packer

ItemsListener: TypeAlias = "Callable[[int, Sequence[str]], Awaitable[None]]"

_COMMIT = "INSERT INTO settlement VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

_KNOWN_BODIES = "SELECT digest FROM body WHERE digest IN (SELECT value FROM json_each(?))"

_BACKLOG_COMMITS = 4
"""How many full batches may be pending before whoever brings more has to wait."""
_BACKLOG_VOLUME = 64 << 20
"""How much may be. Together with what one more page may bring (crawler/items.py), its JSON stays below the thousand million bytes that
SQLite takes at once."""


class GroupCommit:
    """Commits when `pages` pages are pending, or `interval` seconds after the first of them came.

    `on_items(first_id, texts)` is awaited after each commit that brought items, in the order of commits.
    """

    def __init__(
        self, intake: Intake, file: CrawlFile, *, now: Callable[[], float], pages: int, interval: float
    ) -> None:
        self.on_items: ItemsListener | None = None
        self._intake = intake
        self._file = file
        self._now = now
        self._pages = pages
        self._interval = interval
        self._pending = asyncio.Event()
        self._is_pending = False
        self._full = asyncio.Event()
        self.is_behind = False
        """Whether so much is pending that more must wait for `flush`."""
        self._packer: Packer | None = None

    def pend(self) -> None:
        """Note that something was taken in."""
        if not self._is_pending:  # events are written in Python: setting one for each page would show in measurements
            self._is_pending = True
            self._pending.set()
        batch = self._intake.batch
        if (weight := batch.weight) >= self._pages or batch.volume >= _BACKLOG_VOLUME:
            self._full.set()
            self.is_behind = weight >= self._pages * _BACKLOG_COMMITS or batch.volume >= _BACKLOG_VOLUME

    async def keep_committing(self) -> None:
        """Commit what is pending, soon after it came, or at once when it is much; until cancelled."""
        while True:
            await self._pending.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._interval):
                    await self._full.wait()
            await self.flush()

    async def flush(self) -> None:
        """Return once everything taken in so far is durable."""
        async with self._file.turn:
            await self.commit()

    async def commit(self) -> None:
        """The same, for whoever holds the file's turn."""
        if self._file.broken:
            raise self._file.broken
        if not self._intake.batch:
            return
        # If this fails, nothing is cut. What is taken in afterwards is for the next batch, and not in these counts and events.
        parameters = self._intake.batch.parameters(self._intake.counts, self._now())
        batch = self._intake.cut()
        self._is_pending = self.is_behind = False
        self._pending.clear()
        self._full.clear()
        await to_the_end(self._write(batch, parameters))

    async def _write(self, batch: Batch, parameters: Sequence[Any]) -> None:
        if batch.robots:  # they go first: without the rest, after a kill, they do no harm
            kept = [(origin, *fetched) for origin, fetched in batch.robots.items()]
            await self._file.write_rows("INSERT OR REPLACE INTO robots VALUES (?, ?, ?)", kept)
        await self._file.write(_COMMIT, (*parameters, *await self._packed(batch.bodies)))
        if batch.items and self.on_items:
            await self.on_items(batch.first_item, batch.items)

    async def _packed(self, bodies: Mapping[str, bytes]) -> tuple[str, str, bytes]:
        """The bodies that the file does not have yet, as the columns `packs`, `alone` and `frames` of `settlement` take them."""
        if not bodies:
            return "[]", "[]", b""
        from crawler.store import DIGEST_LETTERS, PACK_BYTES, Packer  # and with it zstd: most crawls keep no bodies

        self._packer = self._packer or Packer()
        new = dict(bodies)
        if repeated := [digest for digest in bodies if len(digest) == DIGEST_LETTERS]:
            for (known,) in await self._file.read(_KNOWN_BODIES, (_text(repeated),)):
                del new[known]
        found = await self._file.apart(self._packer.pack, new)
        # Large ones go first, row by row: without the rest, after a kill, they do no harm, and what one statement takes is
        # limited.
        large = [(pack.places[0][0], pack.data) for pack in found if pack.size > PACK_BYTES]
        if large:
            await self._file.write_rows("INSERT INTO body (digest, data) VALUES (?, ?)", large)
        columns, self._intake.next_pack = _columns(
            [pack for pack in found if pack.size <= PACK_BYTES], self._intake.next_pack
        )
        return columns


def _columns(found: Sequence[Pack], number: int) -> tuple[tuple[str, str, bytes], int]:
    """What `_packed` returns, with packs numbered from `number` on; and the next number."""
    together: list[Row] = []
    alone: list[Row] = []
    first = 1
    for pack in found:
        frame = (first, len(pack.data))
        first += len(pack.data)
        if len(pack.places) == 1:
            alone.append((pack.places[0][0], *frame))
        else:
            places = {digest: "%-12d%d" % (start, size) for digest, start, size in pack.places}  # noqa: UP031 - see rows.py
            together.append((number, pack.size, *frame, places))
            number += 1
    return (_text(together), _text(alone), b"".join([pack.data for pack in found])), number


def _text(rows: Sequence[Row | str]) -> str:
    return msgspec.json.encode(rows).decode()
