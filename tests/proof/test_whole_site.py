"""A crawl of a real site of more than five thousand pages visits exactly what its links lead to, each page once.

What that is, a walk over the files on disk says, which has nothing in common with the crawler; and what was asked, the
server's own log.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.proof.command import FINISHED, Command, finish, unmeasured
from tests.proof.crawlfile import check_invariants, query, read_items
from tests.proof.walk import Walk

if TYPE_CHECKING:
    from tests.servers.nginx import Nginx

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.corpus
def test_every_page_that_links_lead_to_is_visited_once(tmp_path: Path, corpus_root: Path, corpus_server: Nginx) -> None:
    """Walk and crawl take place at the same time, each in a process of its own."""
    command = Command(tmp_path, is_measured=False)
    state, output = tmp_path / "site.crawl", tmp_path / "out.jsonl"
    options = ("--no-robots", "--per-host", "32", "--quiet", "--state", state, "-o", output)
    crawl = command.start("run", corpus_server.url, *options)
    expected = _walk(corpus_root, corpus_server.url)
    ended = finish(crawl)
    assert ended.code == FINISHED, ended.err
    corpus_server.stop()

    assert len(expected.pages) > 5000
    _check_items(output, expected.pages)
    check_invariants(state)
    _check_pages(state, expected.finals)
    _check_redirects(state, expected.redirects)
    asked = Counter(asked.target for asked in corpus_server.journal())
    assert asked == Counter({url.removeprefix(corpus_server.url.rstrip("/")): 1 for url in expected.answers})


def _walk(root: Path, url: str) -> Walk:
    command = [sys.executable, "-m", "tests.proof.walk", str(root), url]
    done = subprocess.run(command, cwd=REPOSITORY, env=unmeasured(), capture_output=True, text=True, check=True)
    return Walk.from_json(done.stdout)


def _check_items(output: Path, pages: set[str]) -> None:
    urls = [item["url"] for item in read_items(output)]
    assert len(urls) == len(set(urls)), "a page is there twice"
    assert set(urls) == pages


def _check_pages(state: Path, finals: dict[str, int]) -> None:
    """Each journey's end is in the view `pages`: with its status, once, and as an error unless it was a success."""
    rows = query(state, "SELECT final_url, status, error FROM pages WHERE skipped IS NULL")
    assert len(rows) == len(finals)
    assert {url: status for url, status, _ in rows} == finals
    assert {url for url, _, error in rows if error is None} == {url for url, status in finals.items() if status == 200}


def _check_redirects(state: Path, redirects: dict[str, str]) -> None:
    """A redirected request went on at its target; or ended there, if that was known by then."""
    rows = query(state, "SELECT url, final_url, skipped FROM pages WHERE url <> final_url")
    assert {url: final for url, final, _ in rows} == redirects
    assert {skipped for _, _, skipped in rows} <= {None, "duplicate"}
    skipped = query(state, "SELECT DISTINCT skipped FROM pages WHERE skipped IS NOT NULL")
    assert set(skipped) <= {("scope",), ("duplicate",)}
