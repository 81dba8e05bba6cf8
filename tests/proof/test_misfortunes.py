"""Crawl files that cannot be used, and disks that take no more: nothing that was done is lost."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest

from crawler.frontier.migrations import APPLICATION_ID, VERSION, script
from tests.proof.command import BAD_USAGE, CRAWL_FAILED, FINISHED, STOPPED, Command, complains, finish
from tests.proof.crawlfile import check_export, check_invariants, outcome
from tests.servers.web import WebServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

OTHER_SPIDER = """\
from crawler import Spider


class Fine(Spider):
    start_urls = ["http://127.0.0.1:9/"]

    def parse(self, page): ...
"""


class Paused(NamedTuple):
    """A crawl that was stopped half-way, and how to go on with it."""

    command: Command
    arguments: tuple[str, ...]
    state: Path
    output: Path
    calm: Path

    def goes_on_exactly(self) -> None:
        """Run it to its end: it comes to what an undisturbed crawl comes to."""
        ended = self.command.run(*self.arguments)
        assert ended.code == FINISHED, ended.err
        check_invariants(self.state)
        calm = outcome(self.calm.with_suffix(".crawl"), self.calm)
        assert outcome(self.state, self.output) == calm


@pytest.fixture
def paused(command: Command, server: WebServer) -> Paused:
    options = ("--quiet", "-s", "retry_wait=0.01")
    calm, output, state = (command.folder / name for name in ("calm.jsonl", "out.jsonl", "out.crawl"))
    assert command.run("run", server.url, *options, "-o", calm, "--state", "calm.crawl").code == FINISHED
    arguments = ("run", server.url, *options, "-o", "out.jsonl", "--state", "out.crawl")
    assert command.run(*arguments, "--max-pages", "100").code == STOPPED
    return Paused(command, arguments, state, output, calm)


def _of_another_spider(paused: Paused) -> Callable[[], object]:
    (paused.command.folder / "fine.py").write_text(OTHER_SPIDER, encoding="utf-8")
    return lambda: None


def _of_a_newer_version(paused: Paused) -> Callable[[], object]:
    with closing(sqlite3.connect(paused.state)) as connection:
        ((version,),) = connection.execute("PRAGMA user_version")
        connection.execute("PRAGMA user_version = 9999")

    def mend() -> None:
        with closing(sqlite3.connect(paused.state)) as connection:
            connection.execute(f"PRAGMA user_version = {version}")

    return mend


def _no_database(paused: Paused) -> Callable[[], object]:
    content = paused.state.read_bytes()
    paused.state.write_bytes(b"Dear diary, today I crawled nothing.\n" * 100)
    return lambda: paused.state.write_bytes(content)


def _another_database(paused: Paused) -> Callable[[], object]:
    content = paused.state.read_bytes()
    paused.state.unlink()
    with closing(sqlite3.connect(paused.state)) as connection:
        connection.execute("CREATE TABLE diary (entry TEXT)")
    return lambda: paused.state.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_of_another_spider, ("fine", "site", "--state")),
        (_of_a_newer_version, ("9999", "newer")),
        (_no_database, (r"out\.crawl", "not a crawl file")),
        (_another_database, (r"out\.crawl", "not a crawl file")),
    ],
)
def test_a_crawl_file_that_cannot_be_used_is_left_alone(
    paused: Paused, spoil: Callable[[Paused], Callable[[], object]], words: tuple[str, ...]
) -> None:
    """Not a byte of it changes, nor of what was exported; and once the cause is gone the crawl goes on exactly."""
    mend = spoil(paused)
    before = paused.state.read_bytes(), paused.output.read_bytes()
    arguments: list[str] = list(paused.arguments)
    if spoil is _of_another_spider:
        arguments[1] = "fine.py"
    complains(paused.command.run(*arguments), BAD_USAGE, *words)
    assert (paused.state.read_bytes(), paused.output.read_bytes()) == before
    mend()
    paused.goes_on_exactly()


def test_two_processes_do_not_crawl_with_one_file(paused: Paused) -> None:
    """The second is told so, at once, and disturbs nothing."""
    with WebServer(lambda _: None) as silent:
        url = silent.url
        first = paused.command.start("run", url, "--no-robots", "--state", "one.crawl", "-s", "drain_timeout=0")
        assert silent.wait(lambda journal: len(journal) == 1)
        complains(paused.command.run("run", url, "--state", "one.crawl"), BAD_USAGE, r"one\.crawl", "another process")
        assert json.loads(paused.command.run("status", "one.crawl", "--json").out)["state"] == "running"
        first.terminate()
        assert finish(first).code == STOPPED


def test_a_place_where_nothing_can_be_written(tmp_path: Path, server: WebServer) -> None:
    """What is there can be looked into; to go on with it is refused, at once, with the reason; and once the place can be written
    again, nothing is missing."""
    folder = tmp_path / "folder"
    folder.mkdir()
    if subprocess.run(("mount", "-t", "tmpfs", "tmpfs", folder), capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a file system")
    try:
        command = Command(tmp_path)
        arguments = ("run", server.url, "--quiet", "-s", "retry_wait=0.01", "--state", folder / "a.crawl")
        assert command.run(*arguments, "--max-pages", "20").code == STOPPED
        before = (folder / "a.crawl").read_bytes()
        subprocess.run(("mount", "-o", "remount,ro", folder), check=True)
        assert json.loads(command.run("status", folder / "a.crawl", "--json").out)["urls"]["done"] == 20
        assert len(command.run("sql", folder / "a.crawl", "SELECT * FROM pages WHERE status").out.splitlines()) >= 20
        for state in ("a.crawl", "new.crawl"):
            refused = command.run("run", server.url, "--state", folder / state)
            complains(refused, CRAWL_FAILED, re.escape(state), "Read-only")
        assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [("a.crawl", before)]
        subprocess.run(("mount", "-o", "remount,rw", folder), check=True)
        assert command.run(*arguments).code == FINISHED
        check_invariants(folder / "a.crawl")
    finally:
        subprocess.run(["umount", folder], check=True)


class SmallDisk(NamedTuple):
    """A place where little can be written, by commands run through `wrapper`, until it is mended."""

    wrapper: tuple[str, ...]
    mend: Callable[[], object]


@contextmanager
def small_file_system(folder: Path) -> Iterator[SmallDisk]:
    """A file system of its own, in memory."""
    mount = ("mount", "-t", "tmpfs", "-o", "size=640k", "tmpfs", folder)
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a file system")
    try:
        yield SmallDisk((), lambda: subprocess.run(["mount", "-o", "remount,size=64m", folder], check=True))
    finally:
        subprocess.run(["umount", folder], check=True)


@contextmanager
def small_files(_: Path) -> Iterator[SmallDisk]:
    """A limit to the size of files (setrlimit(2), RLIMIT_FSIZE)."""
    yield SmallDisk(("prlimit", f"--fsize={256 * 1024}"), lambda: None)


@pytest.mark.parametrize("small_disk", [small_file_system, small_files])
def test_a_full_disk_stops_the_crawl_and_loses_nothing(
    tmp_path: Path, server: WebServer, small_disk: Callable[[Path], AbstractContextManager[SmallDisk]]
) -> None:
    """Exit code 1, a message that names the file; and with room the same command goes on to the exact end."""
    calm, small = tmp_path / "calm", tmp_path / "small"
    calm.mkdir()
    small.mkdir()
    arguments = ("run", server.url, "--quiet", "-s", "retry_wait=0.01", "--state", "a.crawl", "-o", "a.jsonl")
    assert Command(calm).run(*arguments).code == FINISHED
    with small_disk(small) as disk:
        command = Command(small, is_measured=False)  # of which the data would not find room
        ended = command.run(*arguments, wrapper=disk.wrapper)
        complains(ended, CRAWL_FAILED, r"a\.crawl|a\.jsonl", "full|make room|large", "same command")
        disk.mend()
        check_invariants(small / "a.crawl")
        check_export(small / "a.crawl", small / "a.jsonl")
        assert command.run(*arguments).code == FINISHED
        check_invariants(small / "a.crawl")
        assert outcome(small / "a.crawl", small / "a.jsonl") == outcome(calm / "a.crawl", calm / "a.jsonl")


def test_a_crawl_that_was_killed_before_its_file_knew_the_spider_goes_on(paused: Paused) -> None:
    """The schema comes first, the spider's name next."""
    paused.state.unlink()
    paused.output.unlink()
    with closing(sqlite3.connect(paused.state)) as db:
        schema = f"BEGIN; {script('schema.sql')}; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; COMMIT"
        db.executescript(schema)
    status = paused.command.run("status", paused.state, "--json")
    assert json.loads(status.out)["spider"] == ""
    assert "spider not known, paused" in paused.command.run("status", paused.state).out
    paused.goes_on_exactly()


def test_a_crawl_that_was_killed_while_its_file_was_made_begins_anew(paused: Paused) -> None:
    """SQLite finds the journal of what was not committed, and takes it back."""
    torn, journal = paused.state, paused.state.with_name(f"{paused.state.name}-journal")
    torn.unlink()
    paused.output.unlink()
    made = torn.with_name("made.crawl")
    with closing(sqlite3.connect(made, isolation_level=None)) as db:
        db.execute("PRAGMA cache_size = 1")
        db.execute("BEGIN")
        db.execute("CREATE TABLE meta (key, value)")
        db.executemany("INSERT INTO meta VALUES (?, ?)", ((number, "x" * 1000) for number in range(100)))
        torn.write_bytes(made.read_bytes())
        journal.write_bytes(made.with_name(f"{made.name}-journal").read_bytes())
        db.execute("ROLLBACK")
    assert torn.stat().st_size
    paused.goes_on_exactly()
