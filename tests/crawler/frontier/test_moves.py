"""Requests moved by order, and what is kept beside them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from client.origin import HostKey
from crawler.frontier import CookieRow, Counts, HostState, Lease, Settlement, SqliteFrontier, trace
from crawler.frontier.statefile import StateFile
from crawler.outcome import Aside, Failed, Fetched, Postponed, Redirected, SetAside, Skip
from crawler.request import Links, Request
from tests.client.peer import until
from tests.proof.crawlfile import check_invariants

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

    from crawler.outcome import Outcome

    Ask = Callable[[str], list[tuple[Any, ...]]]

A, B = HostKey("a.example"), HostKey("b.example")


def urls(host: HostKey, number: int) -> Links:
    return Links([f"http://{host}/{n}" for n in range(number)])


def attach(frontier: SqliteFrontier, *, most: int = 0) -> list[HostKey]:
    """A list that hears of each request that now waits."""
    heard: list[HostKey] = []
    frontier.attach(
        admit=lambda url, *_: SetAside(Aside.TRAP, "calendar") if "/trap" in url else None,
        on_queued=lambda host, _not_before: heard.append(host),
        max_pages_per_host=most,
    )
    return heard


async def settle(frontier: SqliteFrontier, lease: Lease, outcome: Outcome) -> None:
    await frontier.settle(Settlement(lease=lease, outcome=outcome))
    await frontier.flush()


def fetched(lease: Lease) -> Fetched:
    return Fetched(status=200, final_url=lease.url, content_type="", size=1, elapsed=1, fetched_at=1)


async def test_requests_beyond_the_budget_of_a_host_are_kept_aside(frontier: SqliteFrontier, ask: Ask) -> None:
    heard = attach(frontier, most=3)
    assert await frontier.add([urls(A, 5), urls(B, 2)]) == 7
    assert heard == [A, A, A, B, B]
    assert frontier.counts == Counts(queued=5, aside=2, hosts=2)
    assert ask("SELECT url, state, aside FROM links WHERE aside IS NOT NULL") == [
        ("http://a.example/3", "aside", "budget"),
        ("http://a.example/4", "aside", "budget"),
    ]
    assert ask("SELECT host, queued, aside FROM hosts") == [(A, 3, 2), (B, 2, 0)]
    assert ask("SELECT * FROM count") == [(5, 0, 0, 0, 0, 0, 0, 2, 2)]


async def test_a_host_may_have_a_budget_of_its_own(frontier: SqliteFrontier) -> None:
    attach(frontier, most=3)
    frontier.note_host(A, budget=1)
    frontier.note_host(B, budget=0)
    await frontier.add([urls(A, 5), urls(B, 5)])
    assert (frontier.counts.queued, frontier.counts.aside) == (1 + 5, 4)


async def test_what_is_set_aside_leaves_room_for_others(frontier: SqliteFrontier, ask: Ask) -> None:
    attach(frontier, most=1)
    await frontier.add([urls(A, 2)])
    (lease,) = await frontier.lease([A], 1)
    assert await frontier.fill_budgets() == 0
    await settle(frontier, lease, SetAside(Aside.HOST))
    assert await frontier.fill_budgets() == 1
    assert ask("SELECT request, reason FROM aside") == [(1, "host")]


async def test_a_redirect_to_another_host_counts_for_that_one(frontier: SqliteFrontier, ask: Ask) -> None:
    attach(frontier, most=2)
    await frontier.add([urls(A, 2), urls(B, 1)])
    for lease in await frontier.lease([A], 2):
        await settle(frontier, lease, Redirected(status=301, url=f"http://{B}/from{lease.id}", method="GET"))
    assert ask("SELECT request, reason FROM aside") == [(2, "budget")]
    assert await frontier.release() == 1
    (_, second, _) = await frontier.lease([B], 5)
    assert (second.url, second.redirects) == ("http://b.example/from2", ("http://a.example/1",))


async def test_a_budget_outlives_the_process(path: Path) -> None:
    for _ in range(2):
        frontier = await SqliteFrontier.open(path, spider="test")
        attach(frontier, most=3)
        await frontier.add([urls(A, 3), Request(f"http://{A}/more{_}")])
        await frontier.close()
        assert frontier.counts.aside == _ + 1
    check_invariants(path)


async def test_a_larger_budget_lets_in_what_stands_aside_for_it(
    frontier: SqliteFrontier, path: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crawler.frontier.moves._ROWS_AT_ONCE", 2)
    attach(frontier, most=2)
    late = Request(f"http://{A}/late", priority=5)
    await frontier.add([urls(A, 9), late, urls(B, 3), Request(f"http://{A}/trap")])
    assert await frontier.fill_budgets() == 0
    heard = attach(frontier, most=5)
    assert await frontier.fill_budgets() == 4
    assert sorted(heard) == [A] * 3 + [B]
    waiting = [lease.url[8:] for lease in await frontier.lease([A, B], 99)]
    assert waiting == [f"{A}/late"[1:], *(f"{A}/{n}"[1:] for n in range(4)), *(f"{B}/{n}"[1:] for n in range(3))]
    frontier.note_host(A, budget=0)
    assert await frontier.fill_budgets(host=B) == 0
    assert await frontier.fill_budgets(host=A) == 5
    assert ask("SELECT reason FROM aside") == [("trap",)]
    check_invariants(path)


async def test_a_smaller_budget_sets_aside_what_waits_beyond_it(
    frontier: SqliteFrontier, path: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last in the host's order; what is leased or over counts, and stays."""
    monkeypatch.setattr("crawler.frontier.moves._ROWS_AT_ONCE", 2)
    attach(frontier)
    await frontier.add([urls(A, 9), Request(f"http://{A}/late", priority=5), urls(B, 3)])
    await frontier.lease([A], 2)
    assert await frontier.set_aside(A, Aside.BUDGET) == 0, "it has no budget of its own"
    frontier.note_host(A, budget=5)
    assert await frontier.set_aside(A, Aside.BUDGET) == 5
    assert await frontier.set_aside(A, Aside.BUDGET) == 0
    assert ask("SELECT url FROM links WHERE aside = 'budget'") == [(f"http://{A}/{n}",) for n in range(4, 9)]
    assert (frontier.counts.queued, frontier.counts.leased, frontier.counts.aside) == (6, 2, 5)
    frontier.note_host(A, budget=1)
    assert await frontier.set_aside(A, Aside.BUDGET) == 3, "no more than wait"
    frontier.note_host(A, budget=3)
    assert await frontier.fill_budgets(host=A) == 1
    assert [lease.url for lease in await frontier.lease([A], 9)] == [f"http://{A}/1"]
    check_invariants(path)


async def test_what_is_suspected_is_kept_with_the_suspicion(frontier: SqliteFrontier, ask: Ask) -> None:
    attach(frontier)
    await frontier.add([Request(f"http://{A}/trap"), Request(f"http://{A}/")])
    (lease,) = await frontier.lease([A], 5)
    await settle(frontier, lease, Redirected(status=302, url=f"http://{A}/trap2", method="GET"))
    expected = [(1, "trap", "calendar"), (2, "trap", "calendar")]
    assert ask("SELECT request, reason, detail FROM aside ORDER BY request") == expected
    assert ask("SELECT admitted FROM host") == [(0,)]


async def test_a_dead_host_is_set_aside_and_released(frontier: SqliteFrontier, path: Path, ask: Ask) -> None:
    heard = attach(frontier)
    await frontier.add([urls(A, 3), urls(B, 1), Request(f"http://{A}/first", priority=2)])
    (lease,) = await frontier.lease([A], 1)
    assert await frontier.set_aside(A, Aside.HOST, "connect: refused") == 3
    assert await frontier.set_aside(HostKey("unknown.example"), Aside.HOST) == 0
    await settle(frontier, lease, SetAside(Aside.HOST, "connect: refused"))
    assert frontier.counts == Counts(queued=1, aside=4, hosts=2)
    assert await frontier.lease([A], 9) == []
    assert ask("SELECT DISTINCT reason, detail FROM aside") == [("host", "connect: refused")]

    heard.clear()
    assert await frontier.release(host=B) == 0
    assert await frontier.release(reason=Aside.TRAP) == 0
    assert await frontier.release(url=f"http://{A}/1") == 1
    assert await frontier.release(host=A, reason=Aside.HOST) == 3
    assert heard == [A] * 4
    assert [lease.url.rpartition("/")[2] for lease in await frontier.lease([A], 9)] == ["first", "0", "1", "2"]
    check_invariants(path)


async def test_failed_requests_are_tried_again(frontier: SqliteFrontier, path: Path, ask: Ask) -> None:
    heard = attach(frontier)
    await frontier.add([urls(A, 5), urls(B, 1)])
    errors = ("http: 503", "http: 404", "dns: no such name", "timeout: 30 s")
    for lease, error in zip(await frontier.lease([A], 4), errors, strict=True):
        status = int(error[6:]) if error.startswith("http") else None
        await settle(frontier, lease, Failed(error=error, final_url=lease.url, status=status, size=7))
    heard.clear()
    assert await frontier.retry(host=B) == 0
    assert await frontier.retry(statuses=range(500, 600)) == 1
    assert await frontier.retry(statuses=[404], kinds=["dns"]) == 2
    assert await frontier.retry(kinds=["dns"]) == 0
    assert frontier.counts == Counts(queued=5, failed=1, bytes=7, hosts=2)
    assert await frontier.retry() == 1
    assert heard == [A] * 4
    again = await frontier.lease([A], 9)
    assert [(lease.id, lease.attempts) for lease in again] == [(n, 0) for n in range(1, 6)]
    check_invariants(path)


async def test_how_a_request_failed_is_kept_when_it_is_tried_again(
    frontier: SqliteFrontier, path: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With when its response came, if there was one, else with when that was ordered."""
    monkeypatch.setattr("crawler.frontier.moves._ROWS_AT_ONCE", 1)
    await frontier.add([urls(A, 2)])
    before = time.time()
    (first, second) = await frontier.lease([A], 2)
    await settle(frontier, first, Postponed(error="timeout: 30 s", not_before=0.0))
    await settle(frontier, second, Failed(error="dns: no such name", final_url=second.url))
    for number, error in enumerate(("http: 503", "spider: ValueError")):
        (lease,) = await frontier.lease([A], 1)
        await settle(frontier, lease, Failed(error=error, final_url=lease.url, status=503, fetched_at=10.0 + number))
        assert await frontier.retry() == 2 - number
        tried = ask("SELECT error, at FROM attempt WHERE request = 1 ORDER BY id")
        assert tried[1:] == [("http: 503", 10.0), ("spider: ValueError", 11.0)][: number + 1]
    ((error, at),) = ask("SELECT error, at FROM attempt WHERE request = 2")
    assert error == "dns: no such name"
    assert before <= at <= time.time()
    with StateFile(path) as file:
        tries = trace.trace(file, 1).attempts
    assert [attempt.error for attempt in tries] == ["timeout: 30 s", "http: 503", "spider: ValueError"]
    check_invariants(path)


@pytest.mark.parametrize("least", [0, 1, 3, 5])
async def test_to_try_all_again_can_be_cut_off_and_ordered_again(
    path: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch, least: int
) -> None:
    monkeypatch.setattr("crawler.frontier.moves._ROWS_AT_ONCE", 2)
    frontier = await SqliteFrontier.open(path, spider="test")
    await frontier.add([urls(A, 9)])
    for lease in await frontier.lease([A], 9):
        await frontier.settle(Settlement(lease=lease, outcome=Failed(error=f"http: {lease.id}", final_url=lease.url)))
    await frontier.flush()
    retrying = asyncio.create_task(frontier.retry())
    await until(lambda: len(ask("SELECT request FROM attempt")) >= least)
    retrying.cancel()
    await asyncio.wait([retrying])
    await frontier._file.close()  # as a process does that is killed
    frontier._lock.release()
    check_invariants(path)
    kept = len(ask("SELECT request FROM attempt"))
    frontier = await SqliteFrontier.open(path, spider="test")
    assert await frontier.retry() == 9 - kept
    await frontier.close()
    assert ask("SELECT request, error FROM attempt ORDER BY request") == [(n, f"http: {n}") for n in range(1, 10)]
    check_invariants(path)


async def effort(frontier: SqliteFrontier, order: Coroutine[Any, Any, int]) -> tuple[int, int]:
    """What an order returns, and how many steps of SQLite's machine it takes, in hundreds."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    await frontier.flush()
    await frontier._file._db.set_progress_handler(count, 100)
    return await order, steps


async def test_to_try_all_again_takes_time_by_what_failed(
    frontier: SqliteFrontier, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by its square: what was passed over once is not read again for each chunk."""
    monkeypatch.setattr("crawler.frontier.moves._ROWS_AT_ONCE", 10)
    await frontier.add([urls(A, 1200)])
    efforts = []
    for number in (300, 600):
        for lease in await frontier.lease([A], 2 * number):
            error = "dns: no such name" if lease.id > number else "timeout: 30 s"
            await frontier.settle(Settlement(lease=lease, outcome=Failed(error=error, final_url=lease.url)))
        moved, steps = await effort(frontier, frontier.retry(kinds=["dns"]))
        assert moved == number
        efforts.append(steps)
        assert await frontier.retry() == number
    assert efforts[1] < 2.5 * efforts[0]
    check_invariants(path)


async def test_another_priority_for_one_host_takes_no_time_by_the_others(frontier: SqliteFrontier) -> None:
    await frontier.add([urls(A, 5), urls(B, 5000)])
    moved, steps = await effort(frontier, frontier.reprioritise(host=A, priority=1))
    assert (moved, steps < 50) == (5, True)
    moved, steps = await effort(frontier, frontier.reprioritise(priority=2))
    assert (moved, steps > 500) == (5005, True)


async def test_a_redirected_request_is_tried_again_where_it_failed(frontier: SqliteFrontier) -> None:
    """Begun anew, it would be led to what is known already, and end as its own duplicate."""
    await frontier.add([urls(A, 1)])
    (lease,) = await frontier.lease([A], 1)
    await settle(frontier, lease, Redirected(status=301, url=f"http://{B}/x", method="GET"))
    (lease,) = await frontier.lease([B], 1)
    await settle(frontier, lease, Redirected(status=301, url=f"http://{A}/0", method="GET"))
    (lease,) = await frontier.lease([A], 1)
    await settle(frontier, lease, Failed(error="connect: refused", final_url=lease.url))
    assert await frontier.retry() == 1
    (lease,) = await frontier.lease([A], 1)
    assert (lease.url, lease.redirects) == (f"http://{A}/0", (f"http://{A}/0", f"http://{B}/x"))


async def test_what_was_redirected_somewhere_starts_over(frontier: SqliteFrontier) -> None:
    """To a login page, say, for want of a session: the first request fails there, the others are skipped as its duplicates."""
    await frontier.add([urls(A, 3)])
    for _ in range(2):
        leases = await frontier.lease([A], 3)
        assert [lease.url for lease in leases] == [f"http://{A}/{number}" for number in range(3)]
        for lease in leases:
            await settle(frontier, lease, Redirected(status=302, url=f"http://{B}/login", method="GET"))
        (lease,) = await frontier.lease([B], 3)
        await settle(frontier, lease, Failed(error="spider: no h1", final_url=lease.url))
        assert (frontier.counts.failed, frontier.counts.skipped) == (1, 2)
        assert await frontier.retry(redirected_to=f"http://{B}/other") == 0
        assert await frontier.retry(redirected_to=f"http://{B}/log") == 3
        assert (frontier.counts.failed, frontier.counts.skipped) == (0, 0)


async def test_what_was_skipped_on_a_long_way_starts_over_and_goes_the_same_way(frontier: SqliteFrontier) -> None:
    """Its own stations are known by then: it would end as a duplicate of a page that nobody has fetched."""
    await frontier.add([urls(B, 1), urls(A, 1)])
    (login, lease) = [(await frontier.lease([host], 1))[0] for host in (B, A)]
    await settle(frontier, login, fetched(login))
    for _ in range(3):
        await settle(frontier, lease, Redirected(status=301, url=f"http://{A}/0/", method="GET"))
        (lease,) = await frontier.lease([A], 1)
        assert lease.url == f"http://{A}/0/"
        await settle(frontier, lease, Redirected(status=302, url=login.url, method="GET"))
        assert (frontier.counts.queued, frontier.counts.skipped) == (0, 1)
        assert await frontier.retry(redirected_to=login.url) == 1
        (lease,) = await frontier.lease([A], 1)
        assert (lease.url, lease.redirects) == (f"http://{A}/0", (f"http://{A}/0/",)), "however often"


async def test_what_was_skipped_because_a_login_is_out_of_scope_starts_over(frontier: SqliteFrontier, ask: Ask) -> None:
    await frontier.add([urls(A, 2)])
    frontier.attach(admit=lambda url, *_: None if A in url else Skip.SCOPE, on_queued=lambda *_: None)
    for _ in range(2):
        for lease in await frontier.lease([A], 2):
            await settle(frontier, lease, Redirected(status=302, url=f"http://{B}/login", method="GET"))
        assert ask("SELECT state, skipped FROM links") == [("skipped", "scope")] * 2
        assert await frontier.retry(redirected_to=f"http://{B}/") == 2
        assert frontier.counts.skipped == 0
    told = {(f"scope: redirected (302) to http://{B}/login",)}
    assert set(ask("SELECT error FROM attempt")) == told


async def test_a_redirected_page_that_named_another_as_canonical_is_fetched_when_it_starts_over(
    frontier: SqliteFrontier,
) -> None:
    await frontier.add([urls(B, 1)])
    (login,) = await frontier.lease([B], 1)
    await settle(frontier, login, fetched(login))
    await frontier.add([urls(A, 1)], depth=1)
    for _ in range(2):
        (lease,) = await frontier.lease([A], 1)
        await settle(frontier, lease, Redirected(status=302, url=f"{login.url}?next=0", method="GET"))
        (lease,) = await frontier.lease([B], 1)
        assert lease.url == f"{login.url}?next=0"
        await frontier.settle(Settlement(lease=lease, outcome=fetched(lease), alias=login.url))
        await frontier.flush()
        assert frontier.counts.skipped == 1
        assert await frontier.retry(redirected_to=login.url) == 1


async def test_what_fails_again_and_again_where_it_was_redirected_to_starts_over_as_often(
    frontier: SqliteFrontier,
) -> None:
    """There is a limit on redirects: those of earlier ways must not add up."""
    await frontier.add([urls(A, 1)])
    for _ in range(4):
        (lease,) = await frontier.lease([A], 1)
        assert len(lease.redirects) <= 1
        await settle(frontier, lease, Redirected(status=302, url=f"http://{B}/login", method="GET"))
        (lease,) = await frontier.lease([B], 1)
        await settle(frontier, lease, Failed(error="spider: no h1", final_url=lease.url))
        assert await frontier.retry(redirected_to=lease.url) == 1


async def test_a_redirected_post_is_posted_again_from_where_it_began(frontier: SqliteFrontier) -> None:
    """A redirect may have made a GET of it; asked as that, it would no more be what was wanted. That its way is known
    already does not end it."""
    await frontier.add([Request(f"http://{A}/form", method="POST", body=b"q=1", priority=3)])
    for _ in range(2):
        (lease,) = await frontier.lease([A], 1)
        assert (lease.url, lease.method, lease.body, lease.priority) == (f"http://{A}/form", "POST", b"q=1", 3)
        await settle(frontier, lease, Redirected(status=303, url=f"http://{B}/answer", method="GET"))
        (lease,) = await frontier.lease([B], 1)
        assert (lease.url, lease.method, lease.body, lease.priority) == (f"http://{B}/answer", "GET", None, 3)
        await settle(frontier, lease, Failed(error="connect: refused", final_url=lease.url))
        assert await frontier.retry() == 1


async def test_a_redirected_head_stays_one(frontier: SqliteFrontier) -> None:
    await frontier.add([Request(f"http://{A}/", method="HEAD")])
    (lease,) = await frontier.lease([A], 1)
    await settle(frontier, lease, Redirected(status=301, url=f"http://{B}/", method="HEAD"))
    (lease,) = await frontier.lease([B], 1)
    await settle(frontier, lease, Failed(error="connect: refused", final_url=lease.url))
    assert await frontier.retry() == 1
    (lease,) = await frontier.lease([B], 1)
    assert (lease.url, lease.method) == (f"http://{B}/", "HEAD")


async def test_requests_are_tried_again_with_the_priority_they_were_found_with(frontier: SqliteFrontier) -> None:
    await frontier.add([Links([f"http://{A}/{n}" for n in range(2)]), Links([f"http://{A}/first"], priority=7)])
    for lease in await frontier.lease([A], 3):
        await settle(frontier, lease, Failed(error="timeout: 30 s", final_url=lease.url))
    assert await frontier.retry() == 3
    leases = await frontier.lease([A], 3)
    assert [(lease.url.rpartition("/")[2], lease.priority) for lease in leases] == [("first", 7), ("0", 0), ("1", 0)]


async def test_what_waits_can_be_given_another_priority(frontier: SqliteFrontier) -> None:
    await frontier.add([urls(A, 4), urls(B, 2)])
    assert await frontier.reprioritise(url_like="%/3", priority=5) == 1
    assert await frontier.reprioritise(url_like="%/3", priority=5) == 0
    assert await frontier.reprioritise(host=A, url_like="%/1", priority=-1) == 1
    assert [lease.url[-1] for lease in await frontier.lease([A], 9)] == ["3", "0", "2", "1"]
    assert await frontier.reprioritise(host=HostKey("unknown.example"), priority=1) == 0
    assert await frontier.reprioritise(priority=9) == 2
    assert {lease.priority for lease in await frontier.lease([B], 9)} == {9}


async def test_what_was_noted_is_there_in_the_next_run(path: Path) -> None:
    """Also of a host with no request; the later note counts, field by field."""
    first = await SqliteFrontier.open(path, spider="test")
    assert (dict(first.host_states()), await first.cookies(), await first.robots_of("http://a.example")) == (
        {},
        [],
        None,
    )
    first.note_host(A, pace=0.5, failures=2)
    first.note_host(B, held=10.0)
    first.note_robots("http://a.example", 1.0, b"old")
    first.note_cookies([CookieRow("a.example", "/", name, "{}") for name in ("one", "two")])
    await first.flush()
    first.note_host(A, failures=0, delay=2.0)
    first.note_robots("http://a.example", 2.0, b"\xff\x00new")
    first.note_cookies([CookieRow("a.example", "/", "one", '{"v":1}'), CookieRow("a.example", "/", "two", None)])
    await first.close()

    second = await SqliteFrontier.open(path, spider="test")
    states, robots, cookies = second.host_states(), await second.robots_of("http://a.example"), await second.cookies()
    await second.close()
    assert states == {A: HostState(pace=0.5, failures=0, delay=2.0), B: HostState(held=10.0)}
    assert robots == (2.0, b"\xff\x00new")
    assert cookies == [CookieRow("a.example", "/", "one", '{"v":1}')]


async def test_notes_go_with_the_settlement_they_belong_to(frontier: SqliteFrontier, ask: Ask) -> None:
    await frontier.add([urls(A, 1)])
    (lease,) = await frontier.lease([A], 1)
    frontier.note_host(A, latency=0.25)
    outcome = Fetched(status=200, final_url=lease.url, content_type="", size=1, elapsed=1, fetched_at=1)
    await frontier.settle(Settlement(lease=lease, outcome=outcome))
    assert ask("SELECT (SELECT count(*) FROM host_state), (SELECT count(*) FROM result)") == [(0, 0)]
    await frontier.flush()
    assert ask("SELECT latency, (SELECT count(*) FROM result) FROM host_state") == [(0.25, 1)]


async def test_a_rule_that_raises_loses_nothing_that_was_found_before(
    frontier: SqliteFrontier, path: Path, ask: Ask
) -> None:
    def admit(url: str, *_: object) -> None:
        if url.endswith("/2"):
            raise ValueError(url)

    frontier.attach(admit=admit, on_queued=lambda _host, _not_before: None)
    with pytest.raises(ValueError, match="/2"):
        await frontier.add([urls(A, 5)])
    await frontier.add([urls(B, 1)])
    assert ask("SELECT id, url FROM request") == [(n + 1, f"http://{A}/{n}") for n in range(2)] + [(3, f"http://{B}/0")]
    check_invariants(path)


async def test_requests_of_many_kinds_keep_their_numbers_and_ranks(
    frontier: SqliteFrontier, path: Path, ask: Ask
) -> None:
    """They go to the file in runs; where one kind ends and the next begins nothing is mixed up."""
    attach(frontier, most=4)
    found: list[Request | Links] = [
        Links([f"http://{A}/1", f"http://{B}/1", f"http://{A}/trap", f"http://{A}/2"], priority=2, context={"k": 1}),
        Links([f"http://{A}/1"]),
        Request(f"http://{A}/3", priority=2),
        Request(f"http://{A}/4", method="POST", body=b"x"),
        Links([f"http://{A}/{n}" for n in range(5, 8)], priority=-1),
    ]
    assert await frontier.add(found, depth=3) == 9
    places = ask("SELECT request, rank, 'queue' FROM queue UNION SELECT request, rank, reason FROM aside ORDER BY 1")
    ranks, budget = [-2, -2, -2, -2, -2, 0, 1, 1, 1], ["budget"] * 3
    assert places == list(zip(range(1, 10), ranks, ["queue"] * 2 + ["trap"] + ["queue"] * 3 + budget, strict=True))
    assert ask("SELECT depth, extra FROM request WHERE id IN (1, 4, 5, 7)") == [
        (3, '{"context":{"k":1},"priority":2}'),
        (3, '{"context":{"k":1},"priority":2}'),
        (3, '{"priority":2}'),
        (3, '{"priority":-1}'),
    ]
    assert [lease.url[-1] for lease in await frontier.lease([A], 9)] == ["1", "2", "3", "4"]
    check_invariants(path)
