"""`crawl status`, `export` and `sql`: what a crawl file tells."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest
from warcio.archiveiterator import ArchiveIterator

from tests.proof.command import COMMAND
from tests.sites import page, redirect, serve

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crawler.cli.conftest import Crawl

SITE = {
    "/": page("Home", "/a", "/moved", "http://elsewhere.invalid/"),
    "/a": page("A"),
    "/moved": redirect("/b"),
    "/b": page("B"),
}


@pytest.fixture
async def state(crawl: Crawl) -> str:
    """The file of a finished crawl."""
    async with serve(SITE) as site:
        ended = await crawl("run", site.url, "--no-robots", "--state", "s.crawl", "-o", "out.jsonl")
    assert ended.code == 0, ended.err
    return "s.crawl"


async def test_status_is_told_in_words(crawl: Crawl, state: str) -> None:
    ended = await crawl("status", state)
    assert ended.code == 0
    first, *rest = ended.out.splitlines()
    assert first == "s.crawl: spider site, finished"
    assert "  pages    3 done, 0 failed, 1 skipped" in rest
    assert "  waiting  0 requests" in rest
    assert any(line.startswith("  fetched  ") and line.endswith(" from 1 host") for line in rest)


async def test_items_are_exported_as_the_spider_yielded_them(crawl: Crawl, state: str, tmp_path: Path) -> None:
    ended = await crawl("export", state, "items")
    assert ended.code == 0
    assert ended.out == (tmp_path / "out.jsonl").read_text()


async def test_pages_have_the_columns_of_the_contract(crawl: Crawl, state: str, tmp_path: Path) -> None:
    columns = [
        "url",
        "final_url",
        "status",
        "depth",
        "referrer",
        "error",
        "skipped",
        "fetched_at",
        "elapsed",
        "size",
        "content_type",
    ]
    rows = [json.loads(line) for line in (await crawl("export", state, "pages")).out.splitlines()]
    assert [list(row) for row in rows] == [columns] * 4
    assert (await crawl("export", state, "pages", "-o", "pages.csv")).out == ""
    with (tmp_path / "pages.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["url"] for row in table] == [row["url"] for row in rows]
    moved = next(row for row in table if row["url"].endswith("/moved"))
    assert moved["final_url"].endswith("/b")
    assert moved["referrer"].endswith("/")


@pytest.mark.parametrize(("table", "rows"), [("links", 4), ("errors", 0), ("hosts", 1)])
async def test_every_table_can_be_exported(crawl: Crawl, state: str, tmp_path: Path, table: str, rows: int) -> None:
    assert len((await crawl("export", state, table)).out.splitlines()) == rows
    assert (await crawl("export", state, table, "-o", "t.csv")).code == 0
    with (tmp_path / "t.csv").open(newline="") as file:
        header, *rest = csv.reader(file)
    assert len(rest) == rows
    assert header, "the columns are there even without rows"


@pytest.mark.parametrize("table", ["pages", "items", "links", "errors", "hosts"])
async def test_every_table_can_be_written_to_every_kind_of_table(
    crawl: Crawl, state: str, tmp_path: Path, table: str
) -> None:
    rows = [json.loads(line) for line in (await crawl("export", state, table)).out.splitlines()]
    for name in ("t.sqlite", "t.parquet"):
        ended = await crawl("export", state, table, "-o", name)
        assert (ended.code, ended.out, ended.err) == (0, "", "")
    with closing(sqlite3.connect(tmp_path / "t.sqlite")) as db:
        db.row_factory = sqlite3.Row
        assert [dict(row) for row in db.execute(f"SELECT * FROM {table}")] == rows
    assert pq.read_table(tmp_path / "t.parquet").to_pylist() == rows


async def test_pages_that_were_kept_can_be_archived(crawl: Crawl, tmp_path: Path) -> None:
    async with serve(SITE) as site:
        run = ("run", site.url, "--no-robots", "--state", "k.crawl")
        assert (await crawl(*run, "--max-pages", "1")).code == 3
        ended = await crawl("export", "k.crawl", "pages", "-o", "k.warc.gz")
        assert (ended.code, list(tmp_path.glob("*k.*warc*"))) == (2, [])
        assert "no page was kept; crawl run --keep-bodies keeps them" in ended.err
        assert (await crawl(*run, "--keep-bodies")).code == 0
    ended = await crawl("export", "k.crawl", "pages", "-o", "k.warc.gz")
    assert (ended.code, ended.out) == (0, "")
    assert "1 of 3 pages were not kept, and are left out" in ended.err
    with (tmp_path / "k.warc.gz").open("rb") as file:
        urls = [record.rec_headers.get_header("WARC-Target-URI") for record in ArchiveIterator(file)]
    assert urls == [None, f"{site.url}/a", f"{site.url}/b"]


async def test_sql_answers_queries(crawl: Crawl, state: str) -> None:
    ended = await crawl(
        "sql", state, "select status, count(*) as pages from pages where skipped is null group by status"
    )
    assert ended.code == 0
    assert [json.loads(line) for line in ended.out.splitlines()] == [{"status": 200, "pages": 3}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("status", "missing.crawl"), "error: there is no crawl file missing.crawl; there is: s.crawl"),
        (("status", "out.jsonl"), "error: out.jsonl is not a crawl file"),
        (
            ("export", "s.crawl", "nothing"),
            "error: 'nothing' is no table; the tables are pages, items, links, errors, hosts",
        ),
        (("export", "s.crawl", "pages", "-o", "pages.txt"), "error: cannot write pages.txt: no format is called .txt"),
        (
            ("export", "s.crawl", "items", "-o", "x.warc"),
            "WARC is for pages that were kept: crawl export STATE pages -o x.warc",
        ),
        (("sql", "s.crawl", "delete from item"), "not authorized (only queries are allowed, one at a time)"),
        (("sql", "s.crawl", "selct"), 'near "selct": syntax error'),
    ],
)
@pytest.mark.usefixtures("state")
async def test_a_users_mistake_is_one_clear_message(crawl: Crawl, arguments: tuple[str, ...], message: str) -> None:
    ended = await crawl(*arguments)
    assert ended.code == 2
    assert message in ended.err
    assert ended.out == ""
    assert "Traceback" not in ended.err


@pytest.mark.usefixtures("state")
async def test_the_only_crawl_file_need_not_be_named_to_be_exported(crawl: Crawl, tmp_path: Path) -> None:
    assert len((await crawl("export", "items")).out.splitlines()) == 3
    assert "error: TABLE is missing" in (await crawl("export", "s.crawl")).err
    (tmp_path / "other.crawl").touch()
    assert "error: name the crawl file: there are other.crawl, s.crawl" in (await crawl("export", "items")).err


async def test_figures_have_no_more_digits_than_mean_anything(crawl: Crawl, state: str) -> None:
    (host,) = (await crawl("hosts", state, "--json")).out.splitlines()
    latency = json.loads(host)["latency"]
    assert latency == round(latency, 6) > 0


@pytest.mark.parametrize("arguments", [("export", "items"), ("status",)])
async def test_a_reader_that_has_seen_enough_is_no_error(
    state: str, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    """As with `crawl export … | head`."""
    name, *rest = arguments
    reading, writing = os.pipe()
    os.close(reading)
    process = await asyncio.create_subprocess_exec(
        COMMAND, name, state, *rest, cwd=tmp_path, stdout=writing, stderr=asyncio.subprocess.PIPE
    )
    os.close(writing)
    _, err = await process.communicate()
    assert (process.returncode, err) == (1, b"")


async def test_the_only_crawl_file_of_a_folder_need_not_be_named(crawl: Crawl, state: str) -> None:
    assert (await crawl("status")).out == (await crawl("status", state)).out
    query = "SELECT count(*) AS pages FROM pages"
    assert (await crawl("sql", query)).out == (await crawl("sql", state, query)).out == '{"pages":4}\n'
    assert "QUERY is missing" in (await crawl("sql", state)).err
    await crawl("backup", state, "copy.crawl")
    several = await crawl("status")
    assert (several.code, several.err) == (2, "error: name the crawl file: there are copy.crawl, s.crawl\n")
