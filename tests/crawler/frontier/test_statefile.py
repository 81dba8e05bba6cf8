"""A crawl file is open to its owner: readable at any time, by nobody changed who only looks."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from crawler.errors import StateDamaged, StateError, StateTooNew, UsageError
from crawler.frontier import SqliteFrontier
from crawler.frontier.backup import back_up
from crawler.frontier.inbox import answer_to, give
from crawler.frontier.lock import CrawlLock
from crawler.frontier.migrations import APPLICATION_ID, VERSION, script
from crawler.frontier.repair import repair
from crawler.frontier.statefile import StateFile
from crawler.frontier.trace import trace
from crawler.orders import Hold
from crawler.reports.pace_table import kept_paces
from crawler.reports.why import why

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS = """
INSERT INTO meta VALUES ('spider', 'quotes');
INSERT INTO run VALUES (1, 1000.0, 1010.0, 1012.5, 'interrupted');
INSERT INTO run VALUES (2, 2000.0, 2004.0, NULL, NULL);
INSERT INTO host VALUES (1, 'quotes.example', 3);
INSERT INTO request VALUES (1, 1, 'http://quotes.example/', 0, NULL, NULL), (2, 1, 'http://quotes.example/gone', 1, 1, NULL),
                           (3, 1, 'http://quotes.example/next', 1, 1, NULL);
INSERT INTO queue VALUES (1, 0, 3, 0, 0, NULL);
INSERT INTO result (request, state, status, size, attempts) VALUES (1, 'done', 200, 2048, 0);
INSERT INTO result (request, state, attempts, detail) VALUES (2, 'failed', 2, 'connect: refused');
INSERT INTO item VALUES (1, 1, '{"text":"é","n":1.50}'), (2, 1, '{"n":2}');
UPDATE count SET queued = 1, done = 1, failed = 1, items = 2, bytes = 2048, hosts = 1;
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return make(tmp_path / "quotes.crawl")


def make(path: Path, rows: str = ROWS, *, application: int = APPLICATION_ID, version: int = VERSION) -> Path:
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            f"PRAGMA journal_mode = WAL; {script('schema.sql')} {rows}"
            f"PRAGMA application_id = {application}; PRAGMA user_version = {version};"
        )
    return path


def test_a_crawl_that_was_killed_is_paused_and_its_time_ends_with_its_last_commit(state: Path) -> None:
    with StateFile(state) as file:
        status = file.status()
    assert json.loads(json.dumps(status.urls.__struct_fields__)) == [
        "queued",
        "leased",
        "done",
        "failed",
        "skipped",
        "aside",
    ]
    assert (status.spider, status.state, status.items, status.bytes, status.hosts) == ("quotes", "paused", 2, 2048, 1)
    assert (status.urls.queued, status.urls.done, status.urls.failed) == (1, 1, 1)
    assert status.elapsed == 12.5 + 4.0
    assert datetime.fromisoformat(status.started) == datetime.fromtimestamp(1000, UTC)


def test_a_crawl_runs_while_its_process_holds_the_lock(state: Path) -> None:
    lock = CrawlLock(state)
    try:
        with StateFile(state) as file:
            status = file.status()
    finally:
        lock.release()
    assert status.state == "running"
    assert status.elapsed > time.time() - 2000 - 60, "its time goes on"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("UPDATE run SET ended = 2004, why = 'finished' WHERE id = 2; UPDATE count SET queued = 0", "finished"),
        ("UPDATE run SET ended = 2004, why = 'finished' WHERE id = 2", "paused"),
        ("UPDATE run SET ended = 2004, why = 'max_pages' WHERE id = 2; UPDATE count SET queued = 0", "paused"),
        ("UPDATE run SET why = 'finished' WHERE id = 1; UPDATE count SET queued = 0", "paused"),
    ],
)
def test_a_crawl_is_finished_if_its_last_run_said_so_and_nothing_waits(state: Path, change: str, expected: str) -> None:
    with closing(sqlite3.connect(state)) as db:
        db.executescript(change)
    with StateFile(state) as file:
        assert file.status().state == expected


def test_a_crawl_that_has_never_run_has_a_status(tmp_path: Path) -> None:
    state = make(tmp_path / "new.crawl", "INSERT INTO meta VALUES ('spider', 'quotes');")
    with StateFile(state) as file:
        status = file.status()
    assert (status.state, status.started, status.elapsed) == ("paused", "", 0)


def test_items_are_what_the_spider_yielded(state: Path) -> None:
    with StateFile(state) as file:
        assert list(file.items()) == ['{"text":"é","n":1.50}', '{"n":2}']


def test_rows_are_those_of_the_view(state: Path) -> None:
    with StateFile(state) as file:
        pages = file.rows("pages")
        assert pages.columns[:3] == ["url", "final_url", "status"]
        rows = [json.loads(row) for row in pages.as_json()]
        assert [row["status"] for row in rows] == [200, None]
        assert rows[1]["error"] == "connect: refused"
        assert rows[1]["referrer"] == "http://quotes.example/"
        assert file.failures(5) == [("http://quotes.example/gone", "connect: refused")]
        assert [len(list(file.rows(view))) for view in ("links", "errors", "hosts")] == [3, 1, 1]


def test_what_is_read_is_one_snapshot_while_the_crawl_goes_on(state: Path) -> None:
    with closing(sqlite3.connect(state)) as db, StateFile(state) as file:
        assert file.status().items == 2
        with db:
            db.execute("INSERT INTO item VALUES (3, 1, '{}')")
            db.execute("UPDATE count SET items = 3")
        assert file.status().items == 2
        assert len(list(file.items())) == 2
        with StateFile(state) as later:
            assert later.status().items == 3


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_a_file_is_not_read_alone_while_some_of_it_lies_beside(
    state: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """A journal lies there when a process was killed that brought a copy (crawl backup) up to date."""
    monkeypatch.setattr("os.access", lambda *_: False)
    with StateFile(state) as file:
        assert "immutable" in file.uri
    state.with_name(f"{state.name}{suffix}").write_bytes(b"x")
    with suppress(StateError), StateFile(state) as file:
        assert "immutable" not in file.uri


def test_looking_leaves_nothing_behind(state: Path) -> None:
    before = state.read_bytes()
    with StateFile(state) as file:
        list(file.items())
    assert list(state.parent.iterdir()) == [state]
    assert state.read_bytes() == before


def test_what_a_killed_process_left_in_the_log_is_read_too(state: Path) -> None:
    with closing(sqlite3.connect(state)) as db:
        with db:
            db.execute("UPDATE count SET items = 7")
        copy = state.parent / "copy.crawl"
        for suffix in ("", "-wal"):
            (state.parent / f"copy.crawl{suffix}").write_bytes((state.parent / f"{state.name}{suffix}").read_bytes())
    with StateFile(copy) as file:
        assert file.status().items == 7


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM item",
        "UPDATE count SET items = 0",
        "CREATE TABLE t (a)",
        "CREATE TEMP TABLE t (a)",
        "PRAGMA query_only = OFF",
        "PRAGMA journal_mode = DELETE",
        "ATTACH 'other.db' AS other",
        "VACUUM INTO 'copy.db'",
        "BEGIN IMMEDIATE",
        "COMMIT",
    ],
)
def test_queries_can_change_nothing(state: Path, monkeypatch: pytest.MonkeyPatch, statement: str) -> None:
    monkeypatch.chdir(state.parent)
    with StateFile(state) as file, pytest.raises(UsageError, match="only queries are allowed, one at a time"):
        file.query(statement)
    assert list(state.parent.iterdir()) == [state]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("selct 1", 'near "selct": syntax error'),
        ("select missing from pages", "no such column: missing"),
        ("select 1; select 2", "one statement at a time"),
        ("select json_extract('{', '$.a')", "malformed JSON"),
        ("select ?", "Incorrect number of bindings"),
    ],
)
def test_a_query_that_cannot_be_answered_is_the_users_mistake(state: Path, query: str, message: str) -> None:
    with StateFile(state) as file, pytest.raises(UsageError, match=message):
        list(file.query(query))


def test_a_query_may_count_and_join(state: Path) -> None:
    with StateFile(state) as file:
        rows = file.query(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT sum(i) AS s FROM n"
        )
        assert list(rows.as_json()) == ['{"s":6}']


def test_a_missing_file_names_those_there_are(state: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no crawl file .*/quote.crawl; there is: quotes.crawl"):
        StateFile(state.parent / "quote.crawl")


@pytest.mark.parametrize(
    "content", [b"", b"no database, whatever its name says" * 50, b"SQLite format 3\0" + bytes(84)]
)
def test_what_is_no_crawl_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.crawl"
    path.write_bytes(content)
    with pytest.raises(StateDamaged, match=r"x\.crawl is not a crawl file"):
        StateFile(path)


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StateDamaged, match="is not a crawl file"):
        StateFile(make(tmp_path / "x.crawl", application=0))


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StateTooNew, match=f"has schema {VERSION + 1}, .* knows {VERSION} at most: update the program"):
        StateFile(make(tmp_path / "x.crawl", version=VERSION + 1))


@pytest.mark.parametrize("version", [0, -1])
async def test_a_file_of_a_version_that_never_was_is_a_damaged_one(tmp_path: Path, version: int) -> None:
    path = make(tmp_path / "x.crawl", version=version)
    with pytest.raises(StateDamaged, match=f"schema {version}, which there never was"):
        StateFile(path)
    with pytest.raises(StateDamaged, match=f"schema {version}, which there never was"):
        await SqliteFrontier.open(path, spider=None)


def test_a_query_that_is_no_text_is_the_users_mistake(state: Path) -> None:
    """Bytes of the command line that mean nothing in its locale are halves of surrogate pairs."""
    with StateFile(state) as file, pytest.raises(UsageError, match="SQLite does not answer that"):
        file.query("select '\udcff'")


def test_a_damaged_file_is_refused_when_the_damage_shows(state: Path) -> None:
    with closing(sqlite3.connect(state)) as db:
        ((page_size,),) = db.execute("PRAGMA page_size")
    content = state.read_bytes()
    state.write_bytes(content[:page_size] + b"\xff" * (len(content) - page_size))
    with StateFile(state) as file, pytest.raises(StateDamaged, match="or a damaged one"):
        file.status()
    with StateFile(state) as file, pytest.raises(StateDamaged, match="or a damaged one"):
        list(file.items())


@pytest.mark.parametrize(
    ("change", "ask"),
    [
        ("UPDATE item SET data = x'ff'", lambda file: list(file.items())),
        ("DELETE FROM count", StateFile.status),
        ("UPDATE run SET started = 'x'", StateFile.status),
        ("INSERT INTO meta VALUES ('rules', '{')", kept_paces),
        ("INSERT INTO meta VALUES ('scope', '[]')", lambda file: why(file, "http://quotes.example/never")),
        ("INSERT INTO meta VALUES ('scope', '{\"x\":1}')", lambda file: why(file, "http://quotes.example/never")),
    ],
)
def test_values_that_make_no_sense_are_damage(state: Path, change: str, ask: Callable[[StateFile], object]) -> None:
    """SQLite keeps no checksums: it does not notice."""
    with closing(sqlite3.connect(state)) as db, db:
        db.execute(change)
    with StateFile(state) as file, pytest.raises(StateDamaged, match="or a damaged one"):
        ask(file)


def test_a_page_that_is_said_to_have_led_to_itself_does_not_lead_on_for_ever(state: Path) -> None:
    with closing(sqlite3.connect(state)) as db, db:
        db.execute("UPDATE request SET found_on = 1 WHERE id = 1")
    with StateFile(state) as file:
        assert trace(file, 3).path == ["http://quotes.example/"]


def test_rows_that_nobody_has_read_to_the_end_may_outlive_their_file(state: Path) -> None:
    with StateFile(state) as file:
        rows: Any = iter(file.rows("pages"))
        next(rows)
    rows.close()


def test_a_file_without_its_tables_is_damaged(state: Path) -> None:
    with closing(sqlite3.connect(state)) as db:
        db.execute("DROP TABLE count")
    with StateFile(state) as file, pytest.raises(StateDamaged, match="no such table: count"):
        file.status()


def test_a_file_that_another_program_keeps_to_itself_is_said_to_be_busy(state: Path) -> None:
    with closing(sqlite3.connect(state, isolation_level=None)) as db:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StateError, match="cannot be read: database is locked"):
            StateFile(state, patience=0)


def test_a_name_that_is_no_text_is_a_name(tmp_path: Path) -> None:
    """Of a file that was made where names are in Latin-1."""
    state = make(tmp_path / os.fsdecode(b"st\xe9 #1?.crawl"))
    copy = tmp_path / os.fsdecode(b"copy\xe9.crawl")
    assert back_up(state, copy) == copy.stat().st_size
    assert repair(copy) is None
    number = give(copy, Hold(host="h.example"))
    assert answer_to(copy, number) is None
    for path in (state, copy):
        with StateFile(path) as file:
            assert file.status().items == 2
