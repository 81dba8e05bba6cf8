"""The frontier: nothing lost, nothing twice, whatever happens."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from client.origin import HostKey
from crawler.errors import StateDamaged, StateLocked, StateMismatch, StateTooNew, StorageError
from crawler.frontier import Counts, Lease, Settlement, SqliteFrontier
from crawler.frontier.lock import is_locked
from crawler.frontier.protocol import Frontier
from crawler.frontier.sqlite import discard
from crawler.outcome import Aside, Failed, Fetched, Postponed, Redirected, SetAside, Skip, Skipped
from crawler.request import Links, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from crawler.outcome import Outcome

    Ask = Callable[[str], list[tuple[Any, ...]]]

HOST = HostKey("h.example")


def url(number: int | str = "") -> str:
    return f"http://h.example/{number}"


def fetched(lease: Lease) -> Fetched:
    return Fetched(
        status=200, final_url=lease.url, content_type="text/html", size=10, elapsed=0.5, fetched_at=time.time()
    )


async def one(frontier: SqliteFrontier, host: HostKey = HOST) -> Lease:
    (lease,) = await frontier.lease([host], 1)
    return lease


async def end(
    frontier: SqliteFrontier,
    lease: Lease,
    outcome: Outcome | None = None,
    *,
    items: Sequence[str] = (),
    found: Sequence[Request | Links] = (),
) -> None:
    settlement = Settlement(lease=lease, outcome=outcome or fetched(lease), items=items, found=found)
    await frontier.settle(settlement)
    await frontier.flush()


async def kill(frontier: SqliteFrontier) -> None:
    """Leave the file as a killed process does."""
    await frontier._file.close()
    frontier._lock.release()


def test_it_does_all_that_a_frontier_does() -> None:
    """A method that it left out would be inherited, and do nothing."""
    assert {name for name in vars(Frontier) if not name.startswith("_")} <= vars(SqliteFrontier).keys()


async def test_a_request_is_queued_once(frontier: SqliteFrontier) -> None:
    assert await frontier.add([Request(url(1)), Request(url(1)), Links([url(1), url(2)])]) == 2
    assert await frontier.add([Request(url(2))]) == 0
    assert frontier.counts == Counts(queued=2, hosts=1)


async def test_method_and_body_make_another_request(frontier: SqliteFrontier) -> None:
    wanted = [Request(url()), Request(url(), method="POST"), Request(url(), method="POST", body=b"x")]
    assert await frontier.add([*wanted, *wanted]) == 3


async def test_a_request_may_ask_again(frontier: SqliteFrontier) -> None:
    await frontier.add([Request(url())])
    assert await frontier.add([Request(url(), again=True)]) == 1


async def test_a_lease_brings_back_all_that_was_asked(frontier: SqliteFrontier) -> None:
    await frontier.add(
        [
            Request(
                url("form"),
                method="POST",
                headers={"X-A": "b"},
                body=b"\x00\xff",
                callback="detail",
                priority=3,
                context={"page": [1, "zwei"]},
                again=True,
                read_timeout=600,
                total_timeout=0.5,
                max_attempts=1,
            )
        ]
    )
    lease = await one(frontier)
    assert lease == Lease(
        id=1,
        host=HOST,
        url=url("form"),
        method="POST",
        depth=0,
        requested_url=url("form"),
        callback="detail",
        priority=3,
        headers={"X-A": "b"},
        body=b"\x00\xff",
        context={"page": [1, "zwei"]},
        again=True,
        read_timeout=600.0,
        total_timeout=0.5,
        max_attempts=1,
    )


async def test_leases_come_by_priority_then_by_age(frontier: SqliteFrontier) -> None:
    await frontier.add([Request(url(1)), Request(url(2), priority=5), Request(url(3)), Request(url(4), priority=-1)])
    leases = await frontier.lease([HOST], 10)
    assert [lease.url for lease in leases] == [url(2), url(1), url(3), url(4)]
    assert await frontier.lease([HOST], 10) == []


async def test_each_host_gets_its_share(frontier: SqliteFrontier) -> None:
    other = HostKey("other.example")
    await frontier.add([Links([url(n) for n in range(5)]), Links([f"http://other.example/{n}" for n in range(5)])])
    leases = await frontier.lease([HOST, other], 2)
    assert Counter(lease.host for lease in leases) == {HOST: 2, other: 2}


async def test_a_page_is_settled_as_a_whole(frontier: SqliteFrontier, ask: Ask) -> None:
    await frontier.add([Request(url())])
    lease = await one(frontier)
    await end(frontier, lease, items=['{"a":1}', '{"a":2}'], found=[Links([url(1), url(2)])])
    assert frontier.counts == Counts(queued=2, done=1, items=2, bytes=10, hosts=1)
    assert ask("SELECT url, status, depth, referrer FROM pages") == [(url(), 200, 0, None)]
    assert ask("SELECT id, data FROM item") == [(1, '{"a":1}'), (2, '{"a":2}')]
    child = await one(frontier)
    assert (child.depth, child.referrer) == (1, url())


async def test_counts_in_the_file_are_those_in_memory(frontier: SqliteFrontier, ask: Ask) -> None:
    await frontier.add([Links([url(n) for n in range(10)])])
    leases = await frontier.lease([HOST], 10)
    await end(frontier, leases[0])
    await end(frontier, leases[1], Failed(error="dns: no", final_url=leases[1].url))
    await end(frontier, leases[2], Skipped(reason=Skip.ROBOTS, final_url=leases[2].url, detail="Disallow: /"))
    await end(frontier, leases[3], Postponed(error="timeout: 30 s", not_before=time.time() + 60))
    counts = frontier.counts
    assert counts == Counts(queued=1, leased=6, done=1, failed=1, skipped=1, bytes=10, hosts=1)
    assert ask("SELECT * FROM count") == [(1, 6, 1, 1, 1, 0, 10, 1, 0)]


async def test_every_request_is_in_exactly_one_place(frontier: SqliteFrontier, ask: Ask) -> None:
    await frontier.add([Links([url(n) for n in range(20)])])
    for number, lease in enumerate(await frontier.lease([HOST], 15)):
        if number % 3 == 0:
            await end(frontier, lease, found=[Links([url(100 + number)])])
        elif number % 3 == 1:
            await end(frontier, lease, Redirected(status=302, url=url(200 + number), method="GET"))
    places = ask("SELECT request FROM queue UNION ALL SELECT request FROM result")
    assert sorted(places) == ask("SELECT id FROM request ORDER BY id")


async def test_a_host_of_which_all_is_leased_has_nothing_waiting(frontier: SqliteFrontier) -> None:
    """In whichever way it is asked for: its requests stay in the queue of the file."""
    hosts = [HostKey(f"{n}.example") for n in range(4)]
    await frontier.add([Links([f"http://{host}/{n}" for host in hosts for n in range(2)])])
    assert len(await frontier.lease(hosts[:2], 2)) == 4
    (late, _) = await frontier.lease(hosts[2:3], 2)
    await end(frontier, late, Postponed(error="http: 503", not_before=4e9))
    waiting = [(hosts[2], 4e9), (hosts[3], 0.0)]
    assert await frontier.hosts() == waiting
    assert await frontier.hosts(limit=1) == waiting[:1]
    assert await frontier.hosts(after=hosts[2], limit=1) == waiting[1:]
    assert await frontier.waiting(hosts) == waiting
    assert await frontier.lease(hosts, 2) != []
    assert await frontier.hosts() == waiting[:1]


async def test_what_was_leased_is_queued_again_by_the_next_start(path: Path) -> None:
    first = await SqliteFrontier.open(path, spider="test")
    await first.add([Links([url(1), url(2)])])
    lease = await one(first)
    await first.lease([HOST], 1)
    await end(first, lease)
    await kill(first)

    second = await SqliteFrontier.open(path, spider="test")
    assert second.counts == Counts(queued=1, done=1, bytes=10, hosts=1)
    assert (await one(second)).url == url(2)
    assert await second.add([Request(url(1)), Request(url(2))]) == 0
    await second.close()


async def test_a_put_off_request_waits_for_its_time(frontier: SqliteFrontier, ask: Ask) -> None:
    await frontier.add([Request(url())])
    now = time.time()
    await end(frontier, await one(frontier), Postponed(error="http: 503", not_before=now + 3600))
    assert await frontier.lease([HOST], 1) == []
    assert await frontier.hosts() == [(HOST, now + 3600)]
    assert ask("SELECT request, error FROM attempt") == [(1, "http: 503")]


async def test_attempts_are_counted(frontier: SqliteFrontier) -> None:
    await frontier.add([Request(url())])
    for attempts in range(3):
        lease = await one(frontier)
        assert lease.attempts == attempts
        await end(frontier, lease, Postponed(error="timeout: again", not_before=0.0))


async def test_a_redirected_request_goes_on_at_its_target(frontier: SqliteFrontier, ask: Ask) -> None:
    await frontier.add([Request(url("old"), context={"k": 1})])
    await end(frontier, await one(frontier), Redirected(status=301, url="http://new.example/", method="GET"))
    lease = await one(frontier, HostKey("new.example"))
    assert (lease.id, lease.url, lease.requested_url) == (1, "http://new.example/", url("old"))
    assert (lease.redirects, lease.context) == ((url("old"),), {"k": 1})
    await end(frontier, lease)
    assert ask("SELECT url, final_url, status FROM pages") == [(url("old"), "http://new.example/", 200)]
    assert await frontier.add([Request("http://new.example/")]) == 0


async def test_a_redirect_to_what_is_known_is_a_duplicate(frontier: SqliteFrontier, ask: Ask) -> None:
    await frontier.add([Links([url("a"), url("b")])])
    await end(frontier, await one(frontier), Redirected(status=302, url=url("b"), method="GET"))
    assert ask("SELECT url, final_url, skipped FROM pages") == [(url("a"), url("b"), "duplicate")]


async def test_a_redirect_of_a_request_made_again_is_followed_to_what_is_known_also_after_a_kill(path: Path) -> None:
    first = await SqliteFrontier.open(path, spider="test")
    await first.add([Links([url("a"), url("b"), url("c")], priority=-1), Request(url("a"), again=True)])
    lease = await one(first)
    assert lease.again
    await end(first, lease, Redirected(status=302, url=url("b"), method="GET"))
    await one(first)
    await kill(first)
    second = await SqliteFrontier.open(path, spider="test")
    lease = await one(second)
    assert (lease.url, lease.again) == (url("b"), True)
    await end(second, lease, Redirected(status=302, url=url("c"), method="GET"))
    lease = await one(second)
    assert (lease.url, lease.redirects) == (url("c"), (url("a"), url("b")))
    await second.close()


async def test_a_redirect_back_into_its_own_chain_is_followed(frontier: SqliteFrontier) -> None:
    """A site may set a cookie and send the visitor back; the limit on redirects ends a loop."""
    await frontier.add([Request(url())])
    await end(frontier, await one(frontier), Redirected(status=302, url=url(), method="GET"))
    lease = await one(frontier)
    assert (lease.url, lease.redirects) == (url(), (url(),))


async def test_a_redirect_that_changes_the_method_drops_the_body(frontier: SqliteFrontier) -> None:
    await frontier.add([Request(url("form"), method="POST", body=b"x")])
    await end(frontier, await one(frontier), Redirected(status=303, url=url("done"), method="GET"))
    lease = await one(frontier)
    assert (lease.method, lease.body) == ("GET", None)


async def test_where_redirects_led_is_known_to_the_next_run(path: Path) -> None:
    first = await SqliteFrontier.open(path, spider="test")
    await first.add([Links([url("a"), url("c")])])
    a, c = await first.lease([HOST], 2)
    await end(first, a, Redirected(status=301, url=url("a1"), method="GET"))
    await end(first, c, Redirected(status=301, url=url("c1"), method="GET"))
    lease = await one(first)
    await end(first, lease, Redirected(status=301, url=url("a2"), method="GET"))
    lease = next(lease for lease in await first.lease([HOST], 2) if lease.url == url("a2"))
    await end(first, lease)
    await first.close()
    second = await SqliteFrontier.open(path, spider="test")
    assert await second.add([Links([url("a"), url("a1"), url("a2"), url("c"), url("c1")])]) == 0
    await second.close()


async def test_what_is_not_admitted_is_kept_with_its_reason(frontier: SqliteFrontier, ask: Ask) -> None:
    frontier.attach(
        admit=lambda url, *_: Skip.SCOPE if "away" in url else None, on_queued=lambda _host, _not_before: None
    )
    await frontier.add([Links([url(1), "http://away.example/"])])
    await end(frontier, await one(frontier), Redirected(status=302, url="http://away.example/2", method="GET"))
    assert ask("SELECT url, final_url, skipped FROM pages ORDER BY url") == [
        ("http://away.example/", "http://away.example/", "scope"),
        (url(1), "http://away.example/2", "scope"),
    ]
    assert frontier.counts.skipped == 2


async def test_what_is_found_together_goes_each_its_own_way(frontier: SqliteFrontier, ask: Ask) -> None:
    """Those that are queued, and those that are refused, are written as runs of their numbers, which go over one another."""
    verdicts = {"a": None, "b": Skip.SCOPE, "c": SetAside(Aside.TRAP), "d": Skip.DEPTH}
    frontier.attach(admit=lambda url, *_: verdicts[url[-1]], on_queued=lambda _host, _not_before: None)
    found = [url(f"{number}{verdict}") for number, verdict in enumerate("aabbacbbaddbacaabcb")]
    await frontier.add([Request(url("seed-a"))])
    lease = await one(frontier)
    alias = url("alias")
    await frontier.settle(Settlement(lease=lease, outcome=fetched(lease), found=[Links(found[:4])]))
    await frontier.add([Request(url("other-a"), priority=1)])
    lease = await one(frontier)
    settlement = Settlement(lease=lease, outcome=fetched(lease), alias=alias, found=[Links(found[4:])])
    frontier.intake.add([Links([url("before-b"), url("before-a")])], depth=1, found_on=None)
    await frontier.settle(settlement)
    await frontier.flush()
    told = {
        "a": ("queued", None, None),
        "b": ("skipped", "scope", None),
        "c": ("aside", None, "trap"),
        "d": ("skipped", "depth", None),
    }
    seen = {link: state for link, *state in ask("SELECT url, state, skipped, aside FROM links")}
    for link in [*found, url("before-a"), url("before-b")]:
        assert tuple(seen[link]) == told[link[-1]]
    assert seen[alias] == ["skipped", "duplicate", None]
    assert seen[url("seed-a")] == seen[url("other-a")] == ["done", None, None]
    assert frontier.counts.skipped == 1 + sum(seen[link][0] == "skipped" for link in found) + 1
    assert frontier.counts.queued == 1 + sum(seen[link][0] == "queued" for link in found)


async def test_the_scheduler_hears_of_what_waits(frontier: SqliteFrontier) -> None:
    heard: list[tuple[HostKey, float]] = []
    frontier.attach(admit=lambda *_: None, on_queued=lambda host, at: heard.append((host, at)))
    await frontier.add([Request(url())])
    await end(frontier, await one(frontier), Postponed(error="x", not_before=5.0))
    assert heard == [(HOST, 0.0), (HOST, 5.0)]


async def test_texts_of_the_outside_world_are_kept_whatever_they_hold(frontier: SqliteFrontier, ask: Ask) -> None:
    await frontier.add([Request(url())])
    await end(
        frontier,
        await one(frontier),
        Failed(error="bad: \0 \ud800 ü" + "x" * 10_000, final_url=url(), content_type="a\0b"),
        items=['{"nul":"\\u0000","quote":"\\"","smile":"😀"}'],
    )
    ((error, content_type),) = ask("SELECT detail, content_type FROM result")
    assert error.startswith("bad: \ufffd ? ü")
    assert content_type == "a\ufffdb"
    assert ask("SELECT data FROM item") == [('{"nul":"\\u0000","quote":"\\"","smile":"😀"}',)]


async def test_items_are_told_after_their_commit_in_order(frontier: SqliteFrontier, ask: Ask) -> None:
    told: list[tuple[int, list[str]]] = []

    async def listen(first: int, items: Sequence[str]) -> None:
        assert ask(f"SELECT count(*) FROM item WHERE id >= {first}") == [(len(items),)]
        told.append((first, list(items)))

    frontier.on_items = listen
    await frontier.add([Links([url(1), url(2)])])
    for number, lease in enumerate(await frontier.lease([HOST], 2)):
        await end(frontier, lease, items=[f'{{"n":{number}}}', "{}"])
    assert told == [(1, ['{"n":0}', "{}"]), (3, ['{"n":1}', "{}"])]
    assert await frontier.items_after(1) == ["{}", '{"n":1}', "{}"]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("UPDATE item SET id = 1000000000 WHERE id = 3", "the item after 2 has the number 1000000000"),
        ("DELETE FROM item WHERE id = 1", "the item after 0 has the number 2"),
        ("UPDATE item SET data = x'7b7d' WHERE id = 2", "the item 2 is not text"),
    ],
)
async def test_items_that_are_not_numbered_one_by_one_are_damage(
    frontier: SqliteFrontier, path: Path, change: str, why: str
) -> None:
    """Whoever counts on from the last number would be told the same items without end."""
    await frontier.add([Request(url())])
    await end(frontier, await one(frontier), items=["{}", "{}", "{}"])
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(change)
    with pytest.raises(StateDamaged, match=f"{why}.*crawl repair"):
        await frontier.items_after(0)


async def test_a_commit_that_is_cancelled_is_carried_to_its_end(frontier: SqliteFrontier, ask: Ask) -> None:
    """Items that are in the file must reach the exports, also when the run is being stopped."""
    told: list[str] = []

    async def listen(_first: int, items: Sequence[str]) -> None:
        told.extend(items)

    frontier.on_items = listen
    await frontier.add([Request(url())])
    lease = await one(frontier)
    await frontier.settle(Settlement(lease=lease, outcome=fetched(lease), items=["{}"]))
    committing = asyncio.create_task(frontier.flush())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    committing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await committing
    assert told == ["{}"]
    assert ask("SELECT count(*) FROM item") == [(1,)]


async def test_commits_are_shared(path: Path) -> None:
    """Pages settled close together go into the file by one commit; each is there once `flush` returns."""
    frontier = await SqliteFrontier.open(path, spider="test", commit_pages=1000, commit_interval=3600.0)
    commits = 0

    async def count(_first: int, _items: Sequence[str]) -> None:
        nonlocal commits
        commits += 1

    frontier.on_items = count
    await frontier.add([Links([url(n) for n in range(50)])])
    for lease in await frontier.lease([HOST], 50):
        await frontier.settle(Settlement(lease=lease, outcome=fetched(lease), items=["{}"]))
    await frontier.flush()
    assert commits == 1
    await frontier.close()


async def test_a_full_batch_is_committed_without_waiting(path: Path) -> None:
    frontier = await SqliteFrontier.open(path, spider="test", commit_pages=3, commit_interval=3600.0)
    committed = asyncio.Event()

    async def listen(_first: int, _items: Sequence[str]) -> None:
        committed.set()

    frontier.on_items = listen
    await frontier.add([Links([url(n) for n in range(3)])])
    leases = await frontier.lease([HOST], 3)
    committing = asyncio.create_task(frontier.keep_committing())
    for lease in leases:
        await frontier.settle(Settlement(lease=lease, outcome=fetched(lease), items=["{}"]))
    await asyncio.wait_for(committed.wait(), 30)
    committing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await committing
    await frontier.close()


async def test_closing_commits_and_leaves_nothing_leased(path: Path, ask: Ask) -> None:
    frontier = await SqliteFrontier.open(path, spider="test")
    await frontier.add([Links([url(1), url(2)])])
    first, _ = await frontier.lease([HOST], 2)
    await frontier.settle(Settlement(lease=first, outcome=fetched(first)))
    await frontier.close("max_pages")
    assert ask("SELECT queued, leased, done FROM count") == [(1, 0, 1)]
    assert ask("SELECT why, ended IS NOT NULL FROM run") == [("max_pages", 1)]


async def test_one_process_at_a_time(path: Path) -> None:
    frontier = await SqliteFrontier.open(path, spider="test")
    with pytest.raises(StateLocked, match="another process is crawling"):
        await SqliteFrontier.open(path, spider="test")
    with pytest.raises(StateLocked):
        discard(path)
    await frontier.close()
    assert not is_locked(path)


async def test_a_file_of_another_spider_is_refused(path: Path) -> None:
    await (await SqliteFrontier.open(path, spider="one")).close()
    with pytest.raises(StateMismatch, match="belongs to the spider 'one', not to 'two'"):
        await SqliteFrontier.open(path, spider="two")
    await (await SqliteFrontier.open(path, spider="one")).close()


async def test_a_newer_file_is_refused(path: Path) -> None:
    await (await SqliteFrontier.open(path, spider="test")).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StateTooNew, match="schema 99"):
        await SqliteFrontier.open(path, spider="test")


@pytest.mark.parametrize(
    "content", [b"no database at all, but long enough to have a header" * 20, b"SQLite format 3\0"]
)
async def test_what_is_no_database_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StateDamaged, match="not a crawl file"):
        await SqliteFrontier.open(path, spider="test")
    assert path.read_bytes() == content


async def test_a_database_of_something_else_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE notes (text)")
    with pytest.raises(StateDamaged, match="not of a crawl"):
        await SqliteFrontier.open(path, spider="test")


async def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot write the crawl file .*nowhere"):
        await SqliteFrontier.open(tmp_path / "nowhere" / "x.crawl", spider="test")


async def test_a_reader_does_not_disturb(frontier: SqliteFrontier, path: Path) -> None:
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM pages").fetchall()
        await frontier.add([Request(url())])
        await end(frontier, await one(frontier))
        assert reader.execute("SELECT count(*) FROM pages").fetchall() == [(0,)]
        reader.rollback()
        assert reader.execute("SELECT count(*) FROM pages").fetchall() == [(1,)]


async def test_a_clock_set_back_while_it_runs_hides_nothing(
    path: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    frontier = await SqliteFrontier.open(path, spider="test")
    try:
        await frontier.add([Links([url(1), url(2)])])
        first, _ = await frontier.lease([HOST], 2)
        before = frontier.now()
        monkeypatch.setattr(time, "time", lambda: 1000.0)
        await end(frontier, first, Postponed(error="http: 503", not_before=before))
        assert frontier.now() >= before
        assert (await one(frontier)).attempts == 1
        await frontier.add([Request(url(3))])
        assert (await one(frontier)).url == url(3)
    finally:
        await frontier.close()
    assert ask("SELECT ended >= started, seen >= started FROM run") == [(1, 1)]


async def test_a_clock_set_back_between_runs_hides_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was put off by an hour is due an hour after the file's latest instant, whatever the system's clock says."""
    first = await SqliteFrontier.open(path, spider="test")
    await first.add([Request(url())])
    latest = first.now()
    await end(first, await one(first), Postponed(error="http: 503", not_before=latest))
    await first.close()
    monkeypatch.setattr(time, "time", lambda: latest - 86_400)
    second = await SqliteFrontier.open(path, spider="test")
    try:
        assert second.now() >= latest
        assert (await one(second)).attempts == 1
        assert 0 <= second.elapsed_before < 60
    finally:
        await second.close()


async def test_half_a_settlement_is_never_written(path: Path, ask: Ask) -> None:
    """Whatever goes wrong while what a page gave is taken in: its request waits in the file as before."""
    frontier = await SqliteFrontier.open(path, spider="test")
    await frontier.add([Links([url(1), url(2)])])
    first, second = await frontier.lease([HOST], 2)
    await frontier.settle(Settlement(lease=first, outcome=fetched(first), items=["{}"]))
    await frontier.flush()
    with pytest.raises(StorageError, match=r"what came of http://h\.example/2 cannot be kept"):
        await frontier.settle(Settlement(lease=second, outcome=fetched(second), items=["{}"], found=[None]))  # type: ignore[list-item]
    with pytest.raises(StorageError):
        await frontier.flush()
    await frontier.close()
    assert ask("SELECT request, data FROM item") == [(1, "{}")]
    assert ask("SELECT request FROM queue") == [(2,)]
    assert ask("SELECT queued + leased, done FROM count") == [(1, 1)]


async def test_what_is_large_does_not_gather(path: Path, ask: Ask) -> None:
    """SQLite takes no statement of a thousand million bytes, and memory has an end as well."""
    frontier = await SqliteFrontier.open(path, spider="test", commit_pages=1000, commit_interval=3600.0)
    await frontier.add([Links([url(n) for n in range(40)])])
    large = f'{{"text":"{"x" * (8 << 20)}"}}'
    most = 0
    for lease in await frontier.lease([HOST], 40):
        await frontier.settle(Settlement(lease=lease, outcome=fetched(lease), items=[large]))
        most = max(most, frontier.intake.batch.volume)
    await frontier.close()
    assert most <= 80 << 20
    assert ask("SELECT count(*), min(length(data)) FROM item") == [(40, len(large))]


# -- what was left out, and what led where -----------------------------------------------------------------------------


async def test_what_led_where_is_known_after_a_kill(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crawler.frontier.leftout._LOOKED_THROUGH", 50)
    frontier = await SqliteFrontier.open(path, spider="test")
    assert await frontier.left_out(10) == []
    home, known, moved, copy, named, gone = url(), url("known"), url("moved"), url("copy"), url("named"), url("gone")
    await frontier.add([Links([home, known])])
    await frontier.add([Links([moved, copy, named, gone])], depth=1)
    leases = {lease.url: lease for lease in await frontier.lease([HOST], 10)}
    await end(frontier, leases[moved], Redirected(status=301, url=url("new"), method="GET"))
    await end(frontier, await one(frontier), Redirected(status=302, url=known, method="GET"))
    await frontier.settle(Settlement(lease=leases[copy], outcome=fetched(leases[copy]), alias=home))
    await frontier.settle(Settlement(lease=leases[named], outcome=fetched(leases[named]), alias=url("name")))
    await end(frontier, leases[gone], Redirected(status=307, url=url("elsewhere"), method="GET"))
    await end(frontier, leases[home], Skipped(reason=Skip.ROBOTS, final_url=home))
    await kill(frontier)

    frontier = await SqliteFrontier.open(path, spider="test")
    duplicates = [(moved, url("new")), (url("new"), known), (copy, home), (named, url("name"))]
    under_way = [(gone, url("elsewhere"))]
    assert await frontier.left_out(10) == duplicates + under_way
    assert await frontier.left_out(1) == [(named, url("name")), *under_way]
    frontier.attach(admit=lambda *_: Skip.SCOPE, on_queued=lambda *_: None)
    await frontier.add([Links([url(number) for number in range(60)])], depth=1)
    assert await frontier.left_out(10) == duplicates[:2] + under_way, "which an index leads to"
    await frontier.close()


@pytest.mark.parametrize("is_charged", [True, False])
async def test_an_attempt_counts_if_it_is_charged(frontier: SqliteFrontier, ask: Ask, is_charged: bool) -> None:
    await frontier.add([Links([url()])])
    for _ in range(3):
        postponed = Postponed(error="x: y", not_before=0.0, is_charged=is_charged)
        await end(frontier, await one(frontier), postponed)
    assert (await one(frontier)).attempts == (3 if is_charged else 0)
    assert ask("SELECT count(*) FROM attempt") == [(3,)]
