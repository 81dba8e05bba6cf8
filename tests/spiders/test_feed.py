"""The feed spider: every entry once, from feeds as they are, to their oldest."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest

from crawler import Links, Request
from crawler.loader import load
from spiders.feed import FeedSpider
from tests.sites import Visit, page, redirect, serve
from tests.spiders.crawling import crawled, crawled_in_steps, run, taken

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crawler import Page
    from crawler.web.feeds import Entry
    from tests.sites import Reply

ATOM = {"Content-Type": "application/atom+xml"}


def atom(*numbers: int, older: str = "", relation: str = "next", host: str = "") -> Reply:
    link = f'<link rel="{relation}" href="{older}"/>' if older else ""
    entries = "".join(
        f'<entry><id>urn:{number}</id><link href="{host}/entry/{number}"/><title>Entry {number}</title></entry>'
        for number in numbers
    )
    return 200, ATOM, f'<feed xmlns="http://www.w3.org/2005/Atom"><title>News</title>{link}{entries}</feed>'


def ids(items: list[dict[str, Any]]) -> list[int]:
    return sorted(int(item["id"].removeprefix("urn:")) for item in items)


ARCHIVE = {
    "/feed": atom(9, 8, 7, 6, older="/2", relation="prev-archive"),
    "/2": atom(8, 7, older="/1", relation="prev-archive"),
    "/1": atom(6, 5, older="/0", relation="prev-archive"),
    "/0": atom(4),
}
"""Its last archive has nothing that the feed itself has not, too."""


async def test_each_entry_is_an_item(tmp_path: Path) -> None:
    async with serve({"/feed": atom(1)}) as site:
        spider = load("feed", {"start_urls": f"{site.url}/feed"})
        (item,) = await crawled(spider, tmp_path)
    assert item == {
        "id": "urn:1",
        "url": f"{site.url}/entry/1",
        "title": "Entry 1",
        "author": None,
        "published": None,
        "updated": None,
        "summary": None,
        "content": None,
        "categories": [],
        "enclosures": [],
        "feed": f"{site.url}/feed",
    }
    assert site.paths == ["/feed"]


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("headers", [{"Content-Type": "application/gzip"}, {**ATOM, "Content-Encoding": "gzip"}])
async def test_a_feed_may_be_compressed_even_without_its_content_coding(
    tmp_path: Path, headers: dict[str, str], layers: int
) -> None:
    body = f"<?xml version='1.0' encoding='koi8-r'?>{atom(1)[2]!s}".replace("News", "Вести").encode("koi8-r")
    for _ in range(layers + ("Content-Encoding" in headers)):
        body = gzip.compress(body)
    async with serve({"/feed": (200, headers, body)}) as site:
        items = await crawled(FeedSpider(start_urls=[f"{site.url}/feed"]), tmp_path)
    assert (ids(items), items[0]["title"]) == ([1], "Entry 1")


async def test_a_compressed_feed_that_is_too_long_is_read_as_far_as_it_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    feed = str(atom(1, 2)[2]) + "<!-- -->" * 100
    monkeypatch.setattr("crawler.web.feeds.MAX_BYTES", len(feed) // 2)
    async with serve({"/feed": (200, ATOM, gzip.compress(feed.encode()))}) as site:
        items = await crawled(FeedSpider(start_urls=[f"{site.url}/feed"]), tmp_path)
    assert ids(items) == [1, 2]
    assert f"was read in part: it is longer than {len(feed) // 2} bytes" in caplog.text


async def test_a_page_leads_to_the_feed_that_it_names_first(tmp_path: Path) -> None:
    """Wherever the feed is, and whatever its media type says; APIs and other languages are no feeds."""
    feed: Reply = (200, {}, atom(1)[2])
    async with serve({"/moved": redirect("/atom"), "/atom": feed}) as other:
        head = f"""<link rel=stylesheet href=/style><link rel=alternate hreflang=de href=/de>
            <link rel=alternate type=application/json href=/api><link rel=alternate type=application/rss+xml href=mailto:x>
            <link rel="home alternate" type="Application/Atom+xml; charset=utf-8" href="{other.url}/moved">
            <link rel=alternate type=application/rss+xml href=/comments>"""
        async with serve({"/": page("Home", body=head)}) as site:
            assert ids(await crawled(FeedSpider(start_urls=[f"{site.url}/"]), tmp_path)) == [1]
        assert (site.paths, other.paths) == (["/"], ["/moved", "/atom"])


async def test_archives_are_followed_to_the_oldest_and_no_entry_is_taken_twice(tmp_path: Path) -> None:
    async with serve(ARCHIVE) as site:
        assert ids(await crawled(FeedSpider(start_urls=[f"{site.url}/feed"]), tmp_path)) == [4, 5, 6, 7, 8, 9]
    assert site.paths == ["/feed", "/2", "/1", "/0"]


async def test_json_is_paged_as_well(tmp_path: Path) -> None:
    head = '{"version": "https://jsonfeed.org/version/1.1", "items"'
    kind = {"Content-Type": "application/feed+json"}
    pages = {
        "/feed": (200, kind, f'{head}: [{{"id": 2}}], "next_url": "?page=2"}}'),
        "/feed?page=2": (200, kind, f'{head}: [{{"id": 1}}]}}'),
    }
    async with serve(pages) as site:
        assert ids(await crawled(FeedSpider(start_urls=[f"{site.url}/feed"]), tmp_path)) == [1, 2]


@pytest.mark.parametrize("beyond", ["the first", "the last", "nothing", "more"])
async def test_a_feed_without_end_is_left(tmp_path: Path, caplog: pytest.LogCaptureFixture, beyond: str) -> None:
    async def answer(visit: Visit) -> Reply:
        number = int(visit.path.rpartition("=")[2])
        shown = {"the first": [1], "the last": [3], "nothing": [], "more": [number]}[beyond] if number > 3 else [number]
        return atom(*shown, older=f"/feed?page={number + 1}")

    async with serve(answer) as site:
        spider = FeedSpider(start_urls=[f"{site.url}/feed?page=1"], max_feed_pages="6")
        found = ids(await crawled(spider, tmp_path))
    assert found == ([1, 2, 3, 4, 5, 6] if beyond == "more" else [1, 2, 3])
    assert len(site.paths) == {"more": 6, "nothing": 5}.get(beyond, 4)
    assert ("is page 6 of its list" in caplog.text) == (beyond == "more")


class Articles(FeedSpider):
    def item(self, entry: Entry, page: Page) -> dict[str, Any] | None:
        return None if entry.title == "Entry 8" else {"title": entry.title, "feed": page.url}

    def parse_entry(self, page: Page) -> Iterator[dict[str, Any]]:
        yield {**super().parse_entry(page), "heading": page.title}


ARTICLES = {f"/entry/{number}": page(f"Article {number}", "/further") for number in range(4, 10)}


async def test_the_page_of_each_entry_is_read_where_a_spider_wants_it(tmp_path: Path) -> None:
    """On whatever host it is."""
    async with serve(ARTICLES) as other:
        status, headers, text = atom(9, 8, host=other.url)
        feed = str(text).replace("</feed>", "<entry><title>No page</title></entry></feed>")
        async with serve({"/feed": (status, headers, feed)}) as site:
            found = await crawled(Articles(start_urls=[f"{site.url}/feed"]), tmp_path)
        assert other.paths == ["/entry/9"]
    where = f"{site.url}/feed"
    assert found == [
        {"title": "Entry 9", "feed": where, "heading": "Article 9"},
        {"title": "No page", "feed": where},
    ]


async def test_the_context_of_a_seed_comes_along(tmp_path: Path) -> None:
    class Told(Articles):
        def start(self) -> list[Request | Links]:
            return [Request(url, context={"number": "a text"}) for url in self.start_urls]

        def parse_entry(self, page: Page) -> Iterator[dict[str, Any]]:
            yield {"title": page.title, "context": sorted(page.context), "number": page.context["number"]}

    home = page("Home", body="<link rel=alternate type=application/atom+xml href=/feed>")
    feeds = {"/": home, "/feed": atom(5, older="/2"), "/2": atom(4)}
    async with serve(ARTICLES | feeds) as site:
        found = await crawled(Told(start_urls=[f"{site.url}/"]), tmp_path)
    told = {"context": ["entry", "number"], "number": "a text"}
    assert found == [{**told, "title": "Article 4"}, {**told, "title": "Article 5"}]


PAGED = {"/": page("Home", body="<link rel=alternate type=application/atom+xml href=/feed>")} | {
    f"/entry/{number}": page(f"Article {number}") for number in range(1, 9)
}
EARLIER = {"/feed": atom(4, 3, older="/feed?page=2"), "/feed?page=2": atom(2, 1)}
LATER = {
    "/feed": atom(8, 7, older="/feed?page=2"),
    "/feed?page=2": atom(6, 5, older="/feed?page=3"),
    "/feed?page=3": atom(4, 3),
}


async def test_a_feed_that_is_watched_brings_all_that_is_new_and_asks_for_no_entry_twice(tmp_path: Path) -> None:
    """What was on its first page is on the third then, and what is on the second was on none."""

    class Watched(FeedSpider):
        def parse_entry(self, page: Page) -> Iterator[dict[str, Any]]:
            yield {"heading": page.title}

    pages: dict[str, Reply] = {}
    async with serve(pages) as site:
        for now in (EARLIER, LATER, LATER):
            pages |= PAGED | now
            found = await crawled(Watched(start_urls=[f"{site.url}/"], watch="true"), tmp_path)
    assert found == [{"heading": f"Article {number}"} for number in range(1, 9)]
    documents = ["/", "/feed", "/feed?page=2"]
    assert [path for path in site.paths if "entry" not in path] == [*documents, *[*documents, "/feed?page=3"] * 2]
    assert sorted(path for path in site.paths if "entry" in path) == [f"/entry/{number}" for number in range(1, 9)]


async def test_a_feed_that_is_watched_may_be_behind_a_redirect(tmp_path: Path) -> None:
    """It is known from the first run on, but not for that reason left."""
    pages: dict[str, Reply] = {"/moved": redirect("/feed")}
    async with serve(pages) as site:
        for now in (atom(1), atom(3, 2)):
            pages["/feed"] = now
            spider = FeedSpider(start_urls=[f"{site.url}/moved"], watch=True)
            found = await crawled(spider, tmp_path)
    assert ids(found) == [1, 2, 3]


async def test_each_run_takes_the_entries_of_a_feed_that_is_watched_for_their_own_sake(tmp_path: Path) -> None:
    """There is no page of theirs that would be known."""
    pages: dict[str, Reply] = {}
    async with serve(pages) as site:
        for now in (EARLIER, LATER):
            pages |= now
            spider = FeedSpider(start_urls=[f"{site.url}/feed"], watch=True, max_feed_pages=2)
            found = ids(await crawled(spider, tmp_path))
    assert found == [1, 2, 3, 4, 5, 6, 7, 8]
    assert site.paths == ["/feed", "/feed?page=2"] * 2


async def test_a_feed_is_read_once_unless_it_is_watched(tmp_path: Path) -> None:
    async with serve(EARLIER) as site:
        for _ in range(2):
            assert ids(await crawled(FeedSpider(start_urls=[f"{site.url}/feed"]), tmp_path)) == [1, 2, 3, 4]
    assert site.paths == ["/feed", "/feed?page=2"]


@pytest.mark.parametrize("kind", [FeedSpider, Articles])
async def test_a_crawl_that_is_stopped_at_every_page_takes_the_same(tmp_path: Path, kind: type[FeedSpider]) -> None:
    (tmp_path / "whole").mkdir()
    async with serve(ARCHIVE | ARTICLES) as site:
        whole = await crawled(kind(start_urls=[f"{site.url}/feed"]), tmp_path / "whole")
        site.log.clear()
        assert await crawled_in_steps(lambda: kind(start_urls=[f"{site.url}/feed"]), tmp_path) == whole
    assert len(site.paths) == len(set(site.paths))


@pytest.mark.parametrize(
    "reply",
    [
        page("Home", "/feed"),
        (200, ATOM, "<!DOCTYPE feed [<!ENTITY a 'aaaa'>]><feed><entry/></feed>"),
        (200, {"Content-Type": "application/json"}, "{}"),
    ],
)
async def test_what_is_no_feed_and_names_none_fails(tmp_path: Path, reply: Reply) -> None:
    async with serve({"/": reply}) as site:
        report = await run(FeedSpider(start_urls=[f"{site.url}/"]), tmp_path)
    (error,) = report.stats.spider_errors
    assert f"{site.url}/ is not a feed, and names none" in str(error)
    assert report.stats.failed == 1


async def test_a_feed_that_breaks_off_is_read_as_far_as_it_goes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    status, headers, text = atom(1, 2)
    async with serve({"/feed": (status, headers, str(text)[:-30])}) as site:
        await run(FeedSpider(start_urls=[f"{site.url}/feed"]), tmp_path)
    assert ids(taken(tmp_path)) == [1]
    assert f"the feed {site.url}/feed was read in part: it is no XML that can be read" in caplog.text


async def test_an_encoding_is_that_of_the_header_or_of_the_feed(tmp_path: Path) -> None:
    body = '<?xml version="1.0" encoding="euc-jp"?><rss><channel><item><title>日本</title></item></channel></rss>'
    pages: dict[str, Reply] = {
        "/a": (200, {"Content-Type": "text/xml"}, body.encode("euc-jp")),
        "/b": (200, {"Content-Type": "text/xml; charset=shift_jis"}, body.encode("shift_jis")),
    }
    async with serve(pages) as site:
        found = await crawled(FeedSpider(start_urls=[f"{site.url}/a", f"{site.url}/b"]), tmp_path)
    assert [item["title"] for item in found] == ["日本", "日本"]
