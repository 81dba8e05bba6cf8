"""Politeness: robots.txt by RFC 9309, pauses, rests, and what another run still knows of them."""

from __future__ import annotations

import asyncio
import math
import socket
import time
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from client import ClientSession, CookieJar, TCPConnector
from client.abc import AbstractResolver, ResolveResult
from client.limits import HostLimits
from client.origin import HostKey
from client.resolver import literal_address
from crawler import Crawl, Links, Page, Settings, Spider
from crawler.frontier import Lease, SqliteFrontier
from crawler.outcome import Aside, Failed, Postponed, SetAside, Skip, Skipped
from crawler.politeness import Politeness
from crawler.retries import Failure, RetryPolicy
from crawler.web.robots import Robots
from crawler.web.urls import host_key, host_of
from tests.nowhere import NOWHERE
from tests.sites import Reply, page, redirect, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from crawler import Report

NO_RULES: Reply = (404, {}, "")
SETTINGS = Settings(user_agent="nephila", per_ip=0, retry_wait=0.01)


def lease(url: str, attempts: int = 0) -> Lease:
    return Lease(id=1, host=host_of(url), url=url, method="GET", depth=0, requested_url=url, attempts=attempts)


class Names(AbstractResolver):
    """Knows where some hosts are."""

    def __init__(self, addresses: dict[str, list[str]]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = [literal_address(address, port) for address in self._addresses[host]]
        return [one for one in found if one]

    async def close(self) -> None:
        self._addresses.clear()


class Manners(Politeness):
    """A crawl's politeness, with its parts at hand."""

    limits: HostLimits
    frontier: SqliteFrontier

    async def verdict_on(self, url: str) -> object:
        """What becomes of a request, once all is known that has to be."""
        one = lease(url)
        while not self.knows(one):
            await self.learn(one)
        return self.judge(one)


@asynccontextmanager
async def manners(
    path: Path, settings: Settings = SETTINGS, *, addresses: dict[str, list[str]] | None = None
) -> AsyncIterator[Manners]:
    """Politeness as a crawl has it; `addresses` by host name in place of the real ones. All are shared, private ones too."""
    limits = HostLimits(
        limit_per_host=settings.per_host,
        spacing=settings.delay,
        limit_per_address=settings.per_ip,
        address_spacing=settings.ip_delay,
        host_of=host_key,
    )
    connector = TCPConnector(limits=limits, resolver=Names(addresses) if addresses else None)
    retries = RetryPolicy(
        max_attempts=settings.max_attempts, wait=settings.retry_wait, max_wait=settings.max_retry_wait
    )
    frontier = await SqliteFrontier.open(path / "test.crawl", spider="test")
    async with ClientSession(connector=connector, cookie_jar=CookieJar(unsafe=True)) as session:
        polite = Manners(
            session, limits, retries, settings, frontier, locate=connector.addresses_of, is_shared=lambda _address: True
        )
        polite.limits, polite.frontier = limits, frontier
        polite.resume()
        try:
            yield polite
        finally:
            polite.save()
            await frontier.close()


# -- robots.txt -------------------------------------------------------------------------------------------------------

CLOSED: Reply = (200, {"Content-Type": "text/plain"}, "User-agent: *\nDisallow: /")


@pytest.mark.parametrize("status", [200, 204, 400, 401, 403, 404, 410, 418])
async def test_what_is_not_there_forbids_nothing(tmp_path: Path, status: int) -> None:
    """RFC 9309 §2.3.1.3: any 4xx means that there are no rules."""
    async with serve({"/robots.txt": (status, {}, "")}) as site, manners(tmp_path) as polite:
        assert await polite.verdict_on(f"{site.url}/a") is None
        assert site.paths == ["/robots.txt"]


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 429])
async def test_what_cannot_be_had_forbids_everything(tmp_path: Path, status: int) -> None:
    """§2.3.1.4: a server error means that nothing is allowed. 429 is dealt with alike: it says that we ask too often."""
    rules: Reply = (status, {}, "User-agent: *\nAllow: /")
    async with serve({"/robots.txt": rules}) as site, manners(tmp_path) as polite:
        verdict = await polite.verdict_on(f"{site.url}/a")
        assert isinstance(verdict, Postponed)
        assert str(status) in verdict.error
        assert polite.limits.ready_at(host_of(f"{site.url}/a")) > 0.0, "the whole host waits"


async def test_a_host_that_does_not_answer_forbids_everything(tmp_path: Path) -> None:
    async with manners(tmp_path) as polite:
        assert isinstance(await polite.verdict_on(f"http://127.0.0.1:{closed_port()}/a"), Postponed)


@pytest.mark.parametrize(("hops", "is_open"), [(5, False), (6, True)])
async def test_five_redirects_are_followed(tmp_path: Path, hops: int, is_open: bool) -> None:
    """§2.3.1.2: at least five; behind more there might as well be no rules."""
    chain: dict[str, Reply] = {f"/{hop}": redirect(f"/{hop + 1}") for hop in range(1, hops)}
    pages = {"/robots.txt": redirect("/1"), **chain, f"/{hops}": CLOSED}
    async with serve(pages) as site, manners(tmp_path) as polite:
        verdict = await polite.verdict_on(f"{site.url}/a")
        assert verdict is None if is_open else isinstance(verdict, Skipped)


async def test_rules_may_be_kept_on_another_host(tmp_path: Path) -> None:
    """They are those of the host that was asked (§2.3.1.2)."""
    async with (
        serve({"/rules": CLOSED}) as other,
        serve({"/robots.txt": redirect(f"{other.url}/rules")}) as site,
        manners(tmp_path) as polite,
    ):
        verdict = await polite.verdict_on(f"{site.url}/a")
        assert verdict == Skipped(reason=Skip.ROBOTS, final_url=f"{site.url}/a", detail="Disallow: /")
        assert await polite.verdict_on(f"{other.url}/a") is None
    assert other.paths == ["/rules", "/robots.txt"]


async def test_another_run_asks_for_no_rules_that_are_fresh(tmp_path: Path) -> None:
    async with serve({"/robots.txt": CLOSED}) as site:
        for _run in range(2):
            async with manners(tmp_path) as polite:
                assert isinstance(await polite.verdict_on(f"{site.url}/a"), Skipped)
        assert site.paths == ["/robots.txt"]


@pytest.mark.parametrize("age", [24 * 3600.0 + 1, -3600.0], ids=["a day old", "of tomorrow"])
async def test_rules_that_are_not_fresh_are_asked_for_again(tmp_path: Path, age: float) -> None:
    """§2.4: after 24 hours; and when the clock was wrong."""
    async with serve({"/robots.txt": CLOSED}) as site, manners(tmp_path) as polite:
        polite.frontier.note_robots(site.url, polite.frontier.now() - age, b"")
        await polite.frontier.flush()
        assert isinstance(await polite.verdict_on(f"{site.url}/a"), Skipped)
        assert site.paths == ["/robots.txt"]


async def test_rules_that_grow_old_while_the_crawl_runs_are_asked_for_again(tmp_path: Path) -> None:
    async with serve({"/robots.txt": CLOSED}) as site, manners(tmp_path) as polite:
        polite.frontier.note_robots(site.url, polite.frontier.now() - 24 * 3600.0 + 0.5, b"")
        await polite.frontier.flush()
        assert await polite.verdict_on(f"{site.url}/a") is None
        assert site.paths == []
        deadline = time.monotonic() + 10.0
        while polite.knows(lease(f"{site.url}/a")):
            assert time.monotonic() < deadline
        assert isinstance(await polite.verdict_on(f"{site.url}/a"), Skipped)
        assert site.paths == ["/robots.txt"]


async def test_no_more_than_500_kib_is_read(tmp_path: Path) -> None:
    """§2.5. What lies beyond does not count, and is not waited for."""
    body = "User-agent: *\nDisallow: /a\n" + "#" * (600 * 1024) + "\nDisallow: /b\n"
    async with serve({"/robots.txt": (200, {}, body)}) as site, manners(tmp_path) as polite:
        assert isinstance(await polite.verdict_on(f"{site.url}/a"), Skipped)
        assert await polite.verdict_on(f"{site.url}/b") is None


MANY_RULES = "User-agent: *\nDisallow: /a\n" + "".join(f"Disallow: /{number}\n" for number in range(20_000))

FIVE = {f"h{number}.example": ["127.0.0.1"] for number in range(5)}


async def test_large_rules_are_read_in_a_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest take a tenth of a second, in which nothing else would be done."""
    in_threads: list[object] = []
    to_thread = asyncio.to_thread

    async def noted(work: Callable[..., object], *arguments: object, **named: object) -> object:
        in_threads.append(work)
        return await to_thread(work, *arguments, **named)

    monkeypatch.setattr(asyncio, "to_thread", noted)
    async with (
        serve({"/robots.txt": (200, {}, MANY_RULES)}) as site,
        serve({"/robots.txt": CLOSED}) as other,
        manners(tmp_path) as polite,
    ):
        assert isinstance(await polite.verdict_on(f"{site.url}/a"), Skipped)
        assert in_threads == [Robots.parse]
        assert isinstance(await polite.verdict_on(f"{other.url}/a"), Skipped)
        assert in_threads == [Robots.parse]


async def test_rules_are_kept_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tens of megabytes of small ones, but not twenty thousand times the largest. What gave way is taken from the crawl file."""
    size = Robots.parse(MANY_RULES.encode(), user_agent="nephila").size_bytes
    monkeypatch.setattr("crawler.hosts.rules._RULES_BYTES_KEPT", int(2.5 * size))
    async with serve({"/robots.txt": (200, {}, MANY_RULES)}) as site, manners(tmp_path, addresses=FIVE) as polite:
        origins = [site.url.replace("127.0.0.1", name) for name in FIVE]
        for number in range(20):
            assert isinstance(await polite.verdict_on(f"{origins[number % 5]}/{number}"), Skipped)
            await polite.frontier.flush()
            assert len(polite._rules._known) <= 2
            assert sum(known.size_bytes for known in polite._rules._known.values()) == polite._rules._known.size_bytes
        assert site.paths == ["/robots.txt"] * 5
        assert not polite._rules.foretold


async def test_what_large_rules_say_of_urls_whose_turn_never_comes_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What gave way is learned again, should its turn come after all."""
    monkeypatch.setattr("crawler.hosts.rules._ORIGINS_KEPT", 2)
    async with serve({"/robots.txt": (200, {}, MANY_RULES)}) as site, manners(tmp_path, addresses=FIVE) as polite:
        urls = [f"{site.url.replace('127.0.0.1', name)}/a" for name in FIVE]
        for url in urls:
            await polite.learn(lease(url))
        assert list(polite._rules.foretold) == urls[-2:]
        assert not polite.knows(lease(urls[0]))
        await polite.frontier.flush()
        assert isinstance(await polite.verdict_on(urls[0]), Skipped)
        assert site.paths == ["/robots.txt"] * 5


async def test_a_host_that_was_given_up_is_not_asked_though_its_large_rules_allow_it(tmp_path: Path) -> None:
    async with serve({"/robots.txt": (200, {}, MANY_RULES)}) as site, manners(tmp_path, IMPATIENT) as polite:
        allowed = lease(f"{site.url}/b")
        await polite.learn(allowed)
        assert allowed.url in polite._rules.foretold
        while isinstance(polite.failed(allowed, time.monotonic(), REFUSED), Postponed):
            continue
        assert polite.knows(allowed)
        assert isinstance(polite.judge(allowed), SetAside)


async def test_hosts_of_large_rules_do_not_keep_each_other_from_their_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All have learned their rules before the first is asked for a page, as when each has a delay; then none has to learn again."""
    monkeypatch.setattr("crawler.hosts.rules._RULES_BYTES_KEPT", 1)
    async with serve({"/robots.txt": (200, {}, MANY_RULES)}) as site, manners(tmp_path, addresses=FIVE) as polite:
        origins = [site.url.replace("127.0.0.1", name) for name in FIVE]
        for origin in origins:
            await polite.learn(lease(f"{origin}/a"))
            await polite.learn(lease(f"{origin}/b"))
        assert all(polite.knows(lease(f"{origin}/{path}")) for origin in origins for path in "ab")
        for origin in origins:
            assert isinstance(polite.judge(lease(f"{origin}/a")), Skipped)
            assert polite.judge(lease(f"{origin}/b")) is None


async def test_a_crawl_delay_is_obeyed_and_cut_visibly(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rules: Reply = (200, {}, "User-agent: *\nCrawl-delay: 7\n")
    async with serve({"/robots.txt": rules}) as site, manners(tmp_path) as polite:
        await polite.verdict_on(f"{site.url}/a")
        pace = polite.pace_of(host_of(f"{site.url}/"))
        assert pace
        assert (pace.crawl_delay, pace.crawl_delay_cut, pace.spacing) == (7.0, False, 7.0)
    strict = Settings(user_agent="nephila", per_ip=0, max_crawl_delay=2.0, delay=0.5)
    async with serve({"/robots.txt": rules}) as site, manners(tmp_path, strict) as polite:
        await polite.verdict_on(f"{site.url}/a")
        pace = polite.pace_of(host_of(f"{site.url}/"))
        assert pace
        assert (pace.crawl_delay, pace.crawl_delay_cut, pace.spacing) == (7.0, True, 2.0)
        assert "max_crawl_delay" in caplog.text


# -- pauses -----------------------------------------------------------------------------------------------------------

H = HostKey("h.example")


async def test_the_user_s_delay_is_a_floor(tmp_path: Path) -> None:
    async with manners(tmp_path, Settings(delay=0.25)) as polite:
        for _ in range(10):
            polite.answered(H, time.monotonic(), 0.001)
            polite.obey_pause(H, time.monotonic(), 429, {"Retry-After": "0"})
        pace = polite.pace_of(H)
        assert pace
        assert pace.spacing >= 0.25
        assert pace.pauses == 10


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("86400", 300.0),
        (formatdate(time.time() + 100_000, usegmt=True), 300.0),
        (formatdate(time.time() - 100, usegmt=True), 0.0),
    ],
    ids=("seconds", "too many seconds", "a date too far off", "a date that has passed"),
)
async def test_retry_after_is_done_up_to_a_bound(tmp_path: Path, value: str, seconds: float) -> None:
    async with manners(tmp_path) as polite:
        assert polite.obey_pause(H, 1.0, 503, {"Retry-After": value}) == seconds
        assert polite.limits.ready_at(H) <= time.monotonic() + seconds
        pace = polite.pace_of(H)
        assert pace
        assert pace.pauses_cut == (seconds == 300.0)
        assert polite.obey_pause(H, 1.0, 404, {"Retry-After": value}) is None


async def test_a_retry_after_that_says_nothing_is_a_pause_all_the_same(tmp_path: Path) -> None:
    async with manners(tmp_path) as polite:
        assert polite.obey_pause(H, 1.0, 503, {"Retry-After": "Sun, 06 Nov 0000 08:49:37 GMT"}) is None
        pace = polite.pace_of(H)
        assert pace
        assert pace.pauses == 1


async def test_without_retry_after_pauses_are_drawn_and_grow(tmp_path: Path) -> None:
    """Twice as long after each sixteen refusals in a row, up to the bound; an answer ends the row."""
    async with manners(tmp_path, Settings(retry_wait=2.0, max_retry_wait=50.0)) as polite:
        for bound in (2.0, 4.0, 8.0, 16.0, 32.0, 50.0, 50.0):
            pauses = []
            for _ in range(16):
                polite.limits.unhold(H)
                assert polite.obey_pause(H, time.monotonic(), 503, {}) is None
                pauses.append(polite.limits.ready_at(H) - time.monotonic())
            assert max(pauses[:-1]) <= bound
            assert len(set(pauses)) > 1


# -- one run after the other ------------------------------------------------------------------------------------------


async def test_another_run_goes_on_with_what_was_learned(tmp_path: Path) -> None:
    async with manners(tmp_path, Settings(max_retry_wait=50.0)) as polite:
        for number in range(10):
            polite.answered(H, float(number), 0.4)
        polite.obey_pause(H, 10.0, 429, {"Retry-After": "50"})
        learned = polite.pace_of(H)
        assert learned
        assert learned.spacing >= 1.0
    async with manners(tmp_path, Settings(max_retry_wait=50.0)) as polite:
        kept = polite.pace_of(H)
        assert kept
        assert kept.spacing == pytest.approx(learned.spacing)
        assert kept.latency == pytest.approx(learned.latency)
        assert 40.0 < polite.limits.ready_at(H) - time.monotonic() <= 50.0, "the pause goes on"
        polite.forgive(H)
        assert polite.limits.ready_at(H) <= time.monotonic()


async def test_orders_stand_over_the_settings(tmp_path: Path) -> None:
    async with manners(tmp_path) as polite:
        polite.frontier.note_host(H, delay=3.0, per_host=1)
        polite.apply_orders(H, polite.frontier.host_states()[H])
        pace = polite.pace_of(H)
        assert pace
        assert (pace.spacing, pace.connections) == (3.0, 1)
    async with manners(tmp_path) as polite:
        pace = polite.pace_of(H)
        assert pace
        assert (pace.spacing, pace.connections) == (3.0, 1)
        polite.frontier.note_host(H, delay=None, per_host=None)
        polite.apply_orders(H, polite.frontier.host_states()[H])
        pace = polite.pace_of(H)
        assert pace
        assert (pace.spacing, pace.connections) == (0.0, 2)


async def test_without_adaptivity_only_pauses_are_kept(tmp_path: Path) -> None:
    async with manners(tmp_path, Settings(adaptive=False)) as polite:
        for number in range(10):
            polite.answered(H, float(number), 0.4)
        polite.obey_pause(H, 10.0, 429, {"Retry-After": "50"})
        pace = polite.pace_of(H)
        assert pace
        assert (pace.spacing, pace.connections, pace.pauses) == (0.0, 2, 1)
        assert polite.limits.ready_at(H) > time.monotonic() + 40.0


async def test_the_busiest_hosts_come_first(tmp_path: Path) -> None:
    async with manners(tmp_path) as polite:
        for number in range(1, 6):
            for at in range(number):
                polite.answered(HostKey(f"h{number}"), float(at), 0.1)
        told = polite.paces(2)
        assert [(one.host, one.requests) for one in told] == [("h5", 5), ("h4", 4)]
        assert told[0].mean_gap == 1.0


async def test_what_is_known_of_hosts_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of whom there is nothing to remember go first."""
    monkeypatch.setattr("crawler.hosts.throttle._HOSTS_KEPT", 50)
    async with manners(tmp_path) as polite:
        for number in range(5):
            polite.answered(H, float(number), 0.4)
        polite.obey_pause(H, 5.0, 429, {"Retry-After": "1"})
        for number in range(500):
            polite.answered(HostKey(f"h{number}"), 1.0, 0.1)
        assert len(polite.paces(1000)) <= 50
        assert polite.pace_of(H)


# -- many hosts at one address ----------------------------------------------------------------------------------------


async def test_who_is_turned_away_at_an_address_occupies_nobody(tmp_path: Path) -> None:
    """A host's place is found out before anything is asked of it; while its address is busy, that is all that happens."""
    settings = Settings(user_agent="nephila", per_ip=1)
    addresses = {"a.example": ["127.0.0.1"], "b.example": ["127.0.0.1", "127.0.0.9"]}
    async with serve({"/robots.txt": NO_RULES}) as site, manners(tmp_path, settings, addresses=addresses) as polite:
        a, b = (f"http://{name}:{site.port}/" for name in addresses)
        assert await polite.verdict_on(a) is None
        slot = polite.limits.acquire_nowait(host_of(a))
        assert slot
        await polite.learn(lease(b))
        assert not polite.knows(lease(b))
        assert polite.limits.ready_at(host_of(b)) == math.inf
        told: list[HostKey] = []
        polite.limits.on_ready = told.append
        slot.release()
        assert told == [host_of(b)]
        assert await polite.verdict_on(b) is None
        assert [visit.host for visit in site.log] == [f"a.example:{site.port}", f"b.example:{site.port}"]


async def test_a_host_that_is_nowhere_is_told_of_once_for_each_attempt(tmp_path: Path) -> None:
    settings = Settings(user_agent="nephila", robots=False, max_attempts=1)
    async with manners(tmp_path, settings) as polite:
        verdict = await polite.verdict_on(f"http://{NOWHERE}/")
        assert isinstance(verdict, Failed)
        assert verdict.error.startswith(f"dns: {NOWHERE}:80: ")
        assert not polite.knows(lease(f"http://{NOWHERE}/"))


@pytest.mark.parametrize("name", ["xn--strae-oqa.example", "xn--a.example", "xn--"], ids=["new", "invalid", "empty"])
async def test_a_host_is_looked_up_by_the_name_that_is_connected_to(tmp_path: Path, name: str) -> None:
    """Decoded, the first would be another host's by the rules of 2003, and the others none at all."""
    addresses = {name: ["127.0.0.1"]}
    async with serve({"/robots.txt": NO_RULES}) as site, manners(tmp_path, addresses=addresses) as polite:
        assert await polite.verdict_on(f"http://{name}:{site.port}/") is None
        assert [visit.host for visit in site.log] == [f"{name}:{site.port}"]


# -- hosts that are out of reach --------------------------------------------------------------------------------------

REFUSED = Failure("connect", "refused", is_temporary=True)

IMPATIENT = Settings(
    retry_wait=0.01, rest_after=3, rest_wait=0.01, max_rests=6, commit_interval=0.01, user_agent="nephila"
)


class Twenty(Spider):
    """Twenty pages of one host, and one of another."""

    name = "twenty"

    def __init__(self, dead: str, alive: str) -> None:
        self.start_urls = [f"{dead}/{number}" for number in range(20)] + [f"{alive}/"]

    async def parse(self, page: Page) -> None: ...


async def run(path: Path, spider: Spider, settings: Settings = IMPATIENT) -> Report:
    async with asyncio.timeout(30):
        return await Crawl(spider, settings, state=path / "test.crawl").run()


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@pytest.mark.parametrize("robots", [True, False], ids=["robots", "no-robots"])
async def test_a_host_that_stays_out_of_reach_is_set_aside_and_can_be_released(tmp_path: Path, robots: bool) -> None:
    """Its requests are not burned meanwhile, the crawl ends, and one order brings them all back."""
    settings = replace(IMPATIENT, robots=robots)
    port = closed_port()
    pages = {f"/{number}": page("Dead no more") for number in range(20)}
    async with serve({"/": page("Alive")}) as alive:
        report = await run(tmp_path, Twenty(f"http://127.0.0.1:{port}", alive.url), settings)
        assert report.finished
        assert report.stats.done == 1
        assert report.stats.aside + report.stats.failed == 20
        assert report.stats.failed <= 2, "some had been tried as often as allowed before the host was suspected"

        frontier = await SqliteFrontier.open(tmp_path / "test.crawl", spider="twenty")
        aside = report.stats.aside
        try:
            assert (frontier.host_states()[HostKey(f"127.0.0.1:{port}")].failures or 0) >= 5
            assert await frontier.release(reason=Aside.HOST) == aside
        finally:
            await frontier.close()

        async with serve(pages, port=port):
            report = await run(tmp_path, Twenty(f"http://127.0.0.1:{port}", alive.url), settings)
        assert report.finished
        assert (report.stats.done, report.stats.aside) == (1 + aside, 0)


async def test_a_host_whose_name_does_not_exist_is_not_waited_for(tmp_path: Path) -> None:
    """No rests: they would not help."""
    patient = Settings(rest_after=3, rest_wait=3600.0, max_retry_wait=3600.0, retry_wait=3600.0)
    async with serve({"/": page("Alive")}) as alive:
        report = await run(tmp_path, Twenty(f"http://{NOWHERE}", alive.url), patient)
    assert report.finished
    assert (report.stats.done, report.stats.failed, report.stats.aside) == (1, 2, 18)


async def test_a_host_that_has_answered_is_waited_for_longer(tmp_path: Path) -> None:
    async with manners(tmp_path, IMPATIENT) as polite:
        tries: dict[str, int] = {}
        for host in (H, HostKey("stranger.example")):
            if host == H:
                polite.answered(H, time.monotonic(), 0.1)
            while isinstance(polite.failed(lease(f"http://{host}/"), time.monotonic(), REFUSED), Postponed):
                tries[host] = tries.get(host, 0) + 1
        assert tries == {H: 2 + 6, "stranger.example": 2 + 2}


async def test_what_was_set_aside_is_tried_again_while_the_crawl_goes_on(tmp_path: Path) -> None:
    settings = replace(IMPATIENT, rest_after=1, max_rests=0, max_retry_wait=0.01, robots=False, per_ip=0)
    async with manners(tmp_path, settings) as polite, asyncio.timeout(20):
        is_back = asyncio.Event()
        await polite.frontier.add([Links([f"http://{H}/{number}" for number in range(3)])])
        polite.frontier.attach(admit=lambda *_: None, on_queued=lambda *_: is_back.set())
        service = asyncio.create_task(polite.keep_setting_aside())
        for _ in range(2):
            one = lease(f"http://{H}/")
            while not polite.knows(one) or polite.judge(one):
                await polite.learn(one)
            assert isinstance(polite.failed(one, time.monotonic(), REFUSED), SetAside)
            await is_back.wait()
            is_back.clear()
            assert (polite.frontier.counts.queued, polite.frontier.counts.aside) == (3, 0)
        service.cancel()
        pace = polite.pace_of(H)
        assert pace
        assert pace.requests == 2, "one failure each time is enough"


async def test_one_that_is_back_is_a_host_like_any_other(tmp_path: Path) -> None:
    """An answer ends the count of failures, in the crawl file too."""
    async with manners(tmp_path, IMPATIENT) as polite:
        for number in range(4):
            polite.failed(lease(f"http://{H}/"), time.monotonic(), REFUSED)
            assert polite.frontier.host_states()[H].failures == number + 1
        assert polite.pace_of(H)
        polite.answered(H, time.monotonic(), 0.1)
        assert polite.frontier.host_states()[H].failures is None
        assert isinstance(polite.failed(lease(f"http://{H}/"), time.monotonic(), REFUSED), Postponed)


async def test_a_host_given_up_is_tried_again_after_a_while(tmp_path: Path) -> None:
    """Until then nothing is asked of it; then one failure is enough to give it up again."""
    settings = Settings(robots=False, per_ip=0, rest_after=1, max_rests=0, max_retry_wait=0.01)
    one = lease(f"http://{H}/")
    async with manners(tmp_path, settings) as polite:
        verdict = polite.failed(one, time.monotonic(), REFUSED)
        assert isinstance(verdict, SetAside)
        assert verdict.reason is Aside.HOST
        assert "failures in a row: 1" in verdict.detail
        while polite.judge(one) is not None:
            await asyncio.sleep(0)
            polite.knows(one)
        assert polite.knows(one)
