"""Thousands of hosts, more than the window takes at once: each is treated as was promised, and all are crawled to the end."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

from tests.proof.command import FINISHED, Command
from tests.proof.crawlfile import check_invariants, query
from tests.servers.swarm import ROBOTS, Swarm

if TYPE_CHECKING:
    from pathlib import Path

HOSTS = 2000
PAGES = 4
DELAY = 0.25
SLACK = 0.005
"""From the instant that the crawler counts from to the one at which the kernel has the request."""

SPIDER = """\
from crawler import Links, Page, Spider


class Swarm(Spider):
    def start(self):
        yield Links({urls!r})

    async def parse(self, page: Page):
        yield page.follow_all("a")
"""


def test_a_window_on_many_hosts_is_polite_to_each_and_forgets_none(tmp_path: Path) -> None:
    """Hosts come and go in the window all the time: there are places for one in five."""
    command = Command(tmp_path, is_measured=False)
    with Swarm(tmp_path, hosts=HOSTS, pages=PAGES) as swarm:
        (tmp_path / "swarm.py").write_text(SPIDER.format(urls=swarm.urls()), encoding="utf-8")
        manner = ("--per-host", "1", "--delay", str(DELAY), "-s", "active_hosts=400", "--concurrency", "64", "--quiet")
        ended = command.run("run", "swarm.py", *manner)
        assert ended.code == FINISHED, ended.err
    journal = swarm.journal()

    asked = {(one.host, one.page) for one in journal}
    assert len(asked) == len(journal), "something was asked twice"
    assert asked == {(host, page) for host in range(HOSTS) for page in (ROBOTS, *range(PAGES))}
    assert max(one.open for one in journal) == 1
    instants = defaultdict(list)
    for one in journal:
        instants[one.host].append(one.at)
    gaps = [later - earlier for at in instants.values() for earlier, later in pairwise(sorted(at))]
    assert min(gaps) >= DELAY - SLACK
    check_invariants(tmp_path / "swarm.crawl")
    assert query(tmp_path / "swarm.crawl", "SELECT count(*) FROM pages WHERE status = 200") == [(HOSTS * PAGES,)]
