"""Mistakes and misfortunes: each is one clear message and the right exit code, and costs nothing that was done before."""

from __future__ import annotations

import re
import socket
import ssl
from typing import TYPE_CHECKING, NamedTuple

import pytest
import trustme

from tests.nowhere import NOWHERE
from tests.proof.command import BAD_USAGE, CRAWL_FAILED, FINISHED, complains
from tests.proof.crawlfile import check_invariants, outcome, query
from tests.proof.site import SPIDER
from tests.servers.web import WebServer, page

if TYPE_CHECKING:
    from tests.proof.command import Command

QUICK = ("-s", "retry_wait=0.01", "-s", "connect_timeout=5")


class Mistake(NamedTuple):
    """A spider file, or its absence; options; and what the complaint must mention."""

    name: str
    spider: str | None
    options: tuple[str, ...]
    words: tuple[str, ...]


FINE = "from crawler import Spider\n\nclass Fine(Spider):\n    start_urls = ['http://127.0.0.1:9/']\n    def parse(self, page): ...\n"

MISTAKES = (
    Mistake("missing target", None, (), (r"spider\.py",)),
    Mistake("syntax error", "class Broken(:\n", (), (r"spider\.py", "line 1|:1", "syntax")),
    Mistake("failing import", "import nothing_of_that_name\n", (), (r"spider\.py", "nothing_of_that_name")),
    Mistake("raises when loaded", "1 / 0\n", (), (r"spider\.py", "division by zero")),
    Mistake("no spider", "x = 1\n", (), (r"spider\.py", "no spider")),
    Mistake("no seeds", FINE.replace("start_urls", "other"), (), ("Fine", "start_urls")),
    Mistake("not a URL", FINE.replace("http:", "mailto:"), (), ("mailto", "http")),
    Mistake("raises in start", f"{FINE}\n    def start(self): return 1 / 0\n", (), ("start", "division by zero")),
    Mistake("unknown argument", FINE, ("-a", "colour=red"), ("colour",)),
    Mistake("unknown setting", FINE, ("-s", "concurency=5"), ("concurency", "concurrency")),
    Mistake("setting out of range", FINE, ("--concurrency", "0"), ("concurrency", "0")),
    Mistake("setting without end", FINE, ("-s", "delay=inf"), ("-s: delay = 'inf'", "from 0 to 1,000,000,000")),
    Mistake("setting that is no number", FINE, ("--max-time", "nan"), ("max_time = nan",)),
    Mistake("setting beyond all bounds", FINE, ("--max-pages", "9" * 20), ("max_pages", "9{20}")),
    Mistake("user agent of two lines", FINE, ("--user-agent", "a\nb"), (r"user_agent = 'a\\nb'", "one line")),
    Mistake("unknown option", FINE, ("--fast",), ("--fast",)),
    Mistake("output without a folder", FINE, ("-o", "no/such/folder/out.jsonl"), ("no/such/folder", "create")),
    Mistake("output is a folder", FINE, ("-o", "folder.jsonl"), (r"folder\.jsonl", "folder")),
    Mistake("output of no known kind", FINE, ("-o", "out.xyz"), (r"out\.xyz", "jsonl")),
    Mistake("output of nobody", FINE, ("-o", "~nobody-here/out.jsonl"), ("~nobody-here/out.jsonl", "no such user")),
    Mistake("output of too long a name", FINE, ("-o", f"{'a' * 300}.jsonl"), ("a{300}.jsonl: File name too long",)),
    Mistake("state of nobody", FINE, ("--state", "~nobody-here/a.crawl"), ("~nobody-here/a.crawl", "no such user")),
    Mistake("state without a folder", FINE, ("--state", "no/such/folder/a.crawl"), ("no/such/folder", "create")),
)


@pytest.mark.parametrize("mistake", MISTAKES, ids=[mistake.name.replace(" ", "-") for mistake in MISTAKES])
def test_a_mistake_is_named_and_leaves_nothing_in_the_way(command: Command, mistake: Mistake) -> None:
    """What cannot begin does not: exit code 2, and no output; a crawl file, if any, in which nothing has begun."""
    (command.folder / "folder.jsonl").mkdir()
    if mistake.spider is not None:
        (command.folder / "spider.py").write_text(mistake.spider, encoding="utf-8")
    complains(command.run("run", "spider.py", *mistake.options), BAD_USAGE, *mistake.words)
    left = {path.name for path in command.folder.iterdir()} - {"__pycache__", "folder.jsonl", "spider.py"}
    assert left <= {"fine.crawl"}
    assert not left or query(command.folder / "fine.crawl", "SELECT count(*) FROM request") == [(0,)]


@pytest.mark.parametrize(
    ("target", "words"), [("~nobody-here/spider.py", "no such user"), (f"{'a' * 300}.py", "File name too long")]
)
def test_a_target_that_no_path_leads_to(command: Command, target: str, words: str) -> None:
    complains(command.run("run", target), BAD_USAGE, target, words)
    assert list(command.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "words"), [("crawl = 3", "tool.crawl = 3"), ("crawl = ['delay']", "it must be a table")]
)
def test_settings_of_a_project_that_are_no_table(command: Command, text: str, words: str) -> None:
    (command.folder / "pyproject.toml").write_text(f"[tool]\n{text}\n")
    complains(command.run("run", "http://127.0.0.1:9/"), BAD_USAGE, r"pyproject\.toml", words)
    assert [path.name for path in command.folder.iterdir()] == ["pyproject.toml"]


def test_a_host_that_does_not_exist(command: Command) -> None:
    """The crawl failed: nothing came of it, and the message says why."""
    complains(command.run("run", f"http://{NOWHERE}/", "--state", "s.crawl", *QUICK), CRAWL_FAILED, NOWHERE, "dns")


def test_a_port_that_refuses(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    complains(command.run("run", url, *QUICK), CRAWL_FAILED, re.escape(url), "connect", "[Rr]efused")


def test_a_certificate_that_nobody_vouches_for(command: Command) -> None:
    """It is not retried, and not one byte of a request goes out."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with WebServer(lambda _: page("secret"), tls=context) as server:
        complains(command.run("run", server.url, *QUICK), CRAWL_FAILED, re.escape(server.url), "certificate")
        assert server.journal() == []


def test_a_spider_that_raises_on_a_page(command: Command, server: WebServer) -> None:
    """The page is a failure with the place in the spider; the others are unharmed, and not read again when it is mended."""
    raising = SPIDER.replace(
        "        title =", '        if page.url.endswith("/3/7"):\n            1 / 0\n        title ='
    )
    (command.folder / "notes.py").write_text(f"{raising}\n    start_urls = [{server.url!r}]\n", encoding="utf-8")
    ended = command.run("run", "notes.py", *QUICK, "-o", "out.jsonl")
    complains(ended, BAD_USAGE, "ZeroDivisionError", r"notes\.py", "/3/7", "crawl retry notes.crawl --kind spider")
    check_invariants(command.folder / "notes.crawl")
    after = outcome(command.folder / "notes.crawl", command.folder / "out.jsonl")
    assert f"{server.url}3/7" in after.failed
    assert len(after.done) > 250
    assert after.items == after.exported

    (command.folder / "notes.py").write_text(f"{SPIDER}\n    start_urls = [{server.url!r}]\n", encoding="utf-8")
    asked = len(server.journal())
    assert command.run("retry", "notes.crawl", "--kind", "spider").code == FINISHED
    assert command.run("run", "notes.py", *QUICK, "-o", "out.jsonl").code == FINISHED
    assert {visit.target[:4] for visit in server.journal()[asked:]} == {"/3/7"}, "it, and what it alone leads to"
    mended = outcome(command.folder / "notes.crawl", command.folder / "out.jsonl")
    assert f"{server.url}3/7" in {url for url, _ in mended.done}
    assert set(mended.done) > set(after.done)
    assert mended.items == mended.exported
