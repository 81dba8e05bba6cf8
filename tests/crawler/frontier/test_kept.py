"""Bodies are kept, together with what became of their pages, and read back; what of them is damaged is named."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from client.origin import HostKey
from crawler.errors import StateDamaged, StorageError
from crawler.frontier import Settlement, SqliteFrontier
from crawler.frontier.integrity import faults
from crawler.frontier.kept import kept_pages
from crawler.frontier.repair import repair
from crawler.frontier.statefile import StateFile
from crawler.headers import headers_to_json
from crawler.outcome import Fetched
from crawler.request import Links
from crawler.selection.traps import digest_of
from crawler.store import PACK_BYTES, Keeper
from tests.crawler.frontier.test_full_disk import file_size_limit
from tests.crawler.frontier.test_migrations import kept
from tests.proof.crawlfile import check_invariants

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Ask = Callable[[str], list[tuple[Any, ...]]]

HOST = HostKey("h.example")


def url(number: int) -> str:
    return f"http://{HOST}/{number}"


def page(number: int) -> bytes:
    return f"<title>{number}</title>".encode() + b"<p>the same on each</p>" * 100


async def put(
    frontier: SqliteFrontier, bodies: Sequence[bytes], keeper: Keeper | None = None, headers: str = '[["A","b"]]'
) -> list[str]:
    """Settle as many pages as there are bodies, and commit; their URLs."""
    keeper = keeper or Keeper()
    await frontier.add([Links([url(frontier.intake.next_request + number) for number in range(len(bodies))])])
    leases = await frontier.lease([HOST], len(bodies))
    for lease, body in zip(leases, bodies, strict=True):
        outcome = Fetched(status=200, final_url=lease.url, content_type="", size=len(body), elapsed=0.1, fetched_at=1.0)
        kept = keeper.keep(headers, body, digest_of(body))
        await frontier.settle(Settlement(lease=lease, outcome=outcome, kept=kept))
    await frontier.flush()
    return [lease.url for lease in leases]


async def make(path: Path, *commits: Sequence[bytes]) -> dict[str, bytes]:
    """A crawl that kept bodies, at rest; those by URL."""
    made, keeper = dict[str, bytes](), Keeper()
    frontier = await SqliteFrontier.open(path, spider="test")
    for bodies in commits:
        made.update(zip(await put(frontier, bodies, keeper), bodies, strict=True))
    await frontier.close()
    return made


def spoil(path: Path, sql: str, *parameters: Any) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(sql, parameters)
        db.commit()


async def test_bodies_of_all_sizes_come_back(path: Path, ask: Ask) -> None:
    """Small ones share packs, large ones lie alone; there may be nothing in one, or nothing to compress."""
    bodies = [b"", b"x", os.urandom(32 << 20), *map(page, range(100)), bytes(32 << 20), os.urandom(PACK_BYTES - 1)]
    made = await make(path, bodies, [b"alone"], [page(number) for number in range(100, 200)])
    assert kept(path) == made
    assert ask("SELECT count(*) FROM body WHERE pack IS NULL") == [(4,)]
    assert ask("SELECT max(size) <= 524288 FROM pack") == [(1,)]
    with closing(sqlite3.connect(path)) as db:
        assert not list(faults(db))
    check_invariants(path)


async def test_large_bodies_of_one_commit_may_be_more_than_a_statement_takes(path: Path) -> None:
    """SQLite's limit for a value, 1 GB, is made small here."""
    bodies = [os.urandom(3 << 20) for _ in range(4)] + [page(number) for number in range(10)]
    frontier = await SqliteFrontier.open(path, spider="test")
    await frontier._file._db._execute(lambda: frontier._file._db._conn.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 4 << 20))  # type: ignore[no-untyped-call]
    made = dict(zip(await put(frontier, bodies), bodies, strict=True))
    await frontier.close()
    assert kept(path) == made


async def test_a_body_is_kept_twice_at_most_in_a_run(path: Path, ask: Ask) -> None:
    """However many pages have it: when it comes again it is stored under its SHA-256, and from then on that is looked for."""
    one, two, three = map(page, range(1, 4))
    made = await make(path, [one, two, one, one], [two, three], [three, one, two])
    assert kept(path) == made
    assert len(made) == 9
    assert ask("SELECT count(*), count(*) FILTER (WHERE length(digest) = 32) FROM body") == [(6, 3)]
    made |= await make(path, [one], [one], [one, three])
    assert kept(path) == made
    assert ask("SELECT count(*), count(*) FILTER (WHERE length(digest) = 32) FROM body") == [(8, 3)]
    check_invariants(path)


async def test_bodies_lie_in_their_packs_in_the_order_in_which_they_came(path: Path, ask: Ask) -> None:
    await make(path, [page(1), page(2)], [page(3), page(4), page(2)])
    assert ask("SELECT pack, start FROM body WHERE pack IS NOT NULL ORDER BY pack, start") == [
        (1, 0), (1, len(page(1))), (2, 0), (2, len(page(3))), (2, len(page(3) + page(4)))
    ]  # fmt: skip


async def test_a_page_and_its_body_are_committed_together(path: Path, ask: Ask) -> None:
    """A disk that is full leaves neither; with room there are both."""
    before = await make(path, [page(1), page(2)])
    frontier = await SqliteFrontier.open(path, spider="test")
    with file_size_limit(16 * 1024), pytest.raises(StorageError, match="make room"):
        await put(frontier, [os.urandom(50_000), os.urandom(50_000)])
    await frontier.close()
    assert kept(path) == before
    assert ask("SELECT (SELECT count(*) FROM body), (SELECT count(*) FROM pack)") == [(2, 1)]
    check_invariants(path)


DAMAGES = {
    "cut off": ("UPDATE pack SET data = substr(data, 1, 30) WHERE id = 1", ""),
    "overwritten": ("UPDATE pack SET data = randomblob(length(data)) WHERE id = 1", ""),
    "a number": ("UPDATE pack SET data = 7 WHERE id = 1", ""),
    "a text": ("UPDATE pack SET data = 'x' WHERE id = 1", ""),
    "gone": ("DELETE FROM pack WHERE id = 1", "it is gone"),
    "another": ("UPDATE pack SET data = (SELECT data FROM pack WHERE id = 3) WHERE id = 1", "it is too short"),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_pack_is_named_with_all_that_it_held(path: Path, damage: str) -> None:
    """And `crawl repair` leaves what can be read."""
    sql, why = DAMAGES[damage]
    made = await make(path, [page(n) for n in range(3)], [page(n) for n in range(3, 9)], [b"x", b"y"])
    spoil(path, sql)
    with StateFile(path) as file:
        pages = kept_pages(file)
        with pytest.raises(StateDamaged, match=rf"body of .* is lost, with all 3 .* in pack 1: .*{why}.*crawl repair"):
            list(pages)
    done = repair(path)
    assert done is not None
    assert "3 of 11 kept pages" in done.lost
    assert done.saved["response"] == 8
    assert kept(path) == dict(list(made.items())[3:])
    check_invariants(path)


@pytest.mark.parametrize("data", ["substr(data, 1, 20)", "7", "'x'"])
async def test_a_damaged_body_that_lies_alone_is_named(path: Path, data: str) -> None:
    await make(path, [page(1)], [page(2), page(3)])
    spoil(path, f"UPDATE body SET data = {data} WHERE pack IS NULL")
    with StateFile(path) as file, pytest.raises(StateDamaged, match=r"the body of http://h\.example/1 is lost"):
        list(kept_pages(file))
    done = repair(path)
    assert done is not None
    assert done.faults == ["a kept body is damaged"]
    assert list(kept(path)) == [url(2), url(3)]


@pytest.mark.parametrize(
    ("change", "why", "left"),
    [("start = start + 1", "it is too short", 1), ("start = 'x'", "not supported", 0), ("size = x'00'", "operand", 0)],
)
async def test_a_place_that_cannot_be_is_a_fault(path: Path, change: str, why: str, left: int) -> None:
    await make(path, [page(1), page(2)])
    spoil(path, f"UPDATE body SET {change}")
    with closing(sqlite3.connect(path)) as db:
        assert list(faults(db)) == ["a body lies outside its pack"]
    with StateFile(path) as file, pytest.raises(StateDamaged, match=why):
        list(kept_pages(file))
    assert repair(path) is not None
    assert list(kept(path)) == [url(1)][:left]


async def test_headers_are_kept_letter_by_letter(frontier: SqliteFrontier, ask: Ask) -> None:
    """They go to SQLite as JSON within JSON, and come out of it as a text."""
    values = [
        "",
        '"quoted"',
        "back\\slash/",
        "ü\u2028😀",
        "".join(map(chr, range(32))),
        "\x7f",
        "1e400",
        "null",
        "{}[],:",
    ]
    for pairs in ([], [(value, value) for value in values]):
        headers = headers_to_json(CIMultiDictProxy(CIMultiDict(pairs)))
        (asked,) = await put(frontier, [b"a page"], headers=headers)
        assert ask(f"SELECT headers FROM response JOIN request ON id = request WHERE url = '{asked}'") == [(headers,)]


@pytest.mark.parametrize("headers", ["nope", "[]]", "3", "x'ff'"])
async def test_what_is_told_of_a_page_may_be_damaged_too(tmp_path: Path, headers: str) -> None:
    path = tmp_path / "s.crawl"
    frontier = await SqliteFrontier.open(path, spider="test")
    await put(frontier, [page(1)])
    await frontier.close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE response SET headers = ?", (headers,))
    with StateFile(path) as file, pytest.raises(StateDamaged, match="or a damaged one"):
        list(kept_pages(file))
