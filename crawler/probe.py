"""Single pages, fetched with all the manners of a crawl: each in a run of its own of one crawl, whose file is thrown away."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from client.origin import HostKey
from crawler.crawl import Crawl
from crawler.frontier import SqliteFrontier
from crawler.frontier.sqlite import discard
from crawler.frontier.statefile import StateFile
from crawler.hosts.rules import MAX_REDIRECTS
from crawler.reports.why import Why, why
from crawler.request import Request
from crawler.spider import Spider
from crawler.web.product import product_token
from crawler.web.robots import Robots
from crawler.web.urls import normalize, origin_of, robots_url

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from crawler.fetcher import Fetch, Unfit
    from crawler.frontier.protocol import Lease
    from crawler.page import Page
    from crawler.report import Report
    from crawler.request import Links
    from crawler.settings import Settings


class Probed(NamedTuple):
    """What came of asking for a URL: the page, if a 2xx response came, and how it went."""

    page: Page | None
    why: Why


class _ProbeSpider(Spider):
    """Takes the page of one request, and follows nothing."""

    name = "probe"

    def __init__(self, request: Request, callback: str | None) -> None:
        super().__init__()
        self.request = request
        self.callback = callback
        self.page: Page | None = None

    def start(self) -> list[Request | Links]:
        return [self.request]

    async def as_asked_for(self, lease: Lease, fetch: Fetch) -> Page | Unfit:
        """The outermost middleware: to those within, the page is for the callback that it is meant for in the end."""
        lease.callback = self.callback
        try:
            return await fetch(lease)
        finally:
            lease.callback = None

    def parse(self, page: Page) -> None:
        self.page = page


class Probes:
    """Fetches one page after another. All probes are runs of one crawl: what the first learned about a host (its robots.txt, its
    cookies, that it is resting) holds for the next, and so does the time between two requests.

    With a `spider`, pages are fetched through the middlewares that it has by then. It is neither opened nor called.

    To be used in a `with` block; what is known is forgotten at its end.
    """

    def __init__(self, settings: Settings, spider: Spider | None = None) -> None:
        self._middlewares = tuple(spider.middlewares) if spider else ()
        self._settings = replace(
            settings,
            processes=1,
            sitemaps=False,
            canonical=False,
            max_pages=0,
            max_pages_per_host=0,
            max_time=0.0,
            keep_bodies=False,
        )
        self._folder = TemporaryDirectory(prefix="crawl-probe-")
        self._state = Path(self._folder.name) / "probe.crawl"

    def __enter__(self) -> Probes:
        return self

    def __exit__(self, *_error: object) -> None:
        self._folder.cleanup()

    async def probe(self, url: str, *, callback: str | None = None, context: Mapping[str, Any] | None = None) -> Probed:
        """Fetch a page: robots.txt first, if the settings say so; redirects, retries and waits are those of a crawl. `callback` is
        the name of the method that the page is for, `context` that of the request.

        Raises InvalidUrl for what is not a URL.
        """
        spider = _ProbeSpider(Request(normalize(url), context=context, again=True), callback)
        middlewares = (spider.as_asked_for, *self._middlewares)
        try:
            report = await Crawl(spider, self._settings, state=self._state, middlewares=middlewares).run()
        except BaseException:
            discard(self._state)  # otherwise the next probe would go on with this one
            raise
        with StateFile(self._state) as file:
            answer = why(file, url)
        await self._keep_distance(report)
        return Probed(spider.page, replace(answer, requests=answer.requests[-1:]))

    async def _keep_distance(self, report: Report) -> None:
        """Have the hosts rest for as long as the next request to them would have to wait within one run."""
        spaced = [pace for pace in report.paces if pace.spacing]
        if not spaced:
            return
        frontier = await SqliteFrontier.open(self._state, spider=None)
        try:
            for pace in spaced:
                host = HostKey(pace.host)
                state = frontier.host_states().get(host)
                rests_until = (state.resting_until if state else None) or 0.0
                frontier.note_host(host, resting_until=max(rests_until, frontier.now() + pace.spacing))
        finally:
            await frontier.close()


async def probe(url: str, settings: Settings) -> Probed:
    """Fetch one page, as `Probes` does."""
    with Probes(settings) as probes:
        return await probes.probe(url)


class RobotsReport(NamedTuple):
    """What the robots.txt of an origin says to one robot.

    `status`: that of the answer, None if there was none. `error`: why nothing is allowed, if robots.txt could not be fetched.
    `rule`: the line that decides about the URL, None if there is none. `crawl_delay`: in seconds.
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


async def rules_for(url: str, settings: Settings) -> RobotsReport:
    """What robots.txt says about a URL to the robot that the settings name (RFC 9309 §2.3.1: a 4xx allows everything, as do redirects
    that lead nowhere; a 5xx or no answer allows nothing). Raises InvalidUrl for what is not a URL."""
    url = normalize(url)
    where = robots_url(origin_of(url))
    agent = product_token(settings.user_agent)
    page, answer = await probe(where, replace(settings, robots=False, max_redirects=MAX_REDIRECTS))
    if page is None:
        (request,) = answer.requests
        is_absent = request.status is not None and 300 <= request.status < 500 and request.status != 429
        error = None if is_absent else request.detail
        return RobotsReport(where, url, agent, is_allowed=is_absent, status=request.status, error=error)
    robots = Robots.parse(page.body, user_agent=settings.user_agent)
    return RobotsReport(
        where,
        url,
        agent,
        is_allowed=robots.allows(url),
        status=page.status,
        rule=robots.rule_for(url),
        crawl_delay=robots.crawl_delay,
        sitemaps=tuple(robots.sitemaps),
    )
