"""A site that makes up URLs without end, in five ways at once: the crawl ends, with everything that is real.

With the thresholds that a crawl has by default. What was suspected stands aside, says why, and can be let in.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

from crawler import Crawl, Report, Settings
from crawler.frontier import SqliteFrontier
from crawler.outcome import Aside
from spiders.site import SiteSpider
from tests.proof.crawlfile import check_invariants, query
from tests.sites import Reply, page, redirect, serve

if TYPE_CHECKING:
    from pathlib import Path

    from tests.sites import Handler, Visit

SETTINGS = Settings(robots=False, concurrency=32, per_host=16)

TRAPS = ("calendar", "maze", "grow", "shop", "filter")

REAL = {
    "/": page("Home", *(f"/{trap}/" for trap in TRAPS), "/about"),
    "/about": page("About", "/about/us"),
    "/about/us": page("Us", "/"),
    "/event/party": page("Party", "/event/music"),
    "/event/music": page("Music", "/"),
    "/found/in/the/maze": page("A treasure"),
    "/found/growing": page("A flower"),
    "/found/by/filter": page("Clear water"),
    "/calendar/": redirect("/calendar/2024/05/"),
}

GOODS = 20


class TrapSite:
    """Pages that exist, and traps that lead to them."""

    def __init__(self) -> None:
        self._sessions = itertools.count(0x1234567890ABCDEF)

    async def answer(self, visit: Visit) -> Reply:
        path, _, asked = visit.path.partition("?")
        if path in REAL:
            return REAL[path]
        match path.split("/")[1:]:
            case ["calendar", year, month, *day] if int(year) > 0:
                return self._calendar(int(year), int(month), day[0] if day else "")
            case ["maze", *_]:  # every path is answered, with the same page
                return page("Maze", "left/", "right/", "/found/in/the/maze")
            case ["grow", *_]:  # every path is answered, with a page of its own
                return page(path, "more/", "/found/growing")
            case ["shop", *goods]:
                return self._shop(goods[-1])
            case ["filter", ""]:
                return page(f"Filter {asked}", f"?{asked}&water=clear" if asked else "?water=clear", "/found/by/filter")
        return 404, {}, ""

    def _calendar(self, year: int, month: int, day: str) -> Reply:
        before, after = (year - (month == 1), (month - 2) % 12 + 1), (year + (month == 12), month % 12 + 1)
        links = [f"/calendar/{year:04}/{month:02}/" for year, month in (before, after)]
        links += [] if day else [f"/calendar/{year:04}/{month:02}/{number:02}" for number in (1, 28)]
        links += ["/event/party"] if (year, month, day) == (2030, 1, "28") else []
        return page(f"{year} {month} {day}", *links)

    def _shop(self, goods: str) -> Reply:
        """Each answer has links with a session of its own."""
        session = f"{next(self._sessions):x}"
        near = range(1, GOODS + 1) if not goods else (int(goods) % GOODS + 1,)
        return page(f"Goods {goods}", f"/shop/?sid={session}", *(f"/shop/{number}?sid={session}" for number in near))


async def crawl(folder: Path, url: str) -> Report:
    async with asyncio.timeout(120):
        return await Crawl(SiteSpider(start_urls=[url]), SETTINGS, state=folder / "traps.crawl").run()


async def test_a_crawl_ends_and_has_all_that_is_real(tmp_path: Path) -> None:
    state = tmp_path / "traps.crawl"
    answer: Handler = TrapSite().answer
    async with serve(answer) as site:
        report = await crawl(tmp_path, f"{site.url}/")
        assert report.finished
        asked = set(site.paths)
        assert set(REAL) <= asked
        shop = [path.partition("?")[0] for path in site.paths if path.startswith("/shop/")]
        assert {f"/shop/{number}" for number in range(1, GOODS + 1)} <= set(shop)
        assert len(shop) <= GOODS + 2, "something was bought twice"
        assert len(asked) < 10_000

        check_invariants(state)
        aside = query(state, "SELECT url, aside.reason, detail FROM aside JOIN request ON request.id = request")
        assert {reason for _, reason, _ in aside} == {"trap"}
        details = {trap: [detail for url, _, detail in aside if f"/{trap}/" in url] for trap in TRAPS}
        assert all(details.values()), "a trap was not noticed"
        assert all("led to nothing but further dates" in detail for detail in details["calendar"])
        assert all("copy of the very page" in detail or " stands " in detail for detail in details["maze"])
        assert details["grow"] == ["/more stands 4 times in a row in its path"]
        assert {"found before, with another session id"} == set(details["shop"])
        assert details["filter"] == ["water=clear stands 4 times in its query"]


async def test_what_was_suspected_can_be_let_in(tmp_path: Path) -> None:
    answer: Handler = TrapSite().answer
    async with serve(answer) as site:
        await crawl(tmp_path, f"{site.url}/grow/")
        deeper = f"{site.url}/grow/more/more/more/more/"
        assert "/grow/more/more/more/more/" not in site.paths
        frontier = await SqliteFrontier.open(tmp_path / "traps.crawl", spider="site")
        assert await frontier.release(reason=Aside.TRAP, url=deeper) == 1
        await frontier.close()
        assert (await crawl(tmp_path, f"{site.url}/grow/")).finished
        assert site.paths[-1] == "/grow/more/more/more/more/"
