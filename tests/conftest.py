"""What tests of every floor may need: the command, and the site of real pages."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.proof.command import Command
from tests.servers import corpus
from tests.servers.nginx import Nginx, find_nginx

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as shells have it for what runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("unhurried", deadline=None)  # how long an example takes says how busy the machine is
settings.load_profile("unhurried")


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """Two more than there are processors: many a test waits for processes and servers."""
    return (yield) + 2


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """`crawl`, run in a folder of its own."""
    folder = tmp_path / "work"
    folder.mkdir()
    return Command(folder)


@pytest.fixture
def corpus_root(tmp_path: Path) -> Path:
    """The folder of the corpus, for nginx to serve; the test is skipped where either is not installed."""
    if lacking := corpus.missing() + ([] if find_nginx() else ["nginx-light"]):
        pytest.skip(f"not installed here: {', '.join(lacking)}")
    return corpus.build(tmp_path / "root")


@pytest.fixture
def corpus_server(corpus_root: Path, tmp_path: Path) -> Iterator[Nginx]:
    """The corpus, served."""
    folder = tmp_path / "nginx"
    folder.mkdir()
    with Nginx(corpus_root, folder) as server:
        yield server
