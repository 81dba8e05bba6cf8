"""A crawl may be killed at any moment: resumed, it ends as one that ran undisturbed, to the last byte.

The seed is drawn anew for each run and printed, so that what was found can be found again: KILL_SEED=… repeats it.
How many kills the long test strikes is said by KILLS=….
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.crawler.frontier.test_migrations import kept
from tests.proof.command import FINISHED, STOPPED, Command, finish
from tests.proof.crawlfile import Outcome, check_export, check_invariants, outcome, read_items
from tests.proof.interruption import Interruptions
from tests.proof.site import SPIDER, Site
from tests.servers import corpus
from tests.servers.nginx import Nginx
from tests.servers.web import WebServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.web import Answer, Asked

OPTIONS = ("--concurrency", "16", "--per-host", "16", "-s", "retry_wait=0.02", "-s", "commit_interval=0.02")
"""Commits come fast, so that a crawl gets on between two kills that are a fraction of a second apart."""
FORGETFUL = ("-s", "remembered=100")
"""What was seen does not fit into memory by far."""
LONG_KILLS = int(os.environ.get("KILLS", "100"))
SECONDS_A_KILL = 30
"""Many times what one takes."""


@pytest.fixture
def dice() -> random.Random:
    seed = int(os.environ.get("KILL_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
    print(f"KILL_SEED={seed}")
    return random.Random(seed)


class Trial:
    """One site crawled twice into files of their own: `calm` and `disturbed`. The spider is given as to `crawl run`."""

    def __init__(self, folder: Path, target: str, ending: str = ".jsonl", *, is_measured: bool = True) -> None:
        self.folder = folder
        self.target = target
        self.ending = ending
        self.command = Command(folder, is_measured=is_measured)

    def output(self, name: str) -> Path:
        return self.folder / f"{name}{self.ending}"

    def state(self, name: str) -> Path:
        return self.folder / f"{name}.crawl"

    def arguments(self, name: str, *options: str, quiet: bool = True) -> list[str | Path]:
        options = (*OPTIONS, *options, *(["--quiet"] if quiet else []))
        return ["run", self.target, *options, "--state", self.state(name), "-o", self.output(name)]

    def run(self, name: str, *options: str) -> None:
        ended = self.command.run(*self.arguments(name, *options))
        assert ended.code == FINISHED, ended.err
        check_invariants(self.state(name))

    def outcome(self, name: str, *ignoring: str) -> Outcome:
        return outcome(self.state(name), self.output(name), ignoring=ignoring)


def site_spider(folder: Path, url: str) -> str:
    del folder
    return url


def notes_spider(folder: Path, url: str) -> str:
    (folder / "notes.py").write_text(f"{SPIDER}\n    start_urls = [{url!r}]\n", encoding="utf-8")
    return "notes.py"


@pytest.mark.parametrize(
    ("target", "ending", "stop", "processes", "forgetful"),
    [
        (site_spider, ".jsonl", signal.SIGKILL, 1, FORGETFUL),
        (notes_spider, ".jsonl", signal.SIGKILL, 1, ()),
        (notes_spider, ".csv", signal.SIGKILL, 1, FORGETFUL),
        (notes_spider, ".sqlite", signal.SIGKILL, 1, ()),
        (site_spider, ".parquet", signal.SIGKILL, 1, ()),
        (notes_spider, ".jsonl", signal.SIGINT, 1, FORGETFUL),
        (site_spider, ".csv", signal.SIGTERM, 1, ()),
        (notes_spider, ".jsonl", signal.SIGKILL, 2, FORGETFUL),
        (site_spider, ".jsonl", signal.SIGINT, 3, ()),
    ],
    ids=[
        "site-jsonl-kill",
        "notes-jsonl-kill",
        "notes-csv-kill",
        "notes-sqlite-kill",
        "site-parquet-kill",
        "notes-jsonl-int",
        "site-csv-term",
        "notes-jsonl-kill-2",
        "site-jsonl-int-3",
    ],
)
def test_an_interrupted_crawl_ends_like_an_undisturbed_one(
    tmp_path: Path,
    server: WebServer,
    dice: random.Random,
    target: Callable[[Path, str], str],
    ending: str,
    stop: signal.Signals,
    processes: int,
    forgetful: tuple[str, ...],
) -> None:
    # What is killed leaves no data of its coverage; the rest of these crawls goes no way of its own, but with little memory.
    is_measured = stop != signal.SIGKILL or forgetful != ()
    trial = Trial(tmp_path, target(tmp_path, server.url), ending, is_measured=is_measured)
    trial.run("calm", "--keep-bodies")
    requests = len(server.journal())
    calm = trial.outcome("calm")
    assert len(calm.items) > 300

    interruptions = Interruptions(
        command=trial.command,
        arguments=trial.arguments("disturbed", "--processes", str(processes), "--keep-bodies", *forgetful),
        state=trial.state("disturbed"),
        output=trial.output("disturbed"),
        progress=lambda: len(server.journal()),
        random=dice,
        every=requests // 6,
        signal=stop,
        at_most=12,
    )
    assert interruptions.run_to_the_end() > 0
    check_invariants(trial.state("disturbed"))
    assert trial.outcome("disturbed") == calm
    bodies = kept(trial.state("disturbed"))
    assert len(bodies) == len(calm.done)
    assert bodies == kept(trial.state("calm"))


def test_a_crawl_whose_readers_are_killed_ends_like_an_undisturbed_one(
    tmp_path: Path, server: WebServer, dice: random.Random
) -> None:
    """What a reader had is read again, each page alone. Between two kills lie several times as many requests as there are pages under
    way, so that none of them is with a reader that dies twice, and blamed."""
    trial = Trial(tmp_path, notes_spider(tmp_path, server.url))
    trial.run("calm")
    requests = len(server.journal())
    process = trial.command.start(*trial.arguments("disturbed", "--processes", "2"))
    moment, killed = requests, 0
    for _ in range(4):
        moment += dice.randint(requests // 7, requests // 5)
        assert server.wait(lambda journal, moment=moment: len(journal) >= moment)  # type: ignore[misc]
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii")
        for reader in children.split():
            os.kill(int(reader), signal.SIGKILL)
            killed += 1
    ended = finish(process)
    assert ended.code == FINISHED, ended.err
    assert ended.err.count("it was killed by SIGKILL; another one takes its place") == killed >= 4
    check_invariants(trial.state("disturbed"))
    assert trial.outcome("disturbed") == trial.outcome("calm")


def test_a_second_interrupt_stops_at_once_and_loses_nothing(tmp_path: Path) -> None:
    """Some pages never answer, and there is an hour to drain: only the second signal can end the crawl."""
    site = Site()
    answers_all = threading.Event()
    answers_all.set()

    def answer(asked: Asked) -> Answer | None:
        return site.answer(asked) if answers_all.is_set() or not asked.target.endswith("detail") else None

    with WebServer(answer) as server:
        trial = Trial(tmp_path, server.url)
        trial.run("calm")
        answers_all.clear()
        seen = len(server.journal())
        process = trial.command.start(*trial.arguments("disturbed", "-s", "drain_timeout=3600", quiet=False))
        assert server.wait(lambda journal: any(asked.target.endswith("detail") for asked in journal[seen:]))
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert any("stopping" in line for line in process.stderr), "the first interrupt went without a word"
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert finish(process).code == STOPPED
        check_invariants(trial.state("disturbed"))
        check_export(trial.state("disturbed"), trial.output("disturbed"))

        answers_all.set()
        trial.run("disturbed")
        assert trial.outcome("disturbed") == trial.outcome("calm")


def test_the_status_of_a_stopped_crawl_is_paused(tmp_path: Path, server: WebServer) -> None:
    """Whoever stops a crawl finds it again as paused, with nothing leased, and finished after the next run."""
    trial = Trial(tmp_path, server.url)
    process = trial.command.start(*trial.arguments("disturbed"))
    assert server.wait(lambda journal: len(journal) > 50)
    process.send_signal(signal.SIGTERM)
    assert finish(process).code == STOPPED
    paused = json.loads(trial.command.run("status", trial.state("disturbed"), "--json").out)
    assert (paused["state"], paused["urls"]["leased"]) == ("paused", 0)
    trial.run("disturbed")
    finished = json.loads(trial.command.run("status", trial.state("disturbed"), "--json").out)
    assert (finished["state"], finished["urls"]["queued"]) == ("finished", 0)
    assert finished["items"] == len(read_items(trial.output("disturbed")))


@pytest.mark.long
@pytest.mark.timeout(600 + SECONDS_A_KILL * LONG_KILLS)
def test_many_kills(tmp_path: Path, dice: random.Random) -> None:
    """Whole crawls, of the generated site and of the corpus in turn, half of them in too little memory for what was seen, until as
    many kills as promised have struck."""
    if lacking := corpus.missing():
        pytest.skip(f"not installed: {', '.join(lacking)}")
    kills, crawls = 0, 0
    site, root = Site(), corpus.build(tmp_path / "root")
    with WebServer(site.answer) as generated, Nginx(root, _folder(tmp_path / "nginx")) as real:
        for number in itertools.count():
            if kills >= LONG_KILLS:
                break
            is_real = number % 3 == 2
            url, progress = (real.url, real.answers) if is_real else (generated.url, lambda: len(generated.journal()))
            trial = Trial(_folder(tmp_path / str(number)), url, ".csv" if number % 2 else ".jsonl")
            before = progress()
            options = ("--no-robots",) if is_real else ()
            trial.run("calm", *options)
            struck = Interruptions(
                command=trial.command,
                arguments=trial.arguments("disturbed", *options, *(FORGETFUL if number % 4 < 2 else ())),
                state=trial.state("disturbed"),
                output=trial.output("disturbed"),
                progress=progress,
                random=dice,
                every=(progress() - before) // 16,
            )
            kills += struck.run_to_the_end()
            crawls += 1
            check_invariants(trial.state("disturbed"))
            # In the corpus, how deep a page lies depends on who found it first.
            ignoring = ("depth",) if is_real else ()
            assert trial.outcome("disturbed", *ignoring) == trial.outcome("calm", *ignoring)
            shutil.rmtree(trial.folder)
            print(f"crawl {crawls} of {url}: {len(struck.moments)} kills, {kills} in all: nothing lost, nothing twice")
    print(f"{kills} kills over {crawls} whole crawls: 0 lost, 0 duplicated, no torn line")


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
