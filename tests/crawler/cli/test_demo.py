"""`crawl demo` shows a whole crawl to whoever has just installed the program."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from typing import TYPE_CHECKING

from crawler.demo.guide import SPECIES, site
from tests.proof.command import COMMAND
from tests.terminals import Screen

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crawler.cli.conftest import Crawl


async def test_it_crawls_the_whole_guide_and_says_what_to_try_next(crawl: Crawl, tmp_path: Path) -> None:
    ended = await crawl("demo", "--keep", "kept")
    assert ended.code == 0, ended.err
    assert f"{len(SPECIES)} items" in ended.err
    assert SPECIES[0].name in ended.out
    items = [json.loads(line) for line in (tmp_path / "kept/items.jsonl").read_text().splitlines()]
    assert {item["species"] for item in items} == {species.name for species in SPECIES}

    next_command = next(line.split("  ")[1] for line in ended.out.splitlines() if "crawl export" in line)
    pages = await crawl(*next_command.split()[1:])
    visited = [json.loads(line) for line in pages.out.splitlines()]
    paths = {"/" + url.split("/", 3)[3] for page in visited for url in (page["url"], page["final_url"])}
    assert set(site()) - {"/robots.txt"} | {"/lost"} == paths
    assert [page["skipped"] for page in visited if page["url"].endswith("/private/notes")] == ["robots"]
    assert [page["error"] for page in visited if page["url"].endswith("/lost")] == ["http: 404 Not Found"]

    again = await crawl("demo", "--keep", "kept")
    assert again.code == 2
    assert "kept/demo.crawl exists" in again.err


async def test_a_place_that_can_be_no_folder_is_named(crawl: Crawl, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    for place in ("mine", "mine/below", "/proc/no-such-thing"):
        refused = await crawl("demo", "--keep", place)
        assert (refused.code, refused.err.count("\n")) == (2, 1)
        assert refused.err.startswith(f"error: {place} cannot be used as a folder: ")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


async def test_it_overwrites_nothing(crawl: Crawl, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "items.jsonl").write_text("mine")
    refused = await crawl("demo", "--keep", "kept")
    assert (refused.code, refused.err) == (2, "error: kept/items.jsonl exists; name another folder\n")
    assert [path.read_text() for path in (tmp_path / "kept").iterdir()] == ["mine"]


async def test_without_a_folder_it_leaves_nothing(crawl: Crawl, tmp_path: Path) -> None:
    ended = await crawl("demo")
    assert ended.code == 0, ended.err
    assert "crawl demo --keep demo" in ended.out
    assert list(tmp_path.iterdir()) == []


def test_in_a_terminal_it_is_watched_live_and_the_terminal_is_left_clean(tmp_path: Path) -> None:
    master, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        [COMMAND, "demo"], stderr=terminal, stdout=subprocess.PIPE, env=environment, cwd=tmp_path
    ) as process:
        os.close(terminal)
        drawn = _read_all(master)
        assert process.wait(timeout=60) == 0
    assert "Ctrl-C stops; the same command resumes" in drawn
    screen = Screen()
    screen.feed(drawn)
    assert not [line for line in screen.lines if "Ctrl-C" in line or "under way" in line], "nothing is left of the view"
    assert screen.lines[-1].startswith("finished: 5")


def _read_all(master: int) -> str:
    """What was written to a terminal until nobody had it open any more."""
    drawn = b""
    with open(master, "rb", buffering=0) as screen:
        while True:
            try:
                part = screen.read(4096)
            except OSError:  # how Linux says that the other end is closed
                break
            drawn += part
    return drawn.decode()
