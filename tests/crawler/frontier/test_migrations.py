"""A crawl file of an earlier version is brought up to date, or left as it was."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from client.origin import HostKey
from crawler.errors import StorageError
from crawler.frontier import Counts, Settlement, SqliteFrontier
from crawler.frontier.integrity import faults
from crawler.frontier.kept import kept_pages
from crawler.frontier.migrations import VERSION, script
from crawler.frontier.statefile import StateFile
from crawler.outcome import Fetched
from crawler.reports.why import why
from crawler.request import Links, Request
from crawler.store import Kept
from tests.proof.crawlfile import check_invariants

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[[str], list[tuple[Any, ...]]]

VERSION_1 = (Path(__file__).parent / "version1.sql").read_text(encoding="utf-8")
"""What `sqlite3`'s `.dump` makes of a file of version 1 whose process was killed: with requests that are queued (put off,
redirected, on three hosts), leased, done, failed (once after a redirect) and skipped."""

VERSION_2 = (Path(__file__).parent / "version2.sql").read_text(encoding="utf-8")
"""The same of version 2: four pages are done and kept, with three bodies, one of them empty."""

VERSION_3 = (Path(__file__).parent / "version3.sql").read_text(encoding="utf-8")
"""The same of version 3, with two parts of a seen-set of its form: requests that are queued (redirected, on three hosts) and done."""

VERSION_4 = (Path(__file__).parent / "version4.sql").read_text(encoding="utf-8")
"""The same of version 4: requests that are queued (put off), leased (one redirected, one with a priority), and done, two of them kept."""

STEPS = [
    (dump, version, "".join(f"{one};" for one in steps[:number]))
    for dump, version in ((VERSION_1, 1), (VERSION_2, 2), (VERSION_3, 3), (VERSION_4, 4))
    for steps in [[one for one in script(f"version{version + 1}.sql").split(";") if one.strip()]]
    for number in range(len(steps) + 1)
]
"""What was done of a migration when it was cut off."""

HOST = HostKey("h.example")


def restore(path: Path, dump: str) -> Path:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(dump)
    return path


@pytest.fixture
def old(path: Path) -> Path:
    return restore(path, VERSION_1)


async def test_an_old_file_keeps_everything_and_goes_on(old: Path, ask: Ask) -> None:
    tables = ("request", "result", "item", "attempt", "export", "meta")
    before = {table: ask(f"SELECT * FROM {table}") for table in tables}
    frontier = await SqliteFrontier.open(old, spider="test")
    assert {table: ask(f"SELECT * FROM {table}") for table in tables} == before
    assert ask("PRAGMA user_version") == [(VERSION,)]
    assert ask("SELECT name, admitted FROM host") == [(HOST, 9), ("other.example", 1), ("new.example", 0)]
    assert frontier.counts == Counts(queued=6, done=1, failed=2, skipped=2, items=2, bytes=10, hosts=3)
    assert await frontier.hosts() == [(HOST, 0.0), ("other.example", 0.0), ("new.example", 0.0)]

    leases = await frontier.lease([HOST], 10)
    assert [lease.url for lease in leases] == [f"http://h.example/{name}" for name in ("form", "6", "child")]
    assert (leases[0].method, leases[0].body, leases[0].context, leases[0].priority) == ("POST", b"\0x", {"k": 1}, 2)
    known = [*(f"http://h.example/{n}" for n in range(1, 7)), "http://h.example/five", "http://new.example/"]
    for lease in leases:
        outcome = Fetched(status=200, final_url=lease.url, content_type="", size=1, elapsed=1, fetched_at=1)
        await frontier.settle(Settlement(lease=lease, outcome=outcome, items=["{}"], found=[Links(known)]))
    await frontier.flush()
    assert frontier.counts == Counts(queued=3, done=4, failed=2, skipped=2, items=5, bytes=13, hosts=3)
    assert await frontier.retry() == 2
    await frontier.close()
    assert ask("SELECT id FROM item") == [(n,) for n in range(1, 6)]


def schema(db: sqlite3.Connection) -> dict[str, str]:
    """The statements that made a database, comments and spacing left out."""
    rows = db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    bare = {name: re.sub(r"--.*", "", sql) for name, sql in rows}
    return {name: re.sub(r"\s+", " ", sql) for name, sql in bare.items()}


@pytest.mark.parametrize("dump", [VERSION_1, VERSION_2, VERSION_3, VERSION_4], ids=["1", "2", "3", "4"])
async def test_a_migrated_file_has_the_schema_of_a_new_one(path: Path, dump: str) -> None:
    old = restore(path, dump)
    await (await SqliteFrontier.open(old, spider="test")).close()
    with closing(sqlite3.connect(old)) as migrated, closing(sqlite3.connect(":memory:")) as new:
        new.executescript(script("schema.sql"))
        assert schema(migrated).keys() == schema(new).keys()
        for name, sql in schema(new).items():
            if sql.startswith("CREATE TABLE"):  # of which added columns are written otherwise
                columns = f"PRAGMA table_info({name})"
                assert migrated.execute(columns).fetchall() == new.execute(columns).fetchall()
            else:
                assert schema(migrated)[name] == sql


@pytest.mark.parametrize(("dump", "version", "done"), STEPS)
async def test_a_migration_cut_off_leaves_the_file_as_it_was(
    path: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch, dump: str, version: int, done: str
) -> None:
    """Whatever was done of it; and the next start does all of it."""
    old = restore(path, dump)
    cut = f"{done}SELECT no_such_function();"
    with closing(sqlite3.connect(old)) as db:
        before = list(db.iterdump())
    with monkeypatch.context() as patch:
        patch.setattr("crawler.frontier.migrations.script", lambda _name: cut)
        with pytest.raises(StorageError, match="no_such_function"):
            await SqliteFrontier.open(old, spider="test")
    assert ask("PRAGMA user_version") == [(version,)]
    with closing(sqlite3.connect(old)) as db:
        assert list(db.iterdump()) == before
    await (await SqliteFrontier.open(old, spider="test")).close()
    assert ask("PRAGMA user_version") == [(VERSION,)]


async def test_what_an_old_file_has_seen_is_not_taken_in_again(path: Path, ask: Ask) -> None:
    frontier = await SqliteFrontier.open(restore(path, VERSION_3), spider="test")
    known = [*(f"http://h.example/{n}" for n in (0, 1, 2, 3, 5)), "http://other.example/", "http://new.example/"]
    form = Request("http://h.example/form", method="POST", body=b"x")
    assert await frontier.add([Links(known), form, Request("http://h.example/form")]) == 1
    await frontier.close()
    assert ask("SELECT url FROM request WHERE id > 7") == [("http://h.example/form",)]


async def test_what_an_old_file_had_leased_waits_as_it_stood(path: Path, ask: Ask) -> None:
    restore(path, VERSION_4)
    with StateFile(path) as file:
        (moved,) = why(file, "http://h.example/0").requests
    assert (moved.state, moved.now_at, moved.redirects) == ("queued", "http://new.example/", ["http://h.example/0"])
    frontier = await SqliteFrontier.open(path, spider="test")
    assert (frontier.counts.queued, frontier.counts.leased) == (9, 0)
    (moved_lease,) = await frontier.lease([HostKey("new.example")], 5)
    assert (moved_lease.url, moved_lease.redirects) == ("http://new.example/", ("http://h.example/0",))
    (urgent,) = await frontier.lease([HostKey("other.example")], 5)
    assert urgent.priority == 2
    assert len(await frontier.lease([HOST], 10)) == 6, "one is not due"
    await frontier.close()
    assert ask("SELECT queued, leased FROM count") == [(9, 0)]
    check_invariants(path)


def test_an_old_file_can_be_looked_into_as_it_is(old: Path, ask: Ask) -> None:
    with StateFile(old) as file:
        status = file.status()
        assert (status.urls.queued, status.urls.leased, status.urls.aside, status.items) == (6, 0, 0, 2)
        assert len(list(file.rows("links"))) == 11
    assert ask("PRAGMA user_version") == [(1,)]


BODIES = {"http://h.example/0": b"<p>first</p>" * 30, "http://h.example/2": b"<p>3</p>" * 30, "http://h.example/3": b""}


def kept(path: Path) -> dict[str, bytes]:
    with StateFile(path) as file:
        return {lease.requested_url: page.body for lease, page in kept_pages(file)}


async def test_bodies_of_an_old_file_stay_where_they_are_and_new_ones_join_them(path: Path, ask: Ask) -> None:
    restore(path, VERSION_2)
    before = {**BODIES, "http://h.example/1": BODIES["http://h.example/0"]}
    assert kept(path) == before
    assert ask("PRAGMA user_version") == [(2,)]
    rows = ask("SELECT digest, data FROM body ORDER BY digest")
    frontier = await SqliteFrontier.open(path, spider="test")
    assert ask("SELECT digest, data FROM body ORDER BY digest") == rows
    leases = await frontier.lease([HOST], 10)
    for lease in leases:
        outcome = Fetched(status=200, final_url=lease.url, content_type="", size=1, elapsed=1, fetched_at=1)
        body = Kept("[]", lease.url.encode(), f"{lease.id:016x}")
        await frontier.settle(Settlement(lease=lease, outcome=outcome, kept=body))
    await frontier.close()
    assert kept(path) == {**before, **{lease.url: lease.url.encode() for lease in leases}}
    assert ask("SELECT count(*), count(pack), (SELECT count(*) FROM pack) FROM body") == [(5, 2, 1)]
    with closing(sqlite3.connect(path)) as db:
        assert not list(faults(db))
