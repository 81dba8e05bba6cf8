"""After a power cut a crawl file always opens, holds what a checkpoint has made durable, and goes on to the exact end.

The seed is drawn anew for each run and printed: CUT_SEED=… repeats it, as far as the crawl's own timing allows.
"""

from __future__ import annotations

import os
import random
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from crawler.frontier import SqliteFrontier
from tests.proof.command import FINISHED, Command, finish
from tests.proof.crawlfile import check_invariants, outcome, query
from tests.proof.powercut import Files, Snapshot, cuts, least, take
from tests.proof.site import SPIDER, Site
from tests.servers.web import WebServer

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

SNAPSHOTS = 16
RESUMED = 6
OPTIONS = ("--concurrency", "8", "--per-host", "8", "-s", "retry_wait=0.02", "-s", "commit_pages=8", "--quiet")
POLL = 0.001


@pytest.fixture
def dice() -> random.Random:
    seed = int(os.environ.get("CUT_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
    print(f"CUT_SEED={seed}")
    return random.Random(seed)


async def test_a_power_cut_at_any_instant_loses_only_the_last_commits(tmp_path: Path, dice: random.Random) -> None:
    """Snapshots of a whole crawl, between checkpoints that are made meanwhile; from each, what a power cut could leave. What was
    seen does not fit into memory."""
    with WebServer(Site().answer) as server:
        command = Command(tmp_path, is_measured=False)
        (tmp_path / "notes.py").write_text(f"{SPIDER}\n    start_urls = [{server.url!r}]\n", encoding="utf-8")
        state, output = tmp_path / "a.crawl", tmp_path / "a.jsonl"
        crawl = ("run", "notes.py", *OPTIONS, "-s", "remembered=100", "--state", state, "-o", output)
        calm = tmp_path / "calm.crawl", tmp_path / "calm.jsonl"
        assert command.run("run", "notes.py", *OPTIONS, "--state", calm[0], "-o", calm[1]).code == FINISHED
        requests = len(server.journal())
        moments = sorted(requests + dice.randrange(2, requests - 2) for _ in range(SNAPSHOTS))
        snapshots = _follow(command.start(*crawl), server, state, output, moments)
        assert sum(bool(snapshot.synced) for snapshot in snapshots) >= 2, "no checkpoint was made"

        left: list[Files] = []
        for earlier, snapshot in pairwise((None, *snapshots)):
            assert snapshot is not None
            durable = _told(least(snapshot), state, output)
            everything: set[Any] | None = None
            for files in cuts(snapshot, earlier, dice):
                told = _told(files, state, output)
                everything = everything or told
                assert durable <= told <= everything, files.how
                left.append(files)
                await (await SqliteFrontier.open(state, spider="notes")).close()
                check_invariants(state)

        expected = outcome(*calm)
        for files in dice.sample(left, RESUMED):
            files.put(state, output)
            ended = command.run(*crawl)
            assert ended.code == FINISHED, (files.how, ended.err)
            check_invariants(state)
            assert outcome(state, output) == expected, files.how
    print(f"{len(left)} power cuts in {len(snapshots)} snapshots, {RESUMED} of them resumed to the end")


def _follow(
    process: subprocess.Popen[str],
    server: WebServer,
    state: Path,
    output: Path,
    moments: list[int],
) -> list[Snapshot]:
    """Take a snapshot whenever the server has seen as many requests as the next of `moments` says, each third after
    a checkpoint; until the crawl ends."""
    snapshots = []
    for number, moment in enumerate(moments):
        while len(server.journal()) < moment and process.poll() is None:
            time.sleep(POLL)
        if process.poll() is not None:
            break
        snapshots.append(take(process, state, output, checkpoint=number % 3 == 2))
    assert finish(process).code == FINISHED
    return [snapshot for snapshot in snapshots if snapshot.database or snapshot.log]


def _told(files: Files, state: Path, output: Path) -> set[Any]:
    """Put the files there, open them as SQLite does after a crash, and return what they tell: results and items."""
    files.put(state, output)
    if not query(state, "SELECT 1 FROM sqlite_schema WHERE name = 'request'"):
        return set()
    check_invariants(state)
    told = query(state, "SELECT request, state FROM result UNION ALL SELECT id, data FROM item")
    return set(told)
