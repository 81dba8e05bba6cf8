"""One page, asked for with all the manners of a crawl: by a crawl of one page, in a crawl file that is thrown away."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from crawler.crawl import Crawl
from crawler.frontier.statefile import StateFile
from crawler.spider import Spider
from crawler.web.product import product_token
from crawler.web.robots import Robots
from crawler.web.urls import normalize, origin_of, robots_url
from crawler.why import Why, why

if TYPE_CHECKING:
    from crawler.page import Page
    from crawler.settings import Settings


class Visit(NamedTuple):
    """What came of asking for a URL: the page, if a 2xx response came, and how it went."""

    page: Page | None
    why: Why


class _Visitor(Spider):
    """Takes the page it is sent for, and follows nothing."""

    name = "visit"

    def __init__(self, url: str) -> None:
        super().__init__(start_urls=[url])
        self.page: Page | None = None

    def parse(self, page: Page) -> None:
        self.page = page


async def visit(url: str, settings: Settings) -> Visit:
    """Ask for a page: robots.txt first, if the settings say so; redirects, retries and waits are those of a crawl.

    Raises InvalidUrl for what is no URL.
    """
    visitor = _Visitor(normalize(url))
    alone = replace(
        settings, processes=1, sitemaps=False, canonical=False, max_pages=0, max_time=0.0, keep_bodies=False
    )
    with TemporaryDirectory(prefix="crawl-visit-") as folder:
        state = Path(folder) / "visit.crawl"
        await Crawl(visitor, alone, state=state).run()
        with StateFile(state) as file:
            return Visit(visitor.page, why(file, url))


class Rules(NamedTuple):
    """What the robots.txt of an origin says to one robot.

    `status`: that of the answer, None if there was none. `error`: why nothing is allowed, when robots.txt could not be had.
    `rule`: the line that decides over the URL, None if none speaks of it.
    """

    robots_url: str
    url: str
    agent: str
    is_allowed: bool
    status: int | None = None
    error: str | None = None
    rule: str | None = None
    crawl_delay: float | None = None
    sitemaps: tuple[str, ...] = ()


async def rules_for(url: str, settings: Settings) -> Rules:
    """What robots.txt says of a URL to the robot that the settings name (RFC 9309 §2.3.1: a 4xx allows everything, a 5xx or no
    answer nothing). Raises InvalidUrl for what is no URL."""
    url = normalize(url)
    where = robots_url(origin_of(url))
    agent = product_token(settings.user_agent)
    page, told = await visit(where, replace(settings, robots=False))
    if page is None:
        (request,) = told.requests
        is_absent = request.status is not None and 400 <= request.status < 500 and request.status != 429
        error = None if is_absent else request.detail
        return Rules(where, url, agent, is_allowed=is_absent, status=request.status, error=error)
    robots = Robots.parse(page.body, user_agent=settings.user_agent)
    return Rules(
        where,
        url,
        agent,
        is_allowed=robots.allows(url),
        status=page.status,
        rule=robots.rule_for(url),
        crawl_delay=robots.crawl_delay,
        sitemaps=tuple(robots.sitemaps),
    )
