"""Crawls through a proxy: all of it goes there, hosts are treated as ever, and what the proxy fails at is no page's fault."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import ssl
from collections import Counter
from contextlib import AsyncExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from msgspec.structs import replace

from crawler import Crawl, Page, Report, Settings
from crawler.errors import ProxyError
from crawler.frontier.statefile import StateFile
from spiders.site import SiteSpider
from tests.servers import daemons
from tests.servers.ports import an_unused_port
from tests.servers.proxy import http_proxy, scripted, socks_proxy
from tests.sites import Reply, Site, Visit, page, redirect, serve

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from crawler.fetcher import Fetch, Unfit
    from crawler.frontier.protocol import Lease

NAMES = {"site.example": "127.0.0.1", "other.example": "127.0.0.1", "end.example": "127.0.0.1"}
"""What the proxies know, and nobody else."""

QUICK = Settings(retry_wait=0.01, rest_wait=0.01, rest_after=1, max_rests=3, commit_interval=0.01)
LOGIN = ("me", "s3cret")
PLAIN = {"Content-Type": "text/plain"}


class Anywhere(SiteSpider):
    """Follows every link."""

    scope = "any"


@pytest.fixture
def unused_port() -> int:
    """A port of loopback on which nobody listens."""
    return an_unused_port()


async def crawl(path: Path, settings: Settings, *urls: str, state: str = "test.crawl") -> Report:
    async with asyncio.timeout(60):
        return await Crawl(Anywhere(start_urls=[*urls]), settings, state=path / state).run()


def ask(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path / "test.crawl")) as db:
        return db.execute(sql).fetchall()


def errors(path: Path) -> dict[str, str]:
    return dict(ask(path, "SELECT url, error FROM pages WHERE error IS NOT NULL"))


def url_of(site: Site, name: str = "site.example", path: str = "/") -> str:
    return f"http://{name}:{site.port}{path}"


# -- all of it ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("kind", [http_proxy, socks_proxy])
async def test_all_goes_through_the_proxy(tmp_path: Path, kind: Any, processes: int) -> None:
    """robots.txt, sitemaps and redirects too; and nobody here looks up a name that the proxy alone knows."""

    async def answer(visit: Visit) -> Reply:
        pages: dict[str, Reply] = {
            "/robots.txt": (200, PLAIN, f"Sitemap: {home}map.xml\nUser-agent: *\nDisallow: /shut"),
            "/map.xml": (
                200,
                {"Content-Type": "application/xml"},
                f"<urlset><url><loc>{home}mapped</loc></url></urlset>",
            ),
            "/": page("Home", "/a", "/shut", "/moved"),
            "/moved": redirect(url_of(site, "other.example", "/new")),
        }
        return pages.get(visit.path, page(visit.path))

    async with serve(answer) as site, kind(names=NAMES) as proxy:
        home = url_of(site)
        url = proxy.url.replace("socks5", "socks5h")
        settings = replace(QUICK, proxy=url, processes=processes, sitemaps=True)
        report = await crawl(tmp_path, settings, home)
    assert report.finished
    done = [url for (url,) in ask(tmp_path, "SELECT final_url FROM pages WHERE status = 200 ORDER BY 1")]
    assert done == [
        url_of(site, "other.example", "/new"),
        home,
        *(f"{home}{name}" for name in ("a", "map.xml", "mapped")),
    ]
    assert Counter(site.paths)["/robots.txt"] == 2
    if kind is http_proxy:
        assert sorted(asked.target for asked in proxy.log) == sorted(
            f"http://{visit.host}{visit.path}" for visit in site.log
        )
    else:
        assert {asked.target for asked in proxy.log} == {
            f"{name}:{site.port}" for name in ("site.example", "other.example")
        }


async def test_https_goes_through_a_tunnel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("site.example").configure_cert(tls)
    async with serve({"/": page("Home", "/a"), "/a": page("A")}, tls=tls) as site, http_proxy(names=NAMES) as proxy:
        report = await crawl(tmp_path, replace(QUICK, proxy=proxy.url), f"https://site.example:{site.port}/")
    assert report.finished
    assert site.paths == ["/robots.txt", "/", "/a"]
    assert {asked.verb for asked in proxy.log} == {"CONNECT"}


async def test_exceptions_are_asked_directly(tmp_path: Path) -> None:
    async with serve({"/": page("Home", "/a"), "/a": page("A")}) as site, http_proxy(names=NAMES) as proxy:
        settings = replace(QUICK, proxy=proxy.url, no_proxy=f"elsewhere.example, 127.0.0.1:{site.port}")
        report = await crawl(tmp_path, settings, f"{site.url}/", url_of(site))
    assert report.stats.done == 4
    assert {asked.target.split("/")[2] for asked in proxy.log} == {f"site.example:{site.port}"}
    assert len(site.paths) == 2 * len(proxy.log)


# -- hosts -------------------------------------------------------------------------------------------------------------


async def test_limits_are_those_of_the_hosts_behind_the_proxy(tmp_path: Path) -> None:
    """Two hosts are asked at once, neither twice at once, though all connections lead to one address."""
    active: Counter[str] = Counter()
    most: Counter[str] = Counter()
    both = asyncio.Event()

    async def answer(visit: Visit) -> Reply:
        active[visit.host] += 1
        most[visit.host] = max(most[visit.host], active[visit.host])
        if len(+active) == 2:
            both.set()
        if visit.path == "/":
            await both.wait()
        active[visit.host] -= 1
        return page("Any", "/a", "/b", "/c")

    async with serve(answer) as site, http_proxy(names=NAMES) as proxy:
        settings = replace(QUICK, proxy=proxy.url, robots=False, per_host=1, per_ip=1)
        report = await crawl(tmp_path, settings, url_of(site), url_of(site, "other.example"))
    assert report.stats.done == 8
    assert set(most.values()) == {1}


async def test_links_do_not_lead_into_the_proxys_network(tmp_path: Path) -> None:
    """Names are the proxy's to resolve; addresses, and localhost, are refused before anything is asked of it."""
    private = ["127.0.0.1", "localhost", "deep.localhost", "[::1]", "10.0.0.1", "2130706433", "169.254.169.254"]

    async def answer(visit: Visit) -> Reply:
        links = [f"http://{host}:{site.port}/secret" for host in private]
        pages = {"/": page("Home", *links, proxy.url, "/moved"), "/moved": redirect(f"{site.url}/secret")}
        return pages.get(visit.path, (404, {}, ""))

    async with serve(answer) as site, http_proxy(names=NAMES) as proxy:
        await crawl(tmp_path, replace(QUICK, proxy=proxy.url, robots=False), url_of(site))
    assert sorted(site.paths) == ["/", "/moved"]
    assert len(proxy.log) == 2
    reached = {url for (url,) in ask(tmp_path, "SELECT url FROM pages WHERE status IS NOT NULL AND error IS NULL")}
    assert reached == {url_of(site)}


# -- when the proxy fails ----------------------------------------------------------------------------------------------


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def links(number: int) -> dict[str, Reply]:
    return {"/": page("Home", *(f"/{n}" for n in range(number))), **{f"/{n}": page(f"{n}") for n in range(number)}}


@pytest.mark.parametrize("robots", [True, False])
@pytest.mark.parametrize("processes", [1, 2])
async def test_a_crawl_without_its_proxy_loses_nothing(
    tmp_path: Path, unused_port: int, caplog: pytest.LogCaptureFixture, processes: int, robots: bool
) -> None:
    """It waits, says so once, and ends; the next run goes on."""
    settings = replace(QUICK, proxy=f"http://me:s3cret@127.0.0.1:{unused_port}", robots=robots, processes=processes)
    async with serve(links(5)) as site:
        seeds = [url_of(site), url_of(site, "other.example")]
        with pytest.raises(ProxyError, match=rf"the proxy http://127.0.0.1:{unused_port} is of no use: cannot connect"):
            await crawl(tmp_path, settings, *seeds)
        assert len(told(caplog)) == 1
        assert "the crawl waits for it" in told(caplog)[0]
        with StateFile(tmp_path / "test.crawl") as file:
            status = file.status()
        assert (status.state, status.urls.queued, status.urls.failed) == ("paused", 2, 0)
        async with http_proxy(names=NAMES, port=unused_port):
            report = await crawl(tmp_path, settings, *seeds)
    assert report.finished
    assert (report.stats.done, report.stats.failed, report.stats.aside) == (12, 0, 0)


async def test_a_crawl_outlasts_its_proxys_absence(
    tmp_path: Path, unused_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Pages that were under way are fetched once it is back; hosts are as good as before."""
    is_there, is_needed, is_missed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "waits for it" in record.getMessage():
                is_missed.set()

    async def answer(visit: Visit) -> Reply:
        if visit.path == "/3":
            is_needed.set()
        return links(40).get(visit.path, (404, {}, ""))

    async def attend() -> None:
        async with http_proxy(names=NAMES, port=unused_port):
            is_there.set()
            await is_needed.wait()
        await is_missed.wait()
        async with http_proxy(names=NAMES, port=unused_port):
            await asyncio.Event().wait()

    settings = replace(
        QUICK, proxy=f"http://127.0.0.1:{unused_port}", max_rests=60, max_attempts=50, max_retry_wait=0.2
    )
    listener = Listener()
    logging.getLogger("crawler.hosts.proxy_gate").addHandler(listener)
    try:
        async with serve(answer) as site, asyncio.TaskGroup() as group:
            proxy = group.create_task(attend())
            await is_there.wait()
            report = await crawl(tmp_path, settings, url_of(site))
            proxy.cancel()
    finally:
        logging.getLogger("crawler.hosts.proxy_gate").removeHandler(listener)
    assert report.finished
    assert (report.stats.done, report.stats.failed) == (41, 0)
    assert [text.partition(",")[0] for text in told(caplog)] == [
        f"the proxy http://127.0.0.1:{unused_port} is out of reach",
        f"the proxy http://127.0.0.1:{unused_port} is back",
    ]


async def test_a_request_has_as_many_attempts_after_an_outage_as_before(tmp_path: Path, unused_port: int) -> None:
    """The host fails once more than the proxy needs to come back, and still less often than it may."""
    is_missed_often, misses = asyncio.Event(), 0

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            nonlocal misses
            misses += "waits for it" in record.getMessage()
            if misses == 5:
                is_missed_often.set()

    async def answer(visit: Visit) -> Reply:
        return (500, {}, "") if len(site.log) < 3 else page("Home")

    settings = replace(QUICK, proxy=f"http://127.0.0.1:{unused_port}", max_rests=900, max_attempts=3, robots=False)
    settings = replace(settings, max_retry_wait=0.02)
    logger, listener = logging.getLogger("crawler.hosts.proxy_gate"), Listener()
    level = logger.level
    logger.addHandler(listener)
    logger.setLevel(logging.INFO)
    try:
        async with serve(answer) as site, asyncio.TaskGroup() as group:
            running = group.create_task(crawl(tmp_path, settings, url_of(site)))
            await is_missed_often.wait()
            async with http_proxy(names=NAMES, port=unused_port):
                report = await running
    finally:
        logger.setLevel(level)
        logger.removeHandler(listener)
    assert (report.stats.done, report.stats.failed) == (1, 0)
    assert ask(tmp_path, "SELECT attempts FROM result") == [(2,)]


async def test_outputs_are_complete_when_the_proxy_ends_the_crawl(tmp_path: Path, unused_port: int) -> None:
    """Whatever is not committed by then, is at the end."""
    async with serve(links(5)) as site:
        settings = replace(
            QUICK, proxy=f"http://127.0.0.1:{unused_port}", max_rests=0, commit_interval=3600.0, per_host=1
        )

        async def leave_after(lease: Lease, fetch: Fetch) -> Page | Unfit:
            if lease.url.endswith("/2"):
                await leave.aclose()
            return await fetch(lease)

        async with AsyncExitStack() as leave:
            await leave.enter_async_context(http_proxy(names=NAMES, port=unused_port))
            spider = Anywhere(start_urls=[url_of(site)])
            outputs, state = [tmp_path / "out.jsonl"], tmp_path / "test.crawl"
            with pytest.raises(ProxyError):
                await Crawl(spider, settings, state=state, exports=outputs, middlewares=[leave_after]).run()
    written = [json.loads(line)["url"] for line in outputs[0].read_text().splitlines()]
    assert written == [url_of(site, path=path) for path in ("/", "/0", "/1")]
    assert ask(tmp_path, "SELECT count(*) FROM item") == [(3,)]
    assert ask(tmp_path, "SELECT why FROM run") == [("failed",)]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("robots", [True, False])
async def test_credentials_that_are_refused_end_the_crawl_at_once(tmp_path: Path, scheme: str, robots: bool) -> None:
    async with serve(links(2)) as site, http_proxy(names=NAMES, login=LOGIN) as proxy:
        settings = replace(QUICK, proxy=proxy.url.replace("//", "//me:wr0ng@"), robots=robots)
        with pytest.raises(ProxyError, match="407"):
            await crawl(tmp_path, settings, f"{scheme}://site.example:{site.port}/")
        assert len(proxy.log) == 1
        assert not site.log
    assert ask(tmp_path, "SELECT count(*) FROM queue") == [(1,)]


async def test_a_host_that_speaks_like_the_proxy_costs_only_itself(tmp_path: Path) -> None:
    """A forwarding proxy passes on a 407 of a host's own."""

    async def answer(visit: Visit) -> Reply:
        if visit.host.startswith("other") and visit.path != "/robots.txt":
            return 407, {"Proxy-Authenticate": "Basic realm=x"}, ""
        return links(5).get(visit.path, (404, {}, ""))

    async with serve(answer) as site, http_proxy(names=NAMES) as proxy:
        settings = replace(QUICK, proxy=proxy.url, max_attempts=9)
        report = await crawl(tmp_path, settings, url_of(site), url_of(site, "other.example"))
    assert report.finished
    assert (report.stats.done, report.stats.aside) == (6, 1)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_hosts_that_the_proxy_does_not_reach_are_set_aside(tmp_path: Path, scheme: str) -> None:
    """As without a proxy, and the others go on."""

    async def refuse(reader: StreamReader, writer: StreamWriter) -> None:
        while line := await reader.readline():
            if line == b"\r\n":
                writer.write(b"HTTP/1.1 502 Not there\r\nContent-Length: 0\r\n\r\n")

    async with serve(links(3)) as site, scripted(refuse) as proxy:
        settings = replace(QUICK, proxy=proxy.url, no_proxy="127.0.0.1", robots=False, max_attempts=9)
        urls = [f"{scheme}://site.example/{n}" for n in range(20)]
        report = await crawl(tmp_path, settings, f"{site.url}/", *urls)
    assert report.finished
    assert (report.stats.done, report.stats.failed, report.stats.aside) == (4, 0, 20)


@pytest.mark.parametrize(
    ("scheme", "replies"),
    [
        ("socks5h", [b"\5\0", b"\5\1\0\1" + bytes(6)]),
        ("socks5h", [b"\5\0", b""]),
        ("http", [b""]),
        ("http", [b"HTTP/1.1 200 OK\r\n\r\nSSH-2.0"]),
    ],
    ids=["general failure", "hung up by SOCKS", "hung up", "spoken to early"],
)
async def test_a_host_cannot_make_the_proxy_look_dead(tmp_path: Path, scheme: str, replies: list[bytes]) -> None:
    """What a proxy says of a target that it does not reach differs, and some just hang up."""

    async def talk(reader: StreamReader, writer: StreamWriter) -> None:
        for reply in replies:
            await reader.read(4096)
            writer.write(reply)

    async with serve(links(3)) as site, scripted(talk, scheme=scheme) as proxy:
        settings = replace(QUICK, proxy=proxy.url, no_proxy="127.0.0.1", robots=False, max_attempts=9)
        report = await crawl(tmp_path, settings, f"{site.url}/", *(f"https://site.example/{n}" for n in range(9)))
    assert report.finished
    assert (report.stats.done, report.stats.failed, report.stats.aside) == (4, 0, 9)


async def test_what_the_proxy_forbids_is_not_tried_again_and_again(tmp_path: Path) -> None:
    async def refuse(reader: StreamReader, writer: StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.append(1)
        writer.write(b"HTTP/1.1 403 Not you\r\nContent-Length: 0\r\n\r\n")

    asked: list[int] = []
    async with scripted(refuse) as proxy:
        settings = replace(QUICK, proxy=proxy.url, robots=False, rest_after=5)
        await crawl(tmp_path, settings, *(f"https://site.example/{n}" for n in range(20)))
    assert len(asked) <= 6
    assert all("the proxy answered 403 Not you" in text for text in errors(tmp_path).values())


# -- passwords ---------------------------------------------------------------------------------------------------------


async def test_a_password_is_told_to_the_proxy_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serve({"/": page("Home", "/a"), "/a": page("A")}) as site, http_proxy(names=NAMES, login=LOGIN) as proxy:
        settings = replace(QUICK, proxy=proxy.url.replace("//", "//me:s3cret@"), keep_bodies=True)
        report = await crawl(tmp_path, settings, url_of(site))
        with pytest.raises(ProxyError) as failure:
            await crawl(tmp_path, replace(settings, proxy="http://me:s3cret@127.0.0.1:9"), url_of(site, path="/b"))
    assert report.stats.done == 2
    assert all("proxy-authorization" not in visit.headers for visit in site.log)
    assert "s3cret" not in caplog.text + repr(settings) + json.dumps(errors(tmp_path)) + str(failure.value)
    for file in tmp_path.iterdir():
        assert b"s3cret" not in file.read_bytes()


# -- proxies of other people's making ----------------------------------------------------------------------------------


def needs(binary: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(daemons.find(binary) is None, reason=f"Debian's package {binary} is not installed")


@needs("squid")
async def test_squid(tmp_path: Path, unused_port: int) -> None:
    """A host that it does not reach, for which it answers 503, is set aside like any other that is out of reach."""
    pem = trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.bytes()

    async def answer(visit: Visit) -> Reply:
        dead = f"http://origin.example:{unused_port}/"
        return page("Any", dead, "/a", f"{dead}b") if visit.path in {"/", "/a"} else (404, {}, "")

    async with serve(answer) as site, daemons.squid(LOGIN, pem) as (port, _):
        settings = replace(QUICK, proxy=f"http://me:s3cret@127.0.0.1:{port}", max_attempts=9)
        report = await crawl(tmp_path, settings, url_of(site, "origin.example"))
        with pytest.raises(ProxyError, match="407"):
            stranger = replace(settings, proxy=f"http://127.0.0.1:{port}")
            await crawl(tmp_path, stranger, url_of(site, "origin.example"), state="other.crawl")
    assert report.finished
    assert (report.stats.done, report.stats.failed, report.stats.aside) == (2, 0, 2)


@pytest.mark.parametrize(
    ("start", "scheme"),
    [
        pytest.param(daemons.tinyproxy, "http", marks=needs("tinyproxy"), id="tinyproxy"),
        pytest.param(daemons.microsocks, "socks5", marks=needs("microsocks"), id="microsocks"),
    ],
)
async def test_a_proxy_with_credentials(
    tmp_path: Path, start: Callable[[tuple[str, str]], AbstractAsyncContextManager[int]], scheme: str
) -> None:
    async with serve(links(5)) as site, start(LOGIN) as port:
        settings = replace(QUICK, proxy=f"{scheme}://me:s3cret@127.0.0.1:{port}")
        report = await crawl(tmp_path, settings, f"{site.url}/")
    assert (report.finished, report.stats.done) == (True, 6)
