"""A frontier in a file of its own, and the words to work it with."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from crawler.frontier import SqliteFrontier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    Ask = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "test.crawl"


@pytest.fixture
async def frontier(path: Path) -> AsyncIterator[SqliteFrontier]:
    frontier = await SqliteFrontier.open(path, spider="test")
    yield frontier
    await frontier.close()


@pytest.fixture
def ask(path: Path) -> Ask:
    """Ask the crawl file with another connection, as its owner would."""

    def ask(sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            return db.execute(sql).fetchall()

    return ask
