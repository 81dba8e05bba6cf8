"""What was seen, when memory holds little of it: the same comes of a crawl as if it held everything."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

import pytest

from client.origin import HostKey
from crawler import Crawl, Settings
from crawler.errors import StateDamaged
from crawler.frontier import Lease, Settlement, SqliteFrontier
from crawler.frontier.marks import words_of
from crawler.outcome import Fetched, Redirected, Skip
from crawler.request import Links, Request
from crawler.web.urls import fingerprint
from tests.crawler.readers.spiders import Follower
from tests.proof.crawlfile import check_invariants
from tests.sites import page, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

HOST = HostKey("h.example")
FEW = 64
"""So many requests are remembered exactly: a run is written for each, and the filter has room for few more."""


def url(number: int) -> str:
    return f"http://h.example/{number}"


def fetched(lease: Lease) -> Fetched:
    return Fetched(status=200, final_url=lease.url, content_type="", size=1, elapsed=0.1, fetched_at=1.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "test.crawl"


@asynccontextmanager
async def opened(path: Path, *, is_killed: bool = False, remembered: int = FEW) -> AsyncIterator[SqliteFrontier]:
    frontier = await SqliteFrontier.open(path, spider="test", remembered=remembered)
    try:
        yield frontier
    finally:
        if is_killed:
            await frontier._file.close()
            frontier._lock.release()
        else:
            await frontier.close()


def ask(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


def requested(path: Path) -> list[str]:
    return [url for (url,) in ask(path, "SELECT url FROM request")]


async def grown(path: Path, urls: int) -> None:
    """A crawl that has found so many URLs, of which a new process has none lately in mind."""
    async with opened(path) as frontier:
        await frontier.add([Links([url(n) for n in range(urls)])])


async def visit(frontier: SqliteFrontier, found: Sequence[Links | Request]) -> None:
    """Settle one request with what was found on its page."""
    (lease,) = await frontier.lease([HOST], 1)
    await frontier.settle(Settlement(lease=lease, outcome=fetched(lease), found=found))


@pytest.mark.parametrize("is_killed", [False, True])
async def test_each_url_is_taken_in_once_however_often_it_is_offered(path: Path, *, is_killed: bool) -> None:
    """Far more than is remembered, in a filter that is soon full, with a new process now and then."""
    choose = random.Random(8)
    offered: set[int] = {0}
    most = 1
    for _ in range(6):
        async with opened(path, is_killed=is_killed) as frontier:
            await frontier.add([Request(url(0))])
            for _ in range(25):
                most += 15
                some = choose.sample(range(most), min(most, 40))
                offered.update(some)
                await visit(frontier, [Links([url(n) for n in some])])
            await frontier.flush()  # or what the last pages gave would be lost with the process
            assert sorted(requested(path)) == sorted({*requested(path)})
    async with opened(path) as frontier:
        assert len(frontier._runs._sieve.bits) < len(offered) * 2, "the filter should be too small for so many"
        await frontier.decide()
        assert not frontier.is_undecided
    assert sorted(requested(path)) == sorted(url(n) for n in offered)
    check_invariants(path)
    ((parts,),) = ask(path, "SELECT count(*) FROM seen")
    assert parts > 5 * 256


async def test_what_is_put_by_is_in_the_file(path: Path) -> None:
    await grown(path, 2 * FEW)
    async with opened(path, is_killed=True) as frontier:
        await visit(frontier, [Links([url(n) for n in range(FEW // 8)], callback="article", priority=3)])
        await frontier.flush()
        assert frontier.is_undecided
        assert ask(path, "SELECT depth, found_on, alone, json_array_length(urls) FROM offered") == [(1, 1, 0, FEW // 8)]
    async with opened(path) as frontier:
        assert frontier.is_undecided
        await frontier.decide()
        assert not frontier.is_undecided
    assert len(requested(path)) == 2 * FEW
    assert ask(path, "SELECT count(*) FROM offered") == [(0,)]


async def test_what_turns_out_to_be_new_is_as_it_was_asked_for(path: Path) -> None:
    """Once the filter is full of ones, everything that memory does not know is doubtful."""
    heard: list[HostKey] = []
    asked: list[tuple[str, int, str | None, bool]] = []

    def admit(url: str, depth: int, page: str | None, is_alone: bool) -> None:
        asked.append((url, depth, page, is_alone))

    form = Request("http://h.example/form", method="POST", body=b"x", priority=2, context={"a": 1})
    async with opened(path) as frontier:
        await frontier.add([Links([url(n) for n in range(FEW)])])
        frontier.intake.sieve.bits[:] = b"\xff" * len(frontier.intake.sieve.bits)
        frontier.attach(admit=admit, on_queued=lambda host, _: heard.append(host))
        await visit(frontier, [Links(["http://h.example/new"], callback="article"), form, form])
        assert frontier.is_undecided
        assert not heard
        await frontier.decide()
        assert heard == [HOST, HOST]
        assert asked == [("http://h.example/new", 1, url(0), False), ("http://h.example/form", 1, url(0), True)]
        first, second = await frontier.lease([HOST], 2)
    assert (first.url, first.method, first.body, first.priority) == (form.url, "POST", b"x", 2)
    assert (first.context, first.depth, first.referrer) == ({"a": 1}, 1, url(0))
    assert second.url == url(1)
    assert ask(path, "SELECT extra FROM request WHERE url LIKE '%/new'") == [('{"callback":"article"}',)]


async def test_where_a_redirect_leads_is_looked_up_at_once(path: Path) -> None:
    await grown(path, 3 * FEW)
    async with opened(path) as frontier:
        frontier.intake.sieve.bits[:] = b"\xff" * len(frontier.intake.sieve.bits)
        for lease, target in zip(
            await frontier.lease([HOST], 3), (url(7), "http://h.example/new", url(8)), strict=True
        ):
            await frontier.settle(Settlement(lease=lease, outcome=Redirected(status=301, url=target, method="GET")))
        assert (frontier.counts.skipped, frontier.counts.queued) == (2, 3 * FEW - 2)
        assert await frontier.add([Request("http://h.example/new")]) == 0
        await frontier.decide()
    assert ask(path, "SELECT request, reason FROM result") == [(1, Skip.DUPLICATE.value), (3, Skip.DUPLICATE.value)]
    assert len(requested(path)) == 3 * FEW


async def test_what_was_looked_up_is_forgotten_after_a_while(path: Path) -> None:
    """However many redirects lead to what is known."""
    await grown(path, 4 * FEW)
    async with opened(path) as frontier:
        sieve = frontier.intake.sieve
        leases = await frontier.lease([HOST], 2 * FEW)
        for number, lease in enumerate(leases):
            target = url(2 * FEW + number)
            await frontier.settle(Settlement(lease=lease, outcome=Redirected(status=301, url=target, method="GET")))
            await frontier._runs.tend()
            assert sum(len(sieve._table.part(part, sieve._sifted)) for part in range(256)) // 2 <= FEW // 4
        assert frontier.counts.skipped == 2 * FEW


async def test_a_target_that_was_refused_can_be_found_again(path: Path) -> None:
    """A redirect may not lead there for its depth, say; a link may."""
    await grown(path, 3 * FEW)
    async with opened(path) as frontier:
        frontier.intake.sieve.bits[:] = b"\xff" * len(frontier.intake.sieve.bits)
        frontier.attach(admit=lambda *_: Skip.DEPTH, on_queued=lambda *_: None)
        (lease,) = await frontier.lease([HOST], 1)
        await frontier.settle(Settlement(lease=lease, outcome=Redirected(status=301, url=url(1000), method="GET")))
        frontier.attach(admit=lambda *_: None, on_queued=lambda *_: None)
        await visit(frontier, [Links([url(1000)])])
        await frontier.decide()
    assert requested(path)[-1] == url(1000)
    assert ask(path, "SELECT request, reason FROM result WHERE state = 'skipped'") == [(1, "depth")]


async def test_another_name_of_a_page_is_looked_up_at_once(path: Path) -> None:
    await grown(path, 3 * FEW)
    async with opened(path) as frontier:
        parent, *_ = await frontier.lease([HOST], 1)
        await frontier.settle(Settlement(lease=parent, outcome=fetched(parent), found=[Links([url(1000), url(1001)])]))
        await frontier.decide()
        frontier.intake.sieve.bits[:] = b"\xff" * len(frontier.intake.sieve.bits)
        children = [lease for lease in await frontier.lease([HOST], 4 * FEW) if lease.depth]
        for lease, alias in zip(children, (url(5), "http://h.example/canonical"), strict=True):
            await frontier.settle(Settlement(lease=lease, outcome=fetched(lease), alias=alias, items=["{}"]))
        assert (frontier.counts.skipped, frontier.counts.items) == (2, 1)
        await frontier.flush()
        assert await frontier.add([Request("http://h.example/canonical")]) == 0
        await frontier.decide()
    assert sorted(requested(path))[-2:] == [url(99), "http://h.example/canonical"]


async def test_what_is_being_sifted_is_not_asked_for_again(path: Path) -> None:
    """Links that come while the runs are read are asked about, or were; settlements go on."""
    await grown(path, 3 * FEW)
    async with opened(path) as frontier:
        await visit(frontier, [Links([url(n) for n in range(10)])])
        async with asyncio.TaskGroup() as group:
            deciding = group.create_task(frontier.decide())
            await asyncio.sleep(0)
            for _ in range(FEW):
                await visit(frontier, [Links([url(n) for n in range(20)]), Links([url(5000)])])
            assert frontier.counts.done == FEW + 1
        assert deciding.done()
        await frontier.decide()
    assert sorted(requested(path)) == sorted([*(url(n) for n in range(3 * FEW)), url(5000)])
    check_invariants(path)


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 8])
async def test_what_comes_while_a_run_is_written_is_not_lost_with_the_process(path: Path, steps: int) -> None:
    """It is not in the file yet: so it must not be in the run."""
    frontier = await SqliteFrontier.open(path, spider="test", remembered=FEW)
    await frontier.add([Links([url(n) for n in range(10)])])
    (lease,) = await frontier.lease([HOST], 1)
    frontier.note_host(HOST, delay=1.0)  # something to commit
    frontier.intake.sieve.capacity = 8  # a run is due
    tending = asyncio.create_task(frontier._runs.tend())
    for _ in range(steps):
        await asyncio.sleep(0)
    await frontier.settle(Settlement(lease=lease, outcome=fetched(lease), found=[Links([url(1000)])]))
    await tending
    await frontier._file.close()
    frontier._lock.release()
    assert ask(path, "SELECT count(*) FROM seen") == [(256,)]
    async with opened(path) as frontier:
        await frontier.add([Links([url(1000)])])
    assert requested(path).count(url(1000)) == 1


@pytest.mark.parametrize("milliseconds", [0, 1, 2, 3, 5, 8, 13, 21, 34])
async def test_a_crawl_that_is_ended_while_a_run_is_written_knows_all_of_it(path: Path, milliseconds: int) -> None:
    """Cut short as by a second Ctrl-C: what tends the runs is cancelled, and the file is closed."""
    async with opened(path) as frontier:
        await frontier.add([Links([url(n) for n in range(FEW - 1)])])
        (lease,) = await frontier.lease([HOST], 1)
        await frontier.settle(
            Settlement(lease=lease, outcome=fetched(lease), found=[Links([url(n) for n in range(FEW, 80)])])
        )
        tending = asyncio.create_task(frontier._runs.tend())
        await asyncio.wait([tending], timeout=milliseconds / 1000)
        tending.cancel()
        await asyncio.wait([tending])
    async with opened(path) as frontier:
        await frontier.add([Links([url(n) for n in range(80)])])
        await frontier.decide()
    assert sorted(requested(path)) == sorted(url(n) for n in range(80))


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 8])
async def test_what_comes_while_it_is_sifted_is_sifted_the_next_time(path: Path, steps: int) -> None:
    await grown(path, 3 * FEW)
    async with opened(path) as frontier:
        frontier.intake.sieve.bits[:] = b"\xff" * len(frontier.intake.sieve.bits)
        first, second = await frontier.lease([HOST], 2)
        await frontier.settle(Settlement(lease=first, outcome=fetched(first), found=[Links([url(1000), url(5)])]))
        deciding = asyncio.create_task(frontier.decide())
        for _ in range(steps):
            await asyncio.sleep(0)
        await frontier.settle(Settlement(lease=second, outcome=fetched(second), found=[Links([url(2000), url(6)])]))
        await deciding
        assert frontier.is_undecided
        await frontier.decide()
        assert not frontier.is_undecided
        await frontier.decide()
    assert requested(path)[3 * FEW :] == [url(1000), url(2000)]


@pytest.mark.parametrize("remembered", [1, 4])
async def test_a_crawl_whose_links_are_all_doubtful_comes_to_its_end(path: Path, remembered: int) -> None:
    names = [f"page-{number}" for number in range(60)]
    site = {"/": page("Home", *names[:20]), **{f"/{name}": page(name, *names) for name in names}}
    async with serve(site) as server, asyncio.timeout(60):
        settings = Settings(robots=False, per_host=16, remembered=remembered)
        report = await Crawl(Follower(start_urls=[f"{server.url}/"]), settings, state=path).run()
    assert report.reason == "finished"
    assert report.stats.done == 1 + len(names)
    assert sorted(server.paths) == sorted(site)
    check_invariants(path)


async def test_an_older_crawl_that_no_longer_fits_goes_on(path: Path) -> None:
    """It was remembered whole; now it is opened with less memory."""
    async with opened(path, remembered=1 << 20) as frontier:
        await frontier.add([Links([url(n) for n in range(500)])])
    assert ask(path, "SELECT count(*) FROM seen") == [(0,)]
    async with opened(path, remembered=100) as frontier:
        await frontier.add([Links([url(n) for n in range(510)])])
        await frontier.decide()
    assert len(requested(path)) == 510
    assert ask(path, "SELECT max(upto) >= 500 FROM seen") == [(1,)]


async def test_the_filter_grows_with_what_is_remembered(path: Path) -> None:
    """It was made for little memory, and would soon take every link for known; it is made anew once."""
    await grown(path, 3 * FEW)
    for _ in range(2):
        async with opened(path, remembered=100 * FEW) as frontier:
            sieve = frontier.intake.sieve
            assert len(sieve.bits) == sieve.wanted_bytes == 1 << 17
            assert sieve.sort(words_of(b"".join(fingerprint(url(n)) for n in range(6 * FEW)))) == (
                list(range(3 * FEW, 6 * FEW)),
                list(range(3 * FEW)),
            )
        assert ask(path, "SELECT count(*), sum(length(bits)) FROM sketch") == [(256, 1 << 17)]
    async with opened(path) as frontier:
        assert len(frontier.intake.sieve.bits) == 1 << 17
        await frontier.add([Links([url(n) for n in range(4 * FEW)])])
        await frontier.decide()
    assert sorted(requested(path)) == sorted(url(n) for n in range(4 * FEW))


async def test_a_large_crawl_is_written_when_it_is_closed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crawler.frontier.runs._WORTH_KEEPING", 100)
    async with opened(path, remembered=1000) as frontier:
        await frontier.add([Links([url(n) for n in range(150)])])
    assert ask(path, "SELECT count(*), min(upto), max(upto) FROM seen") == [(256, 150, 150)]
    async with opened(path, remembered=1000, is_killed=True) as frontier:
        assert frontier.intake.sieve.recent == 0
        await frontier.add([Links([url(n) for n in range(160)])])
        await frontier.decide()
    async with opened(path, remembered=1000) as frontier:
        assert frontier.intake.sieve.recent == 10
        await frontier.add([Links([url(n) for n in range(161)])])
        await frontier.decide()
    assert len(requested(path)) == 161


async def test_runs_that_know_more_than_the_file_are_made_anew(path: Path) -> None:
    """A file that was mended may have lost requests: what is not there was not seen."""
    async with opened(path) as frontier:
        await frontier.add([Links([url(n) for n in range(3 * FEW)])])
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DELETE FROM request WHERE id > 120")
        db.execute("DELETE FROM queue WHERE request > 120")
        db.execute("UPDATE count SET queued = 120")
    async with opened(path) as frontier:
        await frontier.add([Links([url(n) for n in range(3 * FEW)])])
        await frontier.decide()
    assert sorted(requested(path)) == sorted(url(n) for n in range(3 * FEW))


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM seen WHERE id = 7",
        "DELETE FROM sketch WHERE part = 7",
        "UPDATE sketch SET bits = x'00' WHERE part = 7",
        "DELETE FROM sketch",
        "UPDATE offered SET urls = '[1'",
    ],
)
async def test_damage_is_told(path: Path, damage: str) -> None:
    await grown(path, 3 * FEW)
    async with opened(path) as frontier:
        await visit(frontier, [Links([url(0)])])
    with closing(sqlite3.connect(path)) as db, db:
        assert db.execute(damage).rowcount
    with pytest.raises(StateDamaged, match="crawl repair"):
        async with opened(path):
            raise AssertionError("it opened")


async def test_a_run_is_sorted_and_whole(path: Path) -> None:
    async with opened(path) as frontier:
        await frontier.add([Links([url(n) for n in range(FEW)])])
    rows = ask(path, "SELECT id, marks FROM seen ORDER BY id")
    joined = b"".join(marks for _, marks in rows)
    marks = [joined[at : at + 16] for at in range(0, len(joined), 16)]
    assert marks == sorted(fingerprint(url(n)) for n in range(FEW))
    assert all(mark[0] == number for number, part in rows for mark in [part] if mark)
