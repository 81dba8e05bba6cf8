"""The `crawl` command in a folder of its own, run beside the test's event loop, which serves the sites."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

import pytest

from tests.proof.command import Command, Ended

if TYPE_CHECKING:
    from pathlib import Path


class Crawl(Protocol):
    """Runs `crawl` with these arguments to its end."""

    async def __call__(self, *arguments: str | Path) -> Ended: ...


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture
def crawl(command: Command) -> Crawl:
    async def run(*arguments: str | Path) -> Ended:
        return await asyncio.to_thread(command.run, *arguments)

    return run
