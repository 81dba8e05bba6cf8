"""The pool of workers: requests that linger give their workers' places to others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from client.limits import HostLimits
from client.origin import HostKey
from crawler.workers import WorkerPool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

STALLED = HostKey("stalled.example")
WELL = HostKey("well.example")


@pytest.fixture(autouse=True)
async def _in_time() -> AsyncIterator[None]:
    async with asyncio.timeout(30):
        yield


def pool_of(size: int, most_lingering: int) -> tuple[WorkerPool, HostLimits]:
    limits = HostLimits(limit=size)
    return WorkerPool(limits, size=size, most_lingering=most_lingering, patience=0.01), limits


async def test_another_worker_is_hired_for_one_that_is_kept_waiting_and_goes_again() -> None:
    pool, limits = pool_of(1, 4)
    todo = [WELL, STALLED]
    is_over = asyncio.Event()
    rooms = []

    async def work() -> None:
        while todo and not pool.is_overstaffed:
            job = pool.begin(todo.pop())
            rooms.append(limits.limit)
            if job.host == STALLED:
                await is_over.wait()
            is_over.set()
            pool.end(job)

    await pool.run(work)
    assert todo == [], "the only worker was with the host that had stalled"
    assert rooms == [1, 2], "the connector's limit grows with the pool"
    assert limits.limit == 1
    assert pool.lingering == 0


async def test_no_more_linger_than_may() -> None:
    pool, limits = pool_of(2, 3)
    begun = 0
    most = 0
    is_over = asyncio.Event()

    async def work() -> None:
        nonlocal begun, most
        while begun < 20 and not pool.is_overstaffed:
            begun += 1
            job = pool.begin(HostKey(f"stalled{begun}.example"))
            most = max(most, pool.lingering)
            if begun == 5:
                asyncio.get_running_loop().call_later(0.5, is_over.set)
            await is_over.wait()
            pool.end(job)
            await asyncio.sleep(0)

    async def watch() -> None:
        await is_over.wait()
        assert begun == 5, "two and three"

    async with asyncio.TaskGroup() as group:
        group.create_task(watch())
        await pool.run(work)
    assert begun == 20
    assert most <= 3
    assert limits.limit == 2


async def test_what_makes_one_crew_hire_makes_none_hire_that_may_not() -> None:
    free, _ = pool_of(1, 1)
    strict, limits = pool_of(1, 0)
    has_lingered = asyncio.Event()
    at_work = most_at_work = 0

    async def work_freely() -> None:
        job = free.begin(STALLED)
        if free.lingering:
            has_lingered.set()
        await has_lingered.wait()
        free.end(job)

    async def work_strictly() -> None:
        nonlocal at_work, most_at_work
        job = strict.begin(STALLED)
        at_work += 1
        most_at_work = max(most_at_work, at_work)
        await has_lingered.wait()
        at_work -= 1
        strict.end(job)

    async with asyncio.TaskGroup() as group:
        group.create_task(strict.run(work_strictly))
        group.create_task(free.run(work_freely))
    assert most_at_work == 1
    assert limits.limit == 1


async def test_a_host_that_kept_someone_waiting_does_so_again_until_it_answers_soon() -> None:
    pool, _ = pool_of(1, 4)
    is_hired = asyncio.Event()
    lingered: list[bool] = []

    async def work() -> None:
        if lingered:
            is_hired.set()
            return
        job = pool.begin(STALLED)
        lingered.append(job.is_lingering)
        await is_hired.wait()
        pool.end(job)
        for _ in range(2):
            again = pool.begin(STALLED)
            lingered.append(again.is_lingering)
            pool.end(again)

    await pool.run(work)
    assert lingered == [False, True, False]


async def test_what_is_usual_is_learned() -> None:
    """Of a web that answers at once, less is put up with than while nothing is known."""
    pool, _ = pool_of(1, 1)
    before = pool.patience

    async def work() -> None:
        for _ in range(200):
            pool.end(pool.begin(WELL))

    await pool.run(work)
    assert pool.patience == 0.01 < before


async def test_when_one_worker_fails_all_go() -> None:
    pool, limits = pool_of(3, 4)
    at_work = 0

    async def work() -> None:
        nonlocal at_work
        pool.begin(WELL)
        at_work += 1
        if at_work == 3:
            raise ValueError("a fault")
        await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup, match="unhandled errors"):
        await pool.run(work)
    assert limits.limit == 3


async def test_a_worker_that_is_cancelled_by_whoever_it_works_for_begins_anew() -> None:
    pool, _ = pool_of(2, 4)
    begun = 0

    async def work() -> None:
        nonlocal begun
        begun += 1
        if begun <= 4:
            worker = asyncio.current_task()
            assert worker
            asyncio.get_running_loop().call_soon(worker.cancel)
            await asyncio.Event().wait()

    await pool.run(work)
    assert begun == 6, "each of the two is through with it"


async def test_a_crew_that_is_cancelled_ends() -> None:
    pool, _ = pool_of(2, 4)
    at_work = 0

    async def work() -> None:
        nonlocal at_work
        pool.begin(STALLED)
        at_work += 1
        if at_work == 3:
            pool.cancel()
        await asyncio.Event().wait()

    await pool.run(work)
    assert at_work == 3, "one was hired on the way"
