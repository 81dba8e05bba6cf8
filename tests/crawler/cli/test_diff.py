"""`crawl diff`: what has changed from one crawl to another."""

from __future__ import annotations

import csv
import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from tests.sites import page, redirect, serve

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.crawler.cli.conftest import Crawl
    from tests.proof.command import Ended
    from tests.sites import Reply

BEFORE: dict[str, Reply] = {
    "/": page("Home", "/same", "/reworded", "/longer", "/moved", "/dropped", "/lost"),
    "/same": page("Same"),
    "/reworded": page("Old"),
    "/longer": page("Short"),
    "/moved": redirect("/same"),
    "/dropped": page("Dropped"),
    "/lost": page("Lost"),
}
AFTER: dict[str, Reply] = {
    "/": page("Home", "/same", "/reworded", "/longer", "/moved", "/brandnew", "/lost"),
    "/same": page("Same"),
    "/reworded": page("New"),
    "/longer": page("Much longer"),
    "/moved": redirect("/longer"),
    "/brandnew": page("Brand new"),
}


async def crawled_twice(crawl: Crawl, *options: str, pages: Sequence[dict[str, Reply]] = (BEFORE, AFTER)) -> str:
    """Crawl a site as it was and as it is, into `0.crawl` and `1.crawl`; its URL."""
    now: dict[str, Reply] = {}
    async with serve(now) as site:
        for number, table in enumerate(pages):
            now.clear()
            now.update(table)
            ended = await crawl("run", site.url, "--no-robots", "--state", f"{number}.crawl", *options)
            assert ended.code in (0, 3), ended.err
    return site.url


def rows_of(ended: Ended, url: str) -> dict[str, dict[str, Any]]:
    """The rows by the path of their URL."""
    assert ended.code == 0, ended.err
    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert [row["url"] for row in rows] == sorted(row["url"] for row in rows)
    return {row["url"].removeprefix(url): row for row in rows}


async def test_tells_what_came_went_and_changed(crawl: Crawl) -> None:
    url = await crawled_twice(crawl, "--keep-bodies")
    ended = await crawl("diff", "0.crawl", "1.crawl")
    rows = rows_of(ended, url)
    assert {path: (row["change"], row["differs"]) for path, row in rows.items()} == {
        "/": ("changed", "body"),
        "/brandnew": ("added", ""),
        "/dropped": ("gone", ""),
        "/longer": ("changed", "body"),
        "/lost": ("changed", "status error body"),
        "/moved": ("changed", "final_url"),
        "/reworded": ("changed", "body"),
    }
    assert (rows["/lost"]["old_status"], rows["/lost"]["new_status"]) == (200, 404)
    assert rows["/lost"]["new_error"].startswith("http: 404")
    assert rows["/moved"]["new_final_url"] == f"{url}/longer"
    assert rows["/brandnew"]["old_status"] is None
    assert rows["/dropped"]["new_status"] is None
    assert "from 0.crawl to 1.crawl: 1 added, 1 gone, 5 changed, 1 the same\n" in ended.err


async def test_a_crawl_is_the_same_as_itself(crawl: Crawl) -> None:
    await crawled_twice(crawl, "--keep-bodies", pages=[BEFORE])
    ended = await crawl("diff", "0.crawl", "0.crawl")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == "from 0.crawl to 0.crawl: 0 added, 0 gone, 0 changed, 7 the same\n"


async def test_bodies_that_were_not_kept_are_compared_by_their_size(crawl: Crawl) -> None:
    url = await crawled_twice(crawl)
    ended = await crawl("diff", "0.crawl", "1.crawl")
    rows = rows_of(ended, url)
    assert "/reworded" not in rows, "it has as many bytes as before"
    assert rows["/longer"]["differs"] == "body"
    assert rows["/longer"]["old_size"] < rows["/longer"]["new_size"]
    assert "(2 by size alone: bodies are compared where both crawls kept them)" in ended.err


async def test_what_still_waits_is_not_compared(crawl: Crawl) -> None:
    url = await crawled_twice(crawl, pages=[BEFORE])
    async with serve(BEFORE, port=int(url.rpartition(":")[2])) as site:
        ended = await crawl("run", site.url, "--no-robots", "--state", "1.crawl", "--max-pages", "1")
        assert ended.code == 3
    ended = await crawl("diff", "0.crawl", "1.crawl")
    assert rows_of(ended, url) == {}
    assert "0 gone" in ended.err
    assert "6 not compared, as they still wait in one of the crawls" in ended.err


async def test_writes_a_table(crawl: Crawl, tmp_path: Path) -> None:
    await crawled_twice(crawl, "--keep-bodies")
    ended = await crawl("diff", "0.crawl", "1.crawl", "-o", "changes.csv")
    assert (ended.code, ended.out) == (0, "")
    with (tmp_path / "changes.csv").open(newline="") as file:
        header, *rest = csv.reader(file)
    assert header[:5] == ["change", "url", "differs", "old_status", "new_status"]
    assert len(rest) == 7


async def test_a_body_that_is_damaged_is_named(crawl: Crawl, tmp_path: Path) -> None:
    url = await crawled_twice(crawl, "--keep-bodies")
    db = sqlite3.connect(tmp_path / "1.crawl")
    db.execute("UPDATE pack SET data = x'00'")
    db.commit()
    db.close()
    ended = await crawl("diff", "0.crawl", "1.crawl")
    assert ended.code == 2
    assert f"or a damaged one: the body of {url}/reworded is lost, with all " in ended.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("0.crawl", "missing.crawl"), "error: there is no crawl file missing.crawl; there is: 0.crawl"),
        (("0.crawl",), "Missing argument 'NEW'"),
        (("0.crawl", "0.crawl", "-o", "t.txt"), "error: cannot write t.txt: no format is called .txt"),
    ],
)
async def test_a_users_mistake_is_one_clear_message(crawl: Crawl, arguments: tuple[str, ...], message: str) -> None:
    await crawled_twice(crawl, pages=[BEFORE])
    ended = await crawl("diff", *arguments)
    assert ended.code == 2
    assert message in ended.err
    assert "Traceback" not in ended.err
