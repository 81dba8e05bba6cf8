"""Pages of an earlier crawl are found by their URLs, in files of every version, and read as they are."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from crawler.errors import StateDamaged, StorageError
from crawler.frontier import SqliteFrontier, known
from crawler.frontier.known import KnownPages, KnownUrls
from tests.crawler.frontier.test_kept import make, page, put, spoil
from tests.crawler.frontier.test_migrations import BODIES, VERSION_2, restore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Ask = Callable[[str], list[tuple[Any, ...]]]


async def test_pages_are_found_by_their_urls(path: Path) -> None:
    made = await make(path, [page(number) for number in range(50)])
    before = path.read_bytes()
    urls = KnownUrls.of(path)
    with KnownPages(path) as pages:
        assert pages.has_any
        for url, body in made.items():
            number = urls.find(url)
            assert number is not None
            found = pages.read(number)
            assert found
            assert (found.url, found.own, dict(found.headers)) == (url, {}, {"A": "b"})
            assert pages.body_of(found) == body
        assert pages.read(51) is None
    assert urls.find("http://h.example/none") is None
    assert urls.find("http://h.example/\udcff") is None
    urls.close()
    assert path.read_bytes() == before


async def test_only_whole_pages_of_plain_requests_are_known(path: Path) -> None:
    await make(path, [page(number) for number in range(7)])
    spoil(path, "UPDATE result SET status = 206 WHERE request = 2")
    spoil(path, "UPDATE result SET state = 'failed' WHERE request = 3")
    for number, extra in ((4, '{"method":"POST"}'), (5, '{"body":"AA=="}'), (6, "{"), (7, '{"callback":"book"}')):
        spoil(path, "UPDATE request SET extra = ? WHERE id = ?", extra, number)
    urls = KnownUrls.of(path)
    assert [urls.find(f"http://h.example/{number}") for number in range(1, 8)] == [1, None, None, None, None, None, 7]
    urls.close()


async def test_a_page_is_known_by_where_it_was_at_last(path: Path) -> None:
    """Past redirects; of several pages of one URL, the one that was asked for last."""
    await make(path, [page(number) for number in range(3)])
    spoil(path, "UPDATE result SET final_url = 'http://h.example/target' WHERE request < 3")
    urls = KnownUrls.of(path)
    assert [urls.find(f"http://h.example/{name}") for name in ("1", "2", "3", "target")] == [None, None, 3, 2]
    urls.close()


async def test_a_file_of_an_older_version_is_read_as_it_is(path: Path, ask: Ask) -> None:
    restore(path, VERSION_2)
    urls = KnownUrls.of(path)
    with KnownPages(path) as pages:
        found = {url: pages.read(number) for url in BODIES if (number := urls.find(url)) is not None}
        assert {url: pages.body_of(one) for url, one in found.items() if one} == BODIES
    urls.close()
    assert ask("PRAGMA user_version") == [(2,)]


async def test_a_page_that_comes_while_the_file_is_open_is_there(path: Path) -> None:
    """Of a crawl that runs no snapshot is held: its log can be put away."""
    frontier = await SqliteFrontier.open(path, spider="test")
    await put(frontier, [page(1)])
    with KnownPages(path) as pages:
        assert pages.read(1)
        assert not pages.read(2)
        await put(frontier, [page(2)])
        assert pages.read(2)
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    await frontier.close()


async def test_a_body_of_another_size_is_damaged(path: Path) -> None:
    await make(path, [b"text"])
    spoil(path, "UPDATE result SET size = 5")
    with KnownPages(path) as pages:
        found = pages.read(1)
        assert found
        with pytest.raises(StateDamaged, match=r"the body of http://h.example/1 is lost, it has another size"):
            pages.body_of(found)


async def test_where_there_is_no_room_for_an_index_it_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's own limit stands for that of a disk."""
    await make(path, [page(number) for number in range(300)])
    monkeypatch.setattr(known, "_INDEX", f"PRAGMA max_page_count = 3; {known._INDEX}")
    with pytest.raises(StorageError, match="in a temporary file: database or disk is full"):
        KnownUrls.of(path)
