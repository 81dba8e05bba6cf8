"""`crawl repair` and `crawl backup`, as their users meet them."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

from tests.crawler.frontier.damage import Layout, spoil
from tests.proof.command import BAD_USAGE, FINISHED, STOPPED, Command, complains, finish
from tests.proof.crawlfile import check_invariants, outcome
from tests.proof.site import Site
from tests.servers.web import WebServer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.web import Answer, Asked

OPTIONS = ("--quiet", "-s", "retry_wait=0.01", "-s", "drain_timeout=0")


def test_a_damaged_crawl_is_repaired_and_goes_on(tmp_path: Path) -> None:
    """What it says leads from one command to the next, and the exit codes are those of the contract."""
    command, state = Command(tmp_path), tmp_path / "a.crawl"
    with WebServer(Site().answer) as server:
        arguments = ("run", server.url, *OPTIONS, "--state", "a.crawl", "-o", "a.jsonl")
        assert command.run(*arguments, "--max-pages", "150").code == STOPPED
        assert command.run("repair", "a.crawl").out == "a.crawl is sound; nothing was changed\n"
        spoil(
            state,
            set(Layout(state).pages("sqlite_schema leaf", "request internal", "result internal")),
            random.Random(1),
        )
        complains(command.run(*arguments), BAD_USAGE, r"a\.crawl", "damaged", r"crawl repair a\.crawl")
        complains(command.run("status", "a.crawl"), BAD_USAGE, r"a\.crawl", "damaged", r"crawl repair a\.crawl")

        ended = command.run("repair", "a.crawl")
        assert ended.code == FINISHED, ended.err
        assert "a.crawl was damaged" in ended.out
        assert "a.crawl.damaged" in ended.out
        assert (tmp_path / "a.crawl.damaged").exists()
        assert "lost: nothing that is known" in ended.out
        check_invariants(state)
        assert command.run(*arguments).code == FINISHED
        check_invariants(state)

        calm = ("run", server.url, *OPTIONS, "--state", "calm.crawl", "-o", "calm.jsonl")
        assert command.run(*calm).code == FINISHED
    assert outcome(state, tmp_path / "a.jsonl") == outcome(tmp_path / "calm.crawl", tmp_path / "calm.jsonl")


def test_a_repaired_crawl_that_knows_of_no_output_any_more_says_so(tmp_path: Path) -> None:
    """Its old output is not overwritten, and a new one gets every item."""
    command, state = Command(tmp_path), tmp_path / "a.crawl"
    with WebServer(Site().answer) as server:
        run = ("run", server.url, *OPTIONS, "--state", "a.crawl")
        assert command.run(*run, "-o", "a.jsonl", "--max-pages", "150").code == STOPPED
        spoil(state, set(Layout(state).pages("export leaf", "sqlite_autoindex_export_1 leaf")), random.Random(1))
        ended = command.run("repair", "a.crawl")
        assert ended.code == FINISHED, ended.err
        assert "it knows of no output file" in ended.out
        kept = (tmp_path / "a.jsonl").read_bytes()
        complains(command.run(*run, "-o", "a.jsonl"), BAD_USAGE, r"a\.jsonl", "--yes")
        assert (tmp_path / "a.jsonl").read_bytes() == kept
        assert command.run(*run, "-o", "b.jsonl").code == FINISHED

        calm = ("run", server.url, *OPTIONS, "--state", "calm.crawl", "-o", "calm.jsonl")
        assert command.run(*calm).code == FINISHED
    assert outcome(state, tmp_path / "b.jsonl") == outcome(tmp_path / "calm.crawl", tmp_path / "calm.jsonl")


def test_a_copy_of_a_running_crawl_resumes_exactly(tmp_path: Path) -> None:
    """The original is stopped in the middle; its copy, with an output of its own, comes to what a calm crawl comes to."""
    site, held = Site(), "/7/15/detail"

    def answer(asked: Asked) -> Answer | None:
        return None if is_held and asked.target == held else site.answer(asked)

    is_held = True
    command = Command(tmp_path)
    with WebServer(answer) as server:
        run = ("run", server.url, *OPTIONS)
        process = command.start(*run, "--state", "a.crawl", "-o", "a.jsonl", "-s", "read_timeout=60")
        assert server.wait(lambda journal: any(asked.target == held for asked in journal))
        complains(command.run("repair", "a.crawl"), BAD_USAGE, "another process")
        copied = command.run("backup", "a.crawl", "b.crawl")
        assert copied.code == FINISHED, copied.err
        assert "wrote b.crawl: " in copied.err
        assert json.loads(command.run("status", "b.crawl", "--json").out)["state"] == "paused"
        check_invariants(tmp_path / "b.crawl")
        complains(command.run("backup", "a.crawl", "b.crawl"), BAD_USAGE, "b.crawl exists")
        process.terminate()
        assert finish(process).code == STOPPED

        is_held = False
        for name in ("b", "calm"):
            ended = command.run(*run, "--state", f"{name}.crawl", "-o", f"{name}.jsonl")
            assert ended.code == FINISHED, ended.err
    check_invariants(tmp_path / "b.crawl")
    assert outcome(tmp_path / "b.crawl", tmp_path / "b.jsonl") == outcome(
        tmp_path / "calm.crawl", tmp_path / "calm.jsonl"
    )
