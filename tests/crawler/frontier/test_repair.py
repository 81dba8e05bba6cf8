"""A damaged crawl file is named for what it is, and everything that can be read of it is saved."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from contextlib import closing
from itertools import combinations
from pathlib import Path

import pytest

from client.origin import HostKey
from crawler.errors import StateDamaged, StateLocked, StateTooNew, StorageError, UsageError
from crawler.frontier import SqliteFrontier, integrity
from crawler.frontier.repair import repair
from crawler.frontier.salvage import Shape, shapes
from crawler.frontier.statefile import StateFile
from crawler.request import Links
from tests.crawler.frontier.damage import PAGE, Layout, build, go_on, rows, scratch, spoil
from tests.crawler.frontier.test_full_disk import file_size_limit
from tests.crawler.frontier.test_migrations import VERSION_1, VERSION_2, VERSION_4, kept, restore
from tests.proof.crawlfile import check_invariants

REQUESTS = "SELECT id, url, depth, extra FROM request ORDER BY id"
RESULTS = "SELECT request, state, status, final_url, size, redirects, reason, detail FROM result ORDER BY request"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A crawl that was stopped; to be read only."""
    path = tmp_path_factory.mktemp("sound") / "sound.crawl"
    asyncio.run(build(path))
    check_invariants(path)
    return path


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A crawl that was killed, all of it in the log; to be read only."""
    path = tmp_path_factory.mktemp("killed") / "killed.crawl"
    asyncio.run(build(path, dies=True))
    return path


@pytest.fixture
def copy(sound: Path, path: Path) -> Path:
    shutil.copy(sound, path)
    return path


@pytest.mark.parametrize("seed", range(5))
async def test_all_that_lies_on_whole_pages_is_saved(sound: Path, copy: Path, seed: int) -> None:
    """However the damaged pages hung in their trees, and whatever was on them."""
    dice = random.Random(seed)
    layout = Layout(sound)
    lost = set(dice.sample(sorted(layout.kinds), dice.randrange(1, 30)))
    spoil(copy, lost, dice)
    done = repair(copy)
    assert done is not None
    check_invariants(copy)
    for table, sql in (("request", REQUESTS), ("result", RESULTS)):
        gone = layout.on(table, lost)
        saved = {row[0]: row for row in rows(copy, sql)}
        for row in rows(sound, sql):
            assert row[0] in gone or saved[row[0]] == row
    frontier = await go_on(copy)
    assert (frontier.counts.queued, frontier.counts.leased) == (0, 0)
    check_invariants(copy)


@pytest.mark.parametrize("kind", ["sqlite_schema leaf", "request internal", "queue internal", "item overflow"])
def test_a_lost_root_loses_nothing_behind_it(sound: Path, copy: Path, kind: str) -> None:
    """SQLite itself could read none of it."""
    spoil(copy, set(Layout(sound).pages(kind)) or {1}, random.Random(1))
    assert repair(copy) is not None
    check_invariants(copy)
    for sql in (REQUESTS, RESULTS, "SELECT * FROM host", "SELECT * FROM aside", "SELECT * FROM robots"):
        assert rows(copy, sql) == rows(sound, sql)
    queue = "SELECT request FROM queue ORDER BY request"
    assert rows(copy, queue) == rows(sound, queue)


@pytest.mark.parametrize("seed", range(6))
async def test_scratches_anywhere_leave_a_file_that_goes_on(copy: Path, seed: int) -> None:
    """Single bits that flip within rows, in numbers, in JSON, in URLs: what makes no sense is left out. Where nothing tells
    that they have flipped, within the words of an item, all is as before."""
    scratch(copy, random.Random(seed), places=120)
    repair(copy)
    check_invariants(copy)
    await go_on(copy)
    check_invariants(copy)


@pytest.mark.parametrize("part", [0.95, 0.6, 0.1])
async def test_what_is_left_of_a_shortened_file_is_saved(sound: Path, copy: Path, part: float) -> None:
    """Of one that is not even half as long, how long it was is not believed: its lost pages do not count."""
    with copy.open("rb+") as file:
        file.truncate(int(sound.stat().st_size * part))
    with pytest.raises(StateDamaged, match="crawl repair"):
        await SqliteFrontier.open(copy, spider="test")
    done = repair(copy)
    assert done is not None
    assert done.broken_pages or part < 0.5
    assert part > 0.9 or any("requests" in loss for loss in done.lost)
    check_invariants(copy)
    await go_on(copy)


async def test_what_a_killed_crawl_left_in_its_log_is_saved(killed: Path, path: Path) -> None:
    """The log counts up to its last whole commit, as for SQLite; what was leased waits again."""
    with closing(sqlite3.connect(killed, isolation_level=None)) as db:
        tables = ("request", "result", "item", "host", "attempt")
        before = {table: db.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("PRAGMA writable_schema = ON")
        db.execute("DELETE FROM sqlite_schema WHERE name IN ('request', 'result', 'host')")
        for suffix in ("", "-wal"):
            shutil.copy(f"{killed}{suffix}", f"{path}{suffix}")
    log = Path(f"{path}-wal").read_bytes()
    assert len(log) > 100 * PAGE
    done = repair(path)
    assert done is not None
    assert {table: rows(path, f"SELECT * FROM {table}") for table in tables} == before
    assert rows(path, "SELECT leased FROM count") == [(0,)]
    assert Path(f"{done.damaged}-wal").read_bytes() == log
    check_invariants(path)
    await go_on(path)


def test_priorities_retries_and_what_was_found_on_the_way_are_kept(sound: Path, copy: Path) -> None:
    spoil(copy, {1}, random.Random(1))
    assert repair(copy) is not None
    names = "JOIN host ON host.id = queue.host JOIN request ON request.id = queue.request"
    for sql in (
        f"SELECT name, rank, url, not_before, attempts, hop FROM queue {names} ORDER BY url",
        "SELECT * FROM attempt",
        "SELECT * FROM export",
        "SELECT * FROM item",
        "SELECT * FROM response",
        "SELECT * FROM body ORDER BY digest",
        "SELECT * FROM pack",
        "SELECT * FROM meta",
        "SELECT * FROM run",
        "SELECT found_on FROM request ORDER BY id",
    ):
        assert rows(copy, sql) == rows(sound, sql)


def test_exports_go_on_behind_the_items_that_are_left(sound: Path, copy: Path) -> None:
    """The output holds what the file has lost; the cursor counts those before it that are left."""
    layout = Layout(sound)
    lost = set(layout.pages("item leaf")[:5])
    gone = layout.on("item", lost)
    spoil(copy, lost, random.Random(2))
    done = repair(copy)
    assert done is not None
    assert any("items" in loss for loss in done.lost)
    ((item, size),) = rows(copy, "SELECT json_extract(cursor, '$.item'), json_extract(cursor, '$.bytes') FROM export")
    assert (item, size) == (40 - len([number for number in gone if number <= 40]), 1234)
    left = [data for number, data in rows(sound, "SELECT id, data FROM item ORDER BY id") if number not in gone]
    assert [data for (data,) in rows(copy, "SELECT data FROM item ORDER BY id")] == left


def test_a_page_that_brought_items_is_not_fetched_again(sound: Path, copy: Path) -> None:
    """Its result is lost; but it is committed together with its items, which are there."""
    spoil(copy, set(Layout(sound).pages("result leaf")), random.Random(3))
    assert repair(copy) is not None
    done = "SELECT DISTINCT request FROM item ORDER BY request"
    assert rows(copy, "SELECT request FROM result WHERE state = 'done' ORDER BY request") == rows(sound, done)
    check_invariants(copy)


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_file_of_the_first_version_is_brought_up_to_date(path: Path, seed: int) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(VERSION_1)
    before = rows(path, REQUESTS)
    spoil(path, set(Layout(path).pages("sqlite_schema leaf", "result leaf")), random.Random(seed))
    assert repair(path) is not None
    assert rows(path, REQUESTS) == before
    check_invariants(path)
    with closing(sqlite3.connect(path)) as db:
        assert not list(integrity.faults(db))


def test_bodies_of_an_older_version_are_saved(path: Path) -> None:
    before = kept(restore(path, VERSION_2))
    spoil(path, {1}, random.Random(1))
    assert repair(path) is not None
    assert kept(path) == before
    check_invariants(path)


def test_what_an_older_version_had_leased_is_saved(path: Path) -> None:
    restore(path, VERSION_4)
    leased = rows(path, "SELECT host, rank, request, hop FROM lease ORDER BY request")
    assert any(hop for *_, hop in leased)
    spoil(path, {1}, random.Random(1))
    assert repair(path) is not None
    queued = rows(path, "SELECT host, rank, request, hop FROM queue ORDER BY request")
    assert [row for row in queued if row in leased] == leased
    check_invariants(path)


def test_a_sound_file_is_left_as_it_is(copy: Path) -> None:
    before = copy.read_bytes()
    assert repair(copy) is None
    assert copy.read_bytes() == before
    assert [entry.name for entry in copy.parent.iterdir() if "shm" not in entry.name and "wal" not in entry.name] == [
        copy.name
    ]


def test_the_damaged_file_is_kept_each_time(copy: Path) -> None:
    for name in ("test.crawl.damaged", "test.crawl.damaged-1"):
        spoil(copy, {2, 3, 4}, random.Random(name))
        before = copy.read_bytes()
        done = repair(copy)
        assert done is not None
        assert done.damaged.name == name
        assert done.damaged.read_bytes() == before
        StateFile(copy).__exit__(None, None, None)


async def test_a_file_that_is_crawled_with_is_refused(path: Path) -> None:
    frontier = await SqliteFrontier.open(path, spider="test")
    with pytest.raises(StateLocked, match="another process"):
        repair(path)
    await frontier.close()


def test_what_is_no_crawl_is_refused_and_left_alone(path: Path) -> None:
    with pytest.raises(UsageError, match="no crawl file"):
        repair(path)
    path.write_bytes(b"Dear diary, today I crawled nothing.\n" * 1000)
    before = path.read_bytes()
    with pytest.raises(StateDamaged, match="nothing of a crawl"):
        repair(path)
    assert (path.read_bytes(), len(list(path.parent.iterdir()))) == (before, 1)


def test_a_full_disk_leaves_all_as_it_was(copy: Path) -> None:
    spoil(copy, {1}, random.Random(1))
    before = copy.read_bytes()
    with file_size_limit(100_000), pytest.raises(StorageError, match="make room"):
        repair(copy)
    assert (copy.read_bytes(), list(copy.parent.iterdir())) == (before, [copy])


def test_a_newer_file_is_refused(copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as db:
        db.execute("PRAGMA user_version = 99")
    spoil(copy, {3}, random.Random(1))
    with pytest.raises(StateTooNew, match="99"):
        repair(copy)


async def test_damage_is_named_when_a_crawl_opens_its_file(sound: Path, copy: Path) -> None:
    spoil(copy, set(Layout(sound).pages("request leaf")[3:4]), random.Random(1))
    with pytest.raises(StateDamaged, match=r"test\.crawl is .*damaged.*crawl repair .*test\.crawl"):
        await SqliteFrontier.open(copy, spider="test")
    repair(copy)
    await (await SqliteFrontier.open(copy, spider="test")).close()


async def test_damage_that_turns_up_later_is_named_as_well(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large file is not looked through when it is opened."""
    monkeypatch.setattr(integrity, "_CHECKED_WHOLE_BYTES", 0)
    frontier = await SqliteFrontier.open(path, spider="test")
    await frontier.add([Links([f"https://www.site-1.example/{number}" for number in range(1000)])])
    await frontier.close()
    spoil(path, set(Layout(path).pages("queue leaf")), random.Random(1))
    frontier = await SqliteFrontier.open(path, spider="test")
    with pytest.raises(StateDamaged, match="crawl repair"):
        await frontier.lease([HostKey("www.site-1.example")], 10)
    await frontier.close()


def test_no_two_tables_have_one_shape() -> None:
    """Rows are told apart by their shapes; only outputs and what the crawl is look alike, and differ in what they hold."""

    def overlap(one: Shape, other: Shape) -> bool:
        if one.has_rowid != other.has_rowid or max(one.least, other.least) > min(len(one.kinds), len(other.kinds)):
            return False
        return all(set(here) & set(there) for here, there in zip(one.kinds, other.kinds, strict=False))

    alike = {frozenset((one.table, other.table)) for one, other in combinations(shapes(), 2) if overlap(one, other)}
    assert alike == {frozenset(("meta", "export"))}


async def test_links_found_on_a_page_whose_url_is_lost_are_judged_without_it(path: Path) -> None:
    frontier = await SqliteFrontier.open(path, spider="test")
    await frontier.add([Links(["http://h.example/", "http://h.example/1"])])
    await frontier.close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE request SET url = 'lost:1' WHERE id = 1")
        db.execute("""INSERT INTO offered VALUES (1, 1, 1, 0, NULL, '["http://h.example/2"]')""")
        db.execute("""INSERT INTO offered VALUES (2, 1, 2, 0, NULL, '["http://h.example/3"]')""")
    judged: list[tuple[str, str | None]] = []

    def admit(url: str, _depth: int, page: str | None, _is_alone: bool) -> None:
        judged.append((url, page))

    frontier = await SqliteFrontier.open(path, spider="test")
    frontier.attach(admit=admit, on_queued=lambda *_: None)
    await frontier.decide()
    await frontier.close()
    assert judged == [("http://h.example/2", None), ("http://h.example/3", "http://h.example/1")]
