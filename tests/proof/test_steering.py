"""Steering a crawl that runs: what the servers see of an order, and when; and that no order is lost or doubled."""

from __future__ import annotations

import json
import signal
import threading
import time
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from crawler.control.dispatch import dispatch
from crawler.frontier.inbox import give
from crawler.frontier.lock import CrawlLock
from crawler.orders import Hold
from tests.proof.command import FINISHED, STOPPED, TIMEOUT, complains, finish
from tests.proof.crawlfile import check_invariants, query
from tests.proof.test_politeness import SLACK, spider_for
from tests.servers.web import NOT_FOUND, Answer, WebServer, page

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.proof.command import Command
    from tests.servers.web import Asked

PER_HOST = 2
MORE = 20


class Endless:
    """Two hosts whose pages lead on and on, until `may_end`; one page of each fails until `is_mended`."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.is_mended = threading.Event()
        self.server = WebServer(self._answer, addresses=["127.0.0.1", "127.0.0.2"])

    def _answer(self, asked: Asked) -> Answer:
        match asked.target.split("/")[1:]:
            case ["ill"]:
                return page("well") if self.is_mended.is_set() else Answer(status=500)
            case [""]:
                return page("home", ["/1", "/ill"])
            case [number] if number.isdecimal():
                return page(number, [] if self.may_end.is_set() else [f"/{int(number) + 1}"])
            case _:
                return NOT_FOUND

    def asked(self, host: str) -> list[Asked]:
        return [asked for asked in self.server.journal() if asked.host == host]

    def wait_for(self, host: str, more: int = MORE) -> None:
        """Wait until a host was asked so many times more."""
        goal = len(self.asked(host)) + more
        assert self.server.wait(lambda journal: sum(asked.host == host for asked in journal) >= goal)


@pytest.fixture
def web() -> Iterator[Endless]:
    web = Endless()
    with web.server:
        yield web


@contextmanager
def crawling(command: Command, web: Endless) -> Iterator[subprocess.Popen[str]]:
    """A crawl of both hosts, under way; in the end it must end by itself."""
    arguments = ("run", spider_for(command, web.server.urls), "--no-robots", "--delay", "0.01", "-s", "max_attempts=1")
    process = command.start(*arguments, "-o", "items.jsonl", "--quiet")
    try:
        for host in web.server.hosts:
            web.wait_for(host, 1)
        yield process
    finally:
        web.may_end.set()
        if process.poll() is None:
            process.kill()
            finish(process)


def test_a_host_that_is_held_is_asked_nothing_more_until_it_is_released(command: Command, web: Endless) -> None:
    held, other = web.server.hosts
    with crawling(command, web) as process:
        ordered = command.run("hold", "hosts.crawl", held)
        assert (ordered.code, ordered.err) == (FINISHED, "")
        before = len(web.asked(held))
        web.wait_for(other)
        web.wait_for(other)
        assert len(web.asked(held)) <= before + PER_HOST, "only what was under way may still have gone out"
        at_rest = len(web.asked(held))
        web.wait_for(other)
        assert len(web.asked(held)) == at_rest
        assert command.run("release", "hosts.crawl", held).out == f"{held} is released\n"
        web.wait_for(held)
        web.may_end.set()
        assert finish(process).code == FINISHED
    check_invariants(command.folder / "hosts.crawl")
    assert query(command.folder / "hosts.crawl", "SELECT count(*), count(done) FROM instruction") == [(2, 2)]


def test_a_delay_holds_from_the_next_request_on(command: Command, web: Endless) -> None:
    slow, other = web.server.hosts
    delay = 0.3
    with crawling(command, web) as process:
        ordered = command.run("set", "hosts.crawl", slow, "--delay", str(delay))
        assert ordered.out == f"{slow}: at least {delay} s between two requests\n"
        before = len(web.asked(slow))
        web.wait_for(slow, 5)
        gaps = [later.at - earlier.at for earlier, later in pairwise(web.asked(slow)[before:])]
        assert min(gaps) >= delay - SLACK
        back = command.run("set", "hosts.crawl", slow, "--delay", "default")
        assert back.code == FINISHED
        web.wait_for(slow)
        web.wait_for(other)
        web.may_end.set()
        assert finish(process).code == FINISHED


def test_what_failed_is_tried_again_while_the_crawl_runs(command: Command, web: Endless) -> None:
    first, _ = web.server.hosts
    with crawling(command, web) as process:
        for host in web.server.hosts:
            web.wait_for(host)
        web.is_mended.set()
        ordered = command.run("retry", "hosts.crawl", "--status", "5xx", "--host", first)
        assert ordered.out == "1 failed request queued again\n"
        assert web.server.wait(
            lambda journal: sum((asked.host, asked.target) == (first, "/ill") for asked in journal) == 2
        )
        web.may_end.set()
        assert finish(process).code == FINISHED
    assert len(query(command.folder / "hosts.crawl", "SELECT 1 FROM pages WHERE error IS NOT NULL")) == 1
    check_invariants(command.folder / "hosts.crawl")


def test_a_crawl_ends_resumable_when_all_that_is_left_is_held(command: Command, web: Endless) -> None:
    with crawling(command, web) as process:
        for host in web.server.hosts:
            assert command.run("hold", "hosts.crawl", host).code == FINISHED
        assert finish(process).code == STOPPED
    assert query(command.folder / "hosts.crawl", "SELECT why FROM run") == [("held",)]
    assert json.loads(command.run("status", "hosts.crawl", "--json").out)["state"] == "paused"
    asked = len(web.server.journal())
    again = command.run("run", "hosts.py", "--no-robots")
    complains(again, STOPPED, "only held requests are left", "crawl release hosts.crawl HOST")
    assert len(web.server.journal()) == asked
    for host in web.server.hosts:
        command.run("release", "hosts.crawl", host)
    assert command.run("run", "hosts.py", "--no-robots", "--quiet").code == FINISHED
    check_invariants(command.folder / "hosts.crawl")


def test_an_order_outlives_the_crawl_that_is_killed_before_or_after_it_hears(command: Command, web: Endless) -> None:
    held, _ = web.server.hosts
    state = command.folder / "hosts.crawl"
    with crawling(command, web) as process:
        give(state, Hold(host=held))
        process.kill()
        assert finish(process).code == -signal.SIGKILL
    asked = len(web.asked(held))
    assert command.run("run", "hosts.py", "--no-robots", "--quiet").code == STOPPED
    assert len(web.asked(held)) == asked
    assert query(state, "SELECT what, done IS NOT NULL FROM instruction") == [("hold", 1)]
    check_invariants(state)


def test_an_order_is_carried_out_by_the_command_itself_when_the_crawl_ends_without_an_answer(
    command: Command, web: Endless
) -> None:
    """The test holds the crawl file's lock in place of a crawl, and lets go of it once the order is given."""
    host, _ = web.server.hosts
    state = command.folder / "hosts.crawl"
    web.may_end.set()
    assert command.run("run", spider_for(command, web.server.urls), "--no-robots", "--max-pages", "1").code == STOPPED
    lock = CrawlLock(state)
    try:
        assert dispatch(state, Hold(host=host), patience=0.0) is None
        assert dispatch(state, Hold(host=host), patience=0.2) is None, "nobody answers, and the order stays"
        ordering = command.start("hold", "hosts.crawl", host)
        deadline = time.monotonic() + TIMEOUT
        while len(query(state, "SELECT 1 FROM instruction")) < 2:
            assert time.monotonic() < deadline
    finally:
        lock.release()
    ordered = finish(ordering)
    assert (ordered.code, ordered.out) == (FINISHED, f"{host} is held already\n")
    assert query(state, "SELECT answer LIKE '%held already', done > 0 FROM instruction") == [(0, 1), (1, 1)]


def test_a_host_that_was_given_up_is_asked_again_once_it_is_released(command: Command) -> None:
    is_back = threading.Event()
    server = WebServer(lambda asked: page(asked.target) if is_back.is_set() else Answer(hang_up=0))
    impatient = ("-s", "rest_after=1", "-s", "max_rests=0", "-s", "max_attempts=1")
    with server:
        (host,) = server.hosts
        given_up = command.run("run", spider_for(command, server.urls), "--no-robots", *impatient)
        assert "1 request set aside: crawl hosts hosts.crawl" in given_up.err
        told = command.run("why", "hosts.crawl", server.url)
        assert "set aside on" in told.out
        assert "because its host could not be reached for long: out of reach" in told.out
        is_back.set()
        released = command.run("release", "hosts.crawl", host)
        assert released.out == f"{host} is released; 1 request queued again that stood aside\n"
        assert command.run("run", "hosts.py", "--no-robots").code == FINISHED
    check_invariants(command.folder / "hosts.crawl")
    assert query(command.folder / "hosts.crawl", "SELECT status FROM pages") == [(200,)]
