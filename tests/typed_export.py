"""The export of docs/recipes.md, as it is shown there: here mypy reads it, and that a crawl takes it."""

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from crawler import Crawl
from crawler.exports import Cursor
from tests.typed_spider import Books


class Database:
    def __init__(self, file: str) -> None:
        self.path = str(Path(file).resolve())
        self.db = sqlite3.connect(self.path, check_same_thread=False)
        self.last = 0

    def open(self, cursor: Cursor | None) -> Cursor:
        """Cursor is None if the crawl has never written here."""
        self.db.execute("CREATE TABLE IF NOT EXISTS book (id INTEGER PRIMARY KEY, data TEXT)")
        if cursor is None:
            self.db.execute("DELETE FROM book")
            self.db.commit()
        (self.last,) = self.db.execute("SELECT coalesce(max(id), 0) FROM book").fetchone()
        return Cursor(item=self.last)

    def write(self, first_item: int, items: Sequence[str]) -> Cursor:
        with self.db:
            self.db.executemany("INSERT OR REPLACE INTO book VALUES (?, ?)", enumerate(items, first_item))
        self.last = first_item + len(items) - 1
        return Cursor(item=self.last)

    def close(self) -> Cursor:
        self.db.close()
        return Cursor(item=self.last)

    def abandon(self) -> None:
        """Instead of close, if the crawl could not begin."""
        self.db.close()


async def main() -> None:
    await Crawl(Books(), state="books.crawl", exports=[Database("books.db")]).run()
    with sqlite3.connect("books.db") as db:
        print(*db.execute("SELECT count(*), max(json_extract(data, '$.year')) FROM book").fetchone())


if __name__ == "__main__":
    asyncio.run(main())
