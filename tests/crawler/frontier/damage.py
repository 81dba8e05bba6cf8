"""A crawl file with everything in it that there can be, and ways to damage it."""

from __future__ import annotations

import json
import sqlite3
import time
from bisect import bisect_right
from contextlib import closing
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from multidict import CIMultiDict, CIMultiDictProxy

from crawler.frontier import Lease, Settlement, SqliteFrontier
from crawler.headers import headers_to_json
from crawler.outcome import Aside, Failed, Fetched, Postponed, Redirected, SetAside, Skip, Skipped
from crawler.request import Links, Request
from crawler.store import Kept

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from crawler.outcome import Outcome

PAGE = 4096
HOSTS = 20


def url(number: int) -> str:
    return f"https://www.site-{number % HOSTS}.example/articles/{number // 7}/page-{number}.html"


def outcome(lease: Lease) -> Outcome:
    """How the visit of a page ends: mostly well."""
    match lease.id % 23:
        case 0:
            return Failed(error="http: 404", final_url=lease.url, status=404, size=3)
        case 1 if not lease.attempts:
            return Postponed(error="timeout: too slow", not_before=0.0)
        case 2 if not lease.redirects:
            return Redirected(status=301, url=f"{lease.url}/here", method="GET")
        case 3:
            return Skipped(reason=Skip.ROBOTS, final_url=lease.url, detail="/articles")
        case 4:
            return SetAside(Aside.TRAP, "too long")
        case _:
            return Fetched(
                status=200, final_url=lease.url, content_type="text/html", size=9, elapsed=0.1, fetched_at=time.time()
            )


def settlement(lease: Lease, *, links: int = 3) -> Settlement:
    """What comes of a page: items, one of which may be larger than a page of the file, links, and its body."""
    how = outcome(lease)
    if not isinstance(how, Fetched):
        return Settlement(lease=lease, outcome=how)
    items = [json.dumps({"url": lease.url, "text": "ü" * (lease.id * 37 % 2500)}), '{"second": true}']
    found = [Links([url(lease.id * 10 + number) for number in range(links)])]
    headers = CIMultiDictProxy(CIMultiDict({"Content-Type": "text/html"}))
    kept = Kept(headers_to_json(headers), f"<p>{lease.url}".encode() * (lease.id % 200), f"{lease.id:016x}")
    return Settlement(lease=lease, outcome=how, items=items, found=found, kept=kept)


async def build(path: Path, *, requests: int = 1200, rounds: int = 3, dies: bool = False) -> None:
    """Crawl a part of a web, and stop; or die, with requests leased and all in the log."""
    frontier = await SqliteFrontier.open(path, spider="test")
    await frontier.add([Links([url(number) for number in range(requests)])])
    forms = [
        Request(f"https://form.example/{n}", method="POST", body=b"\0x", context={"n": n}, priority=n % 3)
        for n in range(40)
    ]
    await frontier.add([*forms, Request("https://www.site-1.example/late", headers={"X-Y": "z"})])
    frontier.note_robots("https://www.site-1.example", time.time(), b"User-agent: *\nDisallow: /private")
    frontier.note_export("/out.jsonl", '{"item":40,"bytes":1234,"extra":{}}')
    for _ in range(rounds):
        hosts = [queue.host for queue in await frontier.hosts()]
        for lease in await frontier.lease(hosts, 5):
            await frontier.settle(settlement(lease))
    if dies:
        await frontier.lease([queue.host for queue in await frontier.hosts()], 2)
        with closing(sqlite3.connect(path)) as reader:  # one that holds on to the log
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM count").fetchone()
            copies = [path.with_name(f"{path.name}{suffix}").read_bytes() for suffix in ("", "-wal")]
            await frontier.close()
        for suffix, content in zip(("", "-wal"), copies, strict=True):
            path.with_name(f"{path.name}{suffix}").write_bytes(content)
        path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    else:
        await frontier.close()


async def go_on(path: Path) -> SqliteFrontier:
    """Crawl to the end, and close the file."""
    frontier = await SqliteFrontier.open(path, spider="test")
    while hosts := [queue.host for queue in await frontier.hosts()]:
        for lease in await frontier.lease(hosts, 1000):
            await frontier.settle(settlement(lease, links=0))
    await frontier.close("finished")
    return frontier


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


class Layout:
    """Which pages of a sound file hold what (https://www.sqlite.org/dbstat.html)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.kinds = dict(rows(path, "SELECT pageno, name || ' ' || pagetype FROM dbstat"))

    def pages(self, *kinds: str) -> list[int]:
        """The pages of tables, such as `request leaf`."""
        return [page for page, kind in self.kinds.items() if kind in kinds]

    def on(self, table: str, pages: set[int]) -> set[int]:
        """The ids of those rows of a table that lie on any of `pages`."""
        leaves = rows(
            self._path,
            f"SELECT pageno, ncell FROM dbstat WHERE name = '{table}' AND pagetype = 'leaf' ORDER BY path",
        )
        ends = list(accumulate(cells for _, cells in leaves))
        key = "id" if table in ("request", "item") else "request"
        ids = [number for (number,) in rows(self._path, f"SELECT {key} FROM {table} ORDER BY {key}")]
        return {number for place, number in enumerate(ids) if leaves[bisect_right(ends, place)][0] in pages}


def spoil(path: Path, pages: set[int], random: Random) -> None:
    """Overwrite whole pages, as a failing disk does: with zeros, with noise, or shifted by a few bytes."""
    content = bytearray(path.read_bytes())
    for number in pages:
        here = slice((number - 1) * PAGE, number * PAGE)
        content[here] = random.choice(
            [bytes(PAGE), random.randbytes(PAGE), bytes(content[here][7:]) + random.randbytes(7)]
        )
    path.write_bytes(content)


def scratch(path: Path, random: Random, *, places: int) -> None:
    """Change single bytes anywhere."""
    content = bytearray(path.read_bytes())
    for _ in range(places):
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    path.write_bytes(content)
