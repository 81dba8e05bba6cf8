"""What the servers see of a crawl of many hosts: no more at once, and no sooner, than was promised to each.

The instants are those at which the kernel took the requests in (tests/servers/web.py), so what is held against the crawler
is what left it, not how busy this machine was.
"""

from __future__ import annotations

import signal
import time
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.proof.command import FINISHED, STOPPED, finish
from tests.proof.crawlfile import check_invariants, query
from tests.servers.web import NOT_FOUND, Answer, WebServer, page, redirect

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.proof.command import Command
    from tests.servers.web import Asked

PER_HOST = 2
DELAY = 0.2
SLACK = 0.005
"""From the instant that the crawler counts from to the one at which the kernel has the request: some work, no waiting."""

PAGES = 4
RETRY_AFTER = 1
TEXT = {"Content-Type": "text/plain"}

SPIDER = """\
from crawler import Page, Spider


class Hosts(Spider):
    start_urls = {urls!r}

    async def parse(self, page: Page):
        yield {{"url": page.url}}
        yield page.follow_all("a")
"""


class Web:
    """Hosts that lead to one another, by links and by redirects, for robots.txt too; slow to answer, and busy at first.

    A page takes longer than the delay, so that a crawler which did not count would have three under way at once.
    """

    def __init__(self, hosts: int, *, slowness: float = 0.0) -> None:
        self.server = WebServer(self._answer, addresses=[f"127.0.0.{number}" for number in range(1, hosts + 1)])
        self._slowness = slowness
        self._failed: set[tuple[str, str]] = set()

    def _answer(self, asked: Asked) -> Answer:
        hosts = self.server.hosts
        following = hosts[(hosts.index(asked.host) + 1) % len(hosts)]
        match asked.target.split("/")[1:]:
            case ["robots.txt"] if asked.host == hosts[2]:
                return redirect(f"http://{following}/robots-of-a-neighbour.txt")
            case ["robots.txt" | "robots-of-a-neighbour.txt"]:
                return Answer(body=b"User-agent: *\nDisallow: /forbidden\n", headers=TEXT)
            case [""]:
                links = [f"/page/{number}" for number in range(PAGES)]
                return page(asked.host, [*links, "/away", "/busy", "/cut", "/forbidden", f"http://{following}/"])
            case ["away"]:
                return redirect(f"http://{following}/landed")
            case ["busy"] if self._is_first(asked):
                return Answer(status=503, headers={"Retry-After": str(RETRY_AFTER)})
            case ["cut"] if self._is_first(asked):
                return Answer(body=b"x" * 100, hang_up=50)
            case ["page", _] | ["busy" | "cut" | "landed"]:
                time.sleep(self._slowness)
                return page(asked.target)
            case _:
                return NOT_FOUND

    def _is_first(self, asked: Asked) -> bool:
        is_first = (asked.host, asked.target) not in self._failed
        self._failed.add((asked.host, asked.target))
        return is_first


def spider_for(command: Command, urls: Sequence[str]) -> str:
    (command.folder / "hosts.py").write_text(SPIDER.format(urls=list(urls)), encoding="utf-8")
    return "hosts.py"


def by_host(journal: Sequence[Asked]) -> Mapping[str, list[Asked]]:
    """Each host's requests, in the order of their arrival."""
    hosts: dict[str, list[Asked]] = defaultdict(list)
    for asked in sorted(journal):
        hosts[asked.host].append(asked)
    return hosts


def crawl(command: Command, web: Web, *options: str) -> list[Asked]:
    """Crawl a whole web politely; what its servers were asked."""
    with web.server as server:
        target = spider_for(command, server.urls)
        polite = ("--per-host", str(PER_HOST), "--delay", str(DELAY), "-s", "retry_wait=0.1", "--quiet")
        ended = command.run("run", target, *polite, *options)
        assert ended.code == FINISHED, ended.err
        return server.journal()


@pytest.mark.parametrize("processes", ["1", "3"])
def test_no_host_is_asked_more_at_once_or_sooner_than_promised(command: Command, processes: str) -> None:
    """Redirects between hosts, retries and robots.txt included."""
    journal = crawl(command, Web(20, slowness=0.5), "--processes", processes)
    hosts = by_host(journal)
    assert len(hosts) == 20
    for host, asked in hosts.items():
        gaps = [later.at - earlier.at for earlier, later in pairwise(asked)]
        assert min(gaps) >= DELAY - SLACK, (host, gaps)
        assert max(one.active for one in asked) == PER_HOST, host
        assert max(one.open for one in asked) <= PER_HOST, host
    check_invariants(command.folder / "hosts.crawl")

    targets = [asked.target for asked in journal]
    # What had to be kept apart did happen; robots.txt of the third host was answered by the fourth.
    expected = {"/": 20, "/robots.txt": 20, "/robots-of-a-neighbour.txt": 1, "/busy": 40, "/cut": 40, "/away": 20}
    expected |= {f"/page/{number}": 20 for number in range(PAGES)} | {"/landed": 20}
    assert {target: targets.count(target) for target in set(targets)} == expected


@pytest.mark.parametrize("processes", ["1", "3"])
def test_a_busy_host_is_left_alone_for_as_long_as_it_asks(command: Command, processes: str) -> None:
    """Retry-After holds the whole host back, not only the page that was refused."""
    for asked in by_host(crawl(command, Web(4), "--processes", processes)).values():
        refused = next(number for number, one in enumerate(asked) if one.target == "/busy")
        # One more may have been on its way when the answer came.
        later = [one for one in asked[refused + 1 :] if one.at - asked[refused].at > DELAY + SLACK]
        assert later
        assert all(one.at - asked[refused].at >= RETRY_AFTER - SLACK for one in later)


def test_more_hosts_are_crawled_faster(command: Command) -> None:
    """Nobody waits for a host but those who want that host: four times the hosts, about four times the pages a second."""
    rates = {}
    for hosts in (5, 20):
        instants = sorted(asked.at for asked in crawl(command, Web(hosts), "--state", f"{hosts}.crawl"))
        rates[hosts] = (len(instants) - 1) / (instants[-1] - instants[0])
    assert rates[20] > 2 * rates[5]


@pytest.mark.parametrize("options", [(), ("--no-robots",)], ids=["robots", "no-robots"])
def test_a_stalled_host_keeps_nobody_waiting(command: Command, options: tuple[str, ...]) -> None:
    """Everything else is finished while the stalled host, which has pages enough to busy every worker, is still silent."""
    hosts, pages = 6, 10
    wanted = (hosts - 1) * (pages + 1)

    def answer(asked: Asked) -> Answer | None:
        if asked.host == server.hosts[0]:
            return None
        return page(asked.target, [f"/{number}" for number in range(pages)])

    def is_served(journal: Sequence[Asked]) -> bool:
        return sum(one.host != server.hosts[0] and one.target != "/robots.txt" for one in journal) == wanted

    with WebServer(answer, addresses=[f"127.0.0.{number}" for number in range(1, hosts + 1)]) as server:
        seeds = [f"{server.url}{number}" for number in range(20)] + server.urls[1:]
        patient = ("-s", "read_timeout=60", "-s", "drain_timeout=1")
        at_most = ("--concurrency", "3", "--per-host", "2", "--quiet", *patient)
        process = command.start("run", spider_for(command, seeds), *at_most, *options)
        assert server.wait(is_served, timeout=20), "the others were kept waiting"
        silent = [one for one in server.journal() if one.host == server.hosts[0]]
        assert len(silent) == (2 if options else 1)  # unless it may, nobody asks before robots.txt has come
        process.send_signal(signal.SIGINT)
        assert finish(process).code == STOPPED
    done = query(command.folder / "hosts.crawl", "SELECT count(*) FROM pages WHERE status = 200")
    assert done == [(wanted,)]
