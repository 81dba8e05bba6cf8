"""A disk that takes no more: whatever was being written, the crawl ends with one error, and the file is as it was before."""

from __future__ import annotations

import os
import resource
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from client.origin import HostKey
from crawler.errors import StorageError
from crawler.frontier import CookieRow, Settlement, SqliteFrontier
from crawler.frontier.backup import back_up
from crawler.frontier.statefile import StateFile
from crawler.outcome import Aside, Failed, Fetched, SetAside
from crawler.request import Links
from crawler.store import Kept
from tests.proof.crawlfile import check_invariants

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from crawler.frontier import Lease

    Ask = Callable[[str], list[tuple[Any, ...]]]
    Work = Callable[[SqliteFrontier, Lease], Awaitable[object]]

HOST = HostKey("h.example")
REQUESTS = 6000
ROOM = 16 * 1024
"""For three pages of the file."""


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes: what a full disk feels like."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def fetched(lease: Lease) -> Fetched:
    return Fetched(status=200, final_url=lease.url, content_type="", size=1, elapsed=0.5, fetched_at=time.time())


@pytest.fixture
async def crawl(path: Path) -> Path:
    """A crawl file at rest: a third of its requests waits, a third failed, a third stands aside."""
    frontier = await SqliteFrontier.open(path, spider="test")
    await frontier.add([Links([f"http://{HOST}/{n}" for n in range(REQUESTS)])])
    for lease in await frontier.lease([HOST], REQUESTS * 2 // 3):
        is_odd = lease.id % 2
        outcome = Failed(error="dns: no", final_url=lease.url) if is_odd else SetAside(Aside.TRAP, "again and again")
        await frontier.settle(Settlement(lease=lease, outcome=outcome))
    await frontier.close()
    return path


async def settle(frontier: SqliteFrontier, settlement: Settlement) -> None:
    await frontier.settle(settlement)
    await frontier.flush()


async def put_bodies(frontier: SqliteFrontier, lease: Lease) -> None:
    await settle(
        frontier,
        Settlement(lease=lease, outcome=fetched(lease), kept=Kept("[]", os.urandom(100_000), f"{lease.id:016x}")),
    )


async def put_items(frontier: SqliteFrontier, lease: Lease) -> None:
    await settle(frontier, Settlement(lease=lease, outcome=fetched(lease), items=['"' + "x" * 100_000 + '"']))


async def put_links(frontier: SqliteFrontier, lease: Lease) -> None:
    found = Links([f"http://{HOST}/new/{n}" for n in range(1000)])
    await settle(frontier, Settlement(lease=lease, outcome=fetched(lease), found=[found]))


async def put_robots(frontier: SqliteFrontier, _lease: Lease) -> None:
    frontier.note_robots("http://h.example", 1.0, b"#" * 100_000)
    await frontier.flush()


async def put_cookies(frontier: SqliteFrontier, _lease: Lease) -> None:
    frontier.note_cookies(CookieRow("h.example", "/", f"name{n}", "{}") for n in range(3000))
    await frontier.flush()


async def put_host_states(frontier: SqliteFrontier, _lease: Lease) -> None:
    for number in range(2000):
        frontier.note_host(HostKey(f"{number}.example"), pace=1.0)
    await frontier.flush()


WRITES: dict[str, Work] = {
    "seeds": lambda frontier, _: frontier.add([Links([f"http://{HOST}/new/{n}" for n in range(1000)])]),
    "links": put_links,
    "items": put_items,
    "bodies": put_bodies,
    "robots.txt": put_robots,
    "cookies": put_cookies,
    "states of hosts": put_host_states,
    "setting aside": lambda frontier, _: frontier.set_aside(HOST, Aside.HOST),
    "releasing": lambda frontier, _: frontier.release(),
    "retrying": lambda frontier, _: frontier.retry(),
    "reprioritising": lambda frontier, _: frontier.reprioritise(priority=1),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
async def test_nothing_is_lost_and_the_same_can_be_done_with_room(crawl: Path, ask: Ask, write: Work) -> None:
    frontier = await SqliteFrontier.open(crawl, spider="test")
    try:
        (lease,) = await frontier.lease([HOST], 1)
        places = "SELECT queued + leased, done, failed, skipped, aside, items FROM count"
        before = ask(places)
        with file_size_limit(ROOM):
            with pytest.raises(StorageError, match="What was committed is safe; make room"):
                await write(frontier, lease)
            with pytest.raises(StorageError):
                await frontier.settle(Settlement(lease=lease, outcome=fetched(lease)))
    finally:
        await frontier.close()
    check_invariants(crawl)
    assert ask(places) == before

    frontier = await SqliteFrontier.open(crawl, spider="test")
    try:
        (lease,) = await frontier.lease([HOST], 1)
        await write(frontier, lease)
    finally:
        await frontier.close()
    check_invariants(crawl)


async def test_a_crawl_at_rest_can_be_looked_into_and_copied_though_its_disk_is_full(
    crawl: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is when somebody wants to: SQLite has no room for the files that it makes beside it. A copy goes elsewhere."""
    crawl.with_name(f"{crawl.name}-wal").touch()  # as is left behind by who failed before
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "copy.crawl"
    with file_size_limit(0), StateFile(crawl) as file:
        assert file.status().urls.queued == REQUESTS // 3
        uri = file.uri
    assert "immutable" in uri
    monkeypatch.setattr(StateFile, "_mode", lambda _: "mode=ro&immutable=1")  # the limit would be one of the copy, too
    back_up(crawl, elsewhere)
    check_invariants(elsewhere)


async def test_a_disk_that_is_full_when_the_crawl_opens_or_closes(crawl: Path, ask: Ask) -> None:
    with file_size_limit(0), pytest.raises(StorageError, match="make room"):
        await SqliteFrontier.open(crawl, spider="test")
    frontier = await SqliteFrontier.open(crawl, spider="test")
    await frontier.lease([HOST], REQUESTS)
    size = crawl.with_name(f"{crawl.name}-wal").stat().st_size
    with file_size_limit(size), pytest.raises(StorageError, match="make room"):
        await frontier.close("interrupted")
    assert ask("SELECT queued, leased FROM count") == [(REQUESTS // 3, 0)]
    await (await SqliteFrontier.open(crawl, spider="test")).close("finished")
    assert ask("SELECT queued, leased FROM count") == [(REQUESTS // 3, 0)]
    assert ask("SELECT why FROM run ORDER BY id") == [("interrupted",), ("killed",), ("finished",)]
    check_invariants(crawl)


@pytest.mark.parametrize("room", [0, ROOM])
def test_a_backup_that_finds_no_room_leaves_nothing(
    room: int, crawl: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with file_size_limit(room), pytest.raises(StorageError, match="cannot write"):
        back_up(crawl, elsewhere / "copy.crawl")
    assert not list(elsewhere.iterdir())
