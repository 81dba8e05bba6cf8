"""Who takes part in the benchmark of whole crawls, how each is started, and what it says it has visited."""

from __future__ import annotations

import csv
import json
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.measure import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.benchmarks.sites import Served

CONCURRENCY = 64
PEERS = Path(__file__).parent / "peers"
OUTPUT = "out.jsonl"
STATISTICS = "sites.csv"
CRAWL = Path(sysconfig.get_path("scripts")) / "crawl"


def _pages(folder: Path) -> Iterator[str]:
    """What a contender has written: a line of JSON for each HTML page."""
    for line in (folder / OUTPUT).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["status"] == 200:
            yield row["url"]


def _pages_of_wget2(folder: Path) -> Iterator[str]:
    """What wget2's statistics name, by the link that led there. They do not tell what a file is, but its name does."""
    with (folder / STATISTICS).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            url = row["URL"].partition("#")[0]
            if row["Status"] == "200" and url.endswith(("/", ".html", ".htm")):
                yield url


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A crawler. `command` starts it on a site, in a folder of its own; `pages` reads there which HTML pages it visited.

    `tolerance` is how many of them may be others than Nephila's; `exit_codes` are those of a success. Without
    its `module`, or its `program`, it cannot take part; one that is `slow` runs in fewer rounds, and not on the sites that
    it `passes_over`.
    """

    name: str
    note: str
    command: Callable[[Served], list[str | Path]]
    pages: Callable[[Path], Iterator[str]] = _pages
    tolerance: int = 0
    exit_codes: tuple[int, ...] = (0,)
    module: str = ""
    program: str = ""
    slow: bool = False
    passes_over: tuple[str, ...] = ()

    def lacking(self) -> str | None:
        """Why it cannot take part here; None if it can."""
        if self.module and not find_spec(self.module):
            return f"there is no module {self.module}: install the extra `bench`"
        if self.program and not shutil.which(self.program):
            return f"there is no program {self.program}: Debian has a package of that name"
        return None


def crawl(site: Served, *options: str, selectors: bool = False) -> list[str | Path]:
    """Nephila's own command on a site. A site of many hosts needs a spider that may leave the first, `selectors` one that uses
    them."""
    at_once = ["--concurrency", str(CONCURRENCY), "--per-host", str(CONCURRENCY)]
    spider = ("Selector" if selectors else "") + ("Hosts" if site.prefix != site.start else "")
    target = [site.start]
    if spider:
        target = [f"{PEERS / 'nephila_spiders.py'}:{spider}Spider", "-a", f"first={site.start}", "--allow-private"]
    return [CRAWL, "run", *target, "--no-robots", *at_once, "-o", OUTPUT, *options]


def _nephila(site: Served) -> list[str | Path]:
    return crawl(site, "--quiet")


def _nephila_by_selectors(site: Served) -> list[str | Path]:
    return crawl(site, "--quiet", selectors=True)


def _script(name: str, *arguments: str) -> Callable[[Served], list[str | Path]]:
    return lambda site: [sys.executable, PEERS / f"{name}.py", site.start, site.prefix, OUTPUT, *arguments]


def _wget2(site: Served) -> list[str | Path]:
    within = f"^{site.prefix.replace('.', '[.]')}"
    hosts = ["--span-hosts"] if site.prefix != site.start else []
    reach = ["--recursive", "--level=0", "--no-robots", *hosts, "--accept-regex", within, "--filter-urls"]
    links = ["--follow-tags=a/href", "--ignore-tags=img,link,script,area,iframe,frame,form,object,embed,input,body,td"]
    return [
        "wget2",
        *reach,
        *links,
        f"--max-threads={CONCURRENCY}",
        "--quiet",
        f"--stats-site=csv:{STATISTICS}",
        "--delete-after",
        site.start,
    ]


_TUNED = "(links tuned)"
_HOW_TUNED = "links that a page repeats, fragments aside, are dropped before any work"

NEPHILA = Contender(
    name="Nephila",
    note="`crawl run URL`: links and titles found without a tree; frontier, pages, links and items durable in one file",
    command=_nephila,
)
CONTENDERS = (
    NEPHILA,
    Contender(
        name="Nephila (by selectors)",
        note="a spider that has each page parsed, by `css_first` and `follow_all`; just as durable",
        command=_nephila_by_selectors,
    ),
    Contender(
        name="aiohttp + selectolax",
        note="written by hand, on uvloop: each link is made absolute, then looked up; nothing is kept",
        command=_script("aiohttp_by_hand"),
        module="aiohttp",
    ),
    Contender(
        name=f"aiohttp + selectolax {_TUNED}",
        note=f"written by hand, on uvloop; {_HOW_TUNED}; nothing is kept",
        command=_script("aiohttp_by_hand", "tuned"),
        module="aiohttp",
    ),
    Contender(
        name="bare loop",
        note=f"asyncio protocol, httptools, selectolax, on uvloop; {_HOW_TUNED}; nothing is kept, errors are not handled",
        command=_script("bare_crawl"),
    ),
    Contender(
        name="wget2",
        note="64 threads, in C; no DOM, no titles; it escapes a few odd links differently, so up to 10 pages may differ",
        command=_wget2,
        pages=_pages_of_wget2,
        tolerance=10,
        exit_codes=(0, 8),  # 8: there were pages with an error status
        program="wget2",
    ),
    Contender(
        name="Scrapy",
        note="settings tuned, all in memory; a spider as its documentation shows, by `response.follow_all`",
        command=_script("scrapy_spider"),
        module="scrapy",
        slow=True,
    ),
    Contender(
        name=f"Scrapy {_TUNED}",
        note=f"settings tuned, all in memory; {_HOW_TUNED}",
        command=_script("scrapy_spider", "tuned"),
        module="scrapy",
        slow=True,
    ),
    Contender(
        name=f"Scrapy with JOBDIR {_TUNED}",
        note="settings tuned, its queue on disk",
        command=_script("scrapy_spider", "tuned", "job"),
        module="scrapy",
        slow=True,
        passes_over=("heavy", "hosts"),
    ),
    Contender(
        name="Crawlee",
        note="its Parsel crawler, all in memory; links as its documentation shows, by `enqueue_links`, which treats a few odd "
        "ones differently, so up to 10 pages may differ",
        command=_script("crawlee_spider"),
        tolerance=10,
        module="crawlee",
        slow=True,
    ),
    Contender(
        name=f"Crawlee {_TUNED}",
        note=f"its Parsel crawler, all in memory; {_HOW_TUNED}",
        command=_script("crawlee_spider", "tuned"),
        module="crawlee",
        slow=True,
    ),
    Contender(
        name=f"Crawlee with SQLite {_TUNED}",
        note="its Parsel crawler, its queue and data in its SQLite storage",
        command=_script("crawlee_spider", "tuned", "crawlee.db"),
        module="crawlee",
        slow=True,
        passes_over=("heavy",),
    ),
)


def visited(contender: Contender, folder: Path) -> set[str]:
    """The HTML pages that a contender says it visited; Failure when one is there twice."""
    urls = list(contender.pages(folder))
    if len(urls) != len(set(urls)):
        raise Failure(f"{len(urls) - len(set(urls))} pages were visited twice")
    return set(urls)
