"""Ready-made spiders keep all that they have to know with their requests: killed and resumed, a crawl takes what it would have."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from tests.proof.interruption import Interruptions
from tests.proof.test_kill import Trial
from tests.sites import page, serve

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sites import Reply, Visit

PAGES = 15

SPIDERS = """
from spiders.feed import FeedSpider
from spiders.listing import ListingSpider
from spiders.rules import Rule, RulesSpider

class Books(ListingSpider):
    start_urls = ["SITE/list?page=1"]
    entries = "li"
    fields = {"number": "a"}
    next_page = "&page={page}"
    details = "a"
    detail_fields = {"title": "title"}

class News(FeedSpider):
    start_urls = ["SITE/feed?page=1"]

    def parse_entry(self, page):
        yield {**page.context["entry"], "heading": page.title}

class Shop(RulesSpider):
    start_urls = ["SITE/list?page=1"]
    rules = [Rule(["/list"], within="p"), Rule(["/book"], callback="book", follow=True)]

    def book(self, page):
        yield {"title": page.title}
"""


async def answer(visit: Visit) -> Reply:
    """Lists of three books each, as pages and as a feed, that show the last one again behind the end."""
    if visit.path == "/robots.txt":
        return 404, {}, ""
    if visit.path.startswith("/book/"):
        return page(f"Title {visit.path[-2:]}")
    number = min(int(visit.path.partition("=")[2]), PAGES)
    books = [f"/book/{book}" for book in range(3 * number + 7, 3 * number + 11)]  # one of them is on the next page, too
    if visit.path.startswith("/list"):
        entries = "".join(f"<li><a href={book}>{book}</a></li>" for book in books)
        return page("List", body=f"<ul>{entries}</ul><p><a href=/list?page={number + 1}>Next</a></p>")
    entries = "".join(f"<item><guid>{book}</guid><link>{book}</link></item>" for book in books)
    link = f'<link xmlns="http://www.w3.org/2005/Atom" rel="next" href="?page={number + 1}"/>'
    return 200, {}, f"<rss><channel>{link}{entries}</channel></rss>"


@pytest.mark.parametrize("spider", ["Books", "News", "Shop"])
async def test_a_crawl_that_is_killed_takes_what_it_would_have(tmp_path: Path, spider: str) -> None:
    trial = Trial(tmp_path, f"shelf.py:{spider}")
    async with serve(answer) as site:
        (tmp_path / "shelf.py").write_text(SPIDERS.replace("SITE", site.url), encoding="utf-8")
        await asyncio.to_thread(trial.run, "calm")
        interruptions = Interruptions(
            command=trial.command,
            arguments=trial.arguments("disturbed"),
            state=trial.state("disturbed"),
            output=trial.output("disturbed"),
            progress=lambda: len(site.log),
            random=random.Random(7),
            every=15,
            at_most=4,
        )
        assert await asyncio.to_thread(interruptions.run_to_the_end) > 1
    calm = trial.outcome("calm")
    assert trial.outcome("disturbed") == calm
    assert len(calm.exported) == 3 * PAGES + 1
