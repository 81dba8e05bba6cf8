"""Running a spider again over the pages that a crawl kept: no network, the same pages, perhaps a better spider."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from crawler.callbacks import Callbacks
from crawler.cancellation import RAISED, in_task_of_its_own, is_cancellation
from crawler.errors import Retry, UsageError
from crawler.faults import explain
from crawler.frontier.kept import kept_pages

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from crawler.frontier.protocol import Lease
    from crawler.frontier.statefile import StateFile
    from crawler.page import Page
    from crawler.spider import Spider


class Replay:
    """Hands every kept page to the callback for which it was fetched. The requests that callbacks give are not made."""

    def __init__(self, spider: Spider, file: StateFile) -> None:
        self._callbacks = Callbacks(spider, parse_thread_bytes=sys.maxsize)
        self._file = file
        self.pages = 0
        self.errors: list[str] = []
        """What the spider raised: the URL of the page, then the place and the error."""
        self.wanted_again: list[str] = []
        """The pages for which it raised `Retry`: the URL, then why."""

    def items(self) -> Iterator[str]:
        """The items as JSON texts, page by page in the order of discovery; none for pages on which the spider raises.

        Raises UsageError when the crawl kept no pages, StateDamaged when one cannot be read.
        """
        with asyncio.Runner() as runner:
            for lease, page in kept_pages(self._file):
                self.pages += 1
                yield from runner.run(in_task_of_its_own(self._items_of(lease, page)))
        if not self.pages:
            raise UsageError(f"{self._file.path} holds no pages to replay: crawl with --keep-bodies to keep them")

    async def _items_of(self, lease: Lease, page: Page) -> Sequence[str]:
        try:
            return (await self._callbacks.take(lease, page)).items
        except Retry as raised:
            self.wanted_again.append(f"{page.url}: {raised}")
        except RAISED as error:
            if is_cancellation(error):
                raise
            self.errors.append(f"{page.url}: {explain(error)}")
        return ()
