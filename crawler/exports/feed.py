"""Keeps exports up with the committed items, each of them exactly once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from crawler.cancellation import to_the_end
from crawler.exports.protocol import Cursor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from crawler.exports.protocol import Export
    from crawler.frontier import SqliteFrontier

P = ParamSpec("P")
T = TypeVar("T")

_ITEMS_AT_ONCE = 1000


class ExportFeed:
    """Feeds the exports of one run from its frontier: first what earlier runs left out, then what each group commit brings. How far
    each export has come goes into the crawl file with the next commit.
    """

    def __init__(self, exports: Sequence[Export], frontier: SqliteFrontier) -> None:
        self._exports = exports
        self._frontier = frontier
        self._failure: BaseException | None = None

    async def __aenter__(self) -> Self:
        """Cut each file back to what is known to be in it, then bring it up to the last committed item."""
        try:
            await self._open()
        except BaseException:
            await to_the_end(self._abandon_all())
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit what is settled, and make the files whole. After an error they are closed all the same, as far as possible.

        Raises what `write` has raised: the commit that called it may have been cancelled, so that nobody has heard of that.
        """
        try:
            if error is None:
                await self._frontier.flush()
        finally:
            failures = await to_the_end(self._close_all())
        if error is None and (failure := self._failure or next(iter(failures), None)):
            raise failure

    async def _open(self) -> None:
        """Open the exports. Before anything is written to a file, the crawl file records that it is ours: otherwise, after a kill in
        between, the next run could not tell it from somebody else's."""
        known = await self._frontier.exports()
        cursors = []
        for export in self._exports:
            text = known.get(export.path)
            cursors.append(await _in_thread(export.open, Cursor.from_json(text) if text else None))
            self._frontier.note_export(export.path, cursors[-1].to_json())
        if any(export.path not in known for export in self._exports):
            await self._frontier.flush()
        for export, cursor in zip(self._exports, cursors, strict=True):
            await self._catch_up(export, cursor)
        if self._exports:
            self._frontier.on_items = self.write

    async def _catch_up(self, export: Export, cursor: Cursor) -> None:
        while items := await self._frontier.items_after(cursor.item, _ITEMS_AT_ONCE):
            cursor = await _in_thread(export.write, cursor.item + 1, items)
        self._frontier.note_export(export.path, cursor.to_json())

    async def write(self, first_item: int, items: Sequence[str]) -> None:
        """Append items that have just been committed. Once that fails, further items are left to the next run, which continues each
        file at its cursor."""
        self._frontier.on_items = None
        try:
            for export in self._exports:
                cursor = await _in_thread(export.write, first_item, items)
                self._frontier.note_export(export.path, cursor.to_json())
        except BaseException as error:
            self._failure = error
            raise
        self._frontier.on_items = self.write

    async def _abandon_all(self) -> None:
        for export in self._exports:
            with suppress(Exception):  # why it is abandoned is what counts
                await _in_thread(export.abandon)

    async def _close_all(self) -> list[Exception]:
        """Close each export, whatever becomes of the others; returns the errors. What is committed from now on is left to the next run."""
        self._frontier.on_items = None
        failures = list[Exception]()
        for export in self._exports:
            try:
                cursor = await _in_thread(export.close)
            except Exception as failure:
                failures.append(failure)
            else:
                self._frontier.note_export(export.path, cursor.to_json())
        return failures


async def _in_thread(call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Call an export, which takes one call at a time. If this is cancelled, it waits for the call: no thread can be stopped."""
    return await to_the_end(asyncio.to_thread(call, *arguments, **named))
