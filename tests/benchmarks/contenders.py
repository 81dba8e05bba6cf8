"""Who takes part in the benchmark of whole crawls, and how each is started."""

from __future__ import annotations

import json
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CONCURRENCY = 64
PEERS = Path(__file__).parent / "peers"
OUTPUT = "out.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A crawler. `command` starts it on a URL; it works in a folder of its own, and leaves its pages there in `OUTPUT`."""

    name: str
    note: str
    command: Callable[[str], list[str | Path]]


def _nephila(url: str) -> list[str | Path]:
    crawl = Path(sysconfig.get_path("scripts")) / "crawl"
    at_once = ["--concurrency", str(CONCURRENCY), "--per-host", str(CONCURRENCY)]
    return [crawl, "run", url, "--no-robots", *at_once, "--quiet", "-o", OUTPUT]


def _aiohttp(url: str) -> list[str | Path]:
    return [sys.executable, PEERS / "aiohttp_by_hand.py", url, OUTPUT]


def _scrapy(url: str) -> list[str | Path]:
    return [sys.executable, PEERS / "scrapy_spider.py", url, OUTPUT]


def _scrapy_with_jobdir(url: str) -> list[str | Path]:
    return [*_scrapy(url), "job"]


NEPHILA = Contender(name="Nephila", note="frontier, pages, links and items durable in one file", command=_nephila)
SCRAPY = Contender(name="Scrapy", note="tuned, all in memory", command=_scrapy)
CONTENDERS = (
    NEPHILA,
    Contender(name="aiohttp + selectolax", note="written by hand, on uvloop; nothing is kept", command=_aiohttp),
    SCRAPY,
    Contender(name="Scrapy with JOBDIR", note="tuned, its queue on disk", command=_scrapy_with_jobdir),
)


def visited(folder: Path) -> set[str]:
    """The HTML pages that a contender says it visited; SystemExit when one is there twice."""
    rows = [json.loads(line) for line in (folder / OUTPUT).read_text(encoding="utf-8").splitlines()]
    urls = [row["url"] for row in rows if row["status"] == 200]
    if len(urls) != len(set(urls)):
        raise SystemExit(f"{folder}: {len(urls) - len(set(urls))} pages were visited twice")
    return set(urls)
