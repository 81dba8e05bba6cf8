"""`crawl run --revalidate`: what it says, what it refuses, and that it survives being killed."""

from __future__ import annotations

import asyncio
import json
import random
from typing import TYPE_CHECKING

import pytest

from tests.crawler.changing_site import CHANGES, SITE, UNCHANGED, ChangingSite, versioned
from tests.proof.command import complains
from tests.proof.interruption import Interruptions
from tests.sites import page, serve

if TYPE_CHECKING:
    from pathlib import Path

    from tests.crawler.cli.conftest import Crawl
    from tests.proof.command import Command
    from tests.sites import Reply


KNOWN = len([*UNCHANGED, "/raises"])  # which this spider takes


async def test_a_second_night_says_what_was_not_modified(crawl: Crawl, tmp_path: Path) -> None:
    site = ChangingSite(SITE)
    async with serve(site) as server:
        await crawl("run", server.url, "--no-robots", "--state", "1.crawl", "--keep-bodies", "--quiet")
        site.next_night(**CHANGES)
        second = await crawl(
            "run", server.url, "--no-robots", "--state", "2.crawl", "--keep-bodies", "--revalidate", "1.crawl", "--json"
        )
    assert second.code == 0, second.err
    assert f" pages, {KNOWN} not modified, " in second.err
    figures = json.loads(second.out)
    assert figures["not_modified"]["pages"] == KNOWN
    assert 0 < figures["not_modified"]["bytes"] < figures["bytes"]

    status = await crawl("status", "2.crawl")
    assert f"  known    {KNOWN} pages (" in status.out
    assert json.loads((await crawl("status", "2.crawl", "--json")).out)["not_modified"] == figures["not_modified"]
    assert "not_modified" not in json.loads((await crawl("status", "1.crawl", "--json")).out)
    assert "modified" not in (await crawl("status", "1.crawl")).out

    why = await crawl("why", "2.crawl", f"{server.url}/weak")
    assert "fetched: 200, text/html, " in why.out
    assert ", not modified: taken from an earlier crawl\n" in why.out
    told = await crawl(
        "sql", "2.crawl", "SELECT count(*) AS n FROM links WHERE state = 'done' AND detail = 'not modified'"
    )
    assert json.loads(told.out) == {"n": KNOWN}
    compared = await crawl("diff", "1.crawl", "2.crawl")
    rows = [json.loads(line) for line in compared.out.splitlines()]
    assert {row["url"].removeprefix(server.url) for row in rows} == {"/changed", "/new", "/gone", "/now-moved"}
    replayed = await crawl("replay", "2.crawl", "site")
    assert len(replayed.out.splitlines()) == figures["items"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.crawl", ["error: there is no crawl file .*missing.crawl"]),
        ("text.crawl", ["text.crawl is not a crawl file"]),
        ("new.crawl", ["revalidate = .*new.crawl': this is the crawl's own file; name that of an earlier crawl"]),
    ],
)
async def test_a_file_that_is_no_earlier_crawl_is_bad_usage(
    name: str, words: list[str], crawl: Crawl, tmp_path: Path
) -> None:
    (tmp_path / "text.crawl").write_text("no crawl file")
    ended = await crawl("run", "http://127.0.0.1:9", "--state", "new.crawl", "--revalidate", name)
    complains(ended, 2, *words)
    assert not (tmp_path / "new.crawl").exists()


async def test_a_fresh_crawl_does_not_discard_what_it_is_to_know(crawl: Crawl, tmp_path: Path) -> None:
    async with serve({"/": page("Home")}) as server:
        await crawl("run", server.url, "--state", "1.crawl", "--keep-bodies", "--quiet")
        before = (tmp_path / "1.crawl").read_bytes()
        ended = await crawl("run", server.url, "--state", "1.crawl", "--fresh", "--yes", "--revalidate", "1.crawl")
    complains(ended, 2, "this is the crawl's own file")
    assert (tmp_path / "1.crawl").read_bytes() == before


async def test_a_crawl_that_kept_nothing_is_a_plain_warning(crawl: Crawl) -> None:
    async with serve({"/": page("Home")}) as server:
        await crawl("run", server.url, "--state", "1.crawl", "--quiet")
        ended = await crawl("run", server.url, "--state", "2.crawl", "--revalidate", "1.crawl")
    assert ended.code == 0
    assert "1.crawl has no kept pages (--keep-bodies keeps them): all pages are fetched in full" in ended.err


@pytest.mark.parametrize("processes", [1, 2])
async def test_a_crawl_that_is_killed_ends_as_a_whole_one(processes: int, command: Command, tmp_path: Path) -> None:
    """Each third page has changed, each third can tell that it has not, and of each third nobody knows."""
    numbers = range(120)

    def reply(number: int, night: int) -> Reply:
        text = f"night {night if number % 3 == 0 else 0}"
        shown = page(f"Page {number}", *(f"/{(number * 7 + step) % len(numbers)}" for step in range(4)), body=text)
        return shown if number % 3 == 2 else versioned(shown, etag=f'"{number} {text}"'.replace(" ", "-"))

    site = ChangingSite({f"/{number}": reply(number, 1) for number in numbers})
    async with serve(site) as server:

        def arguments(name: str) -> list[str]:
            run = ["run", f"{server.url}/0", "--no-robots", "--keep-bodies", "--quiet", "-s", "commit_interval=0.02"]
            return [*run, "--state", f"{name}.crawl", "-o", f"{name}.jsonl", "--processes", f"{processes}"]

        assert (await asyncio.to_thread(command.run, *arguments("first"))).code == 0
        site.next_night(**{f"{number}": reply(number, 2) for number in numbers})
        assert (await asyncio.to_thread(command.run, *arguments("whole"))).code == 0
        interruptions = Interruptions(
            command=command,
            arguments=[*arguments("known"), "--revalidate", "first.crawl"],
            state=tmp_path / "known.crawl",
            output=tmp_path / "known.jsonl",
            progress=lambda: len(server.log),
            random=random.Random(11),
            every=40,
            at_most=4,
        )
        assert await asyncio.to_thread(interruptions.run_to_the_end) > 0
        assert (await asyncio.to_thread(command.run, "diff", "whole.crawl", "known.crawl")).out == ""
        status = await asyncio.to_thread(command.run, "status", "known.crawl", "--json")
    assert json.loads(status.out)["not_modified"]["pages"] == len(numbers) // 3
    assert _taken(tmp_path / "known.jsonl") == _taken(tmp_path / "whole.jsonl")


def _taken(output: Path) -> list[tuple[str, str]]:
    """URLs and titles; how deep a page lies, depends on which link to it is found first."""
    items = map(json.loads, output.read_text().splitlines())
    return sorted((item["url"], item["title"]) for item in items)
