"""The work that a frontier is measured by, the same for ours and for its peers: a web of links, and a meter.

Links come by pages, as a crawl finds them. Each page lies on one of many hosts, and its links do mostly, too.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

Page: TypeAlias = "list[str]"

LINKS_A_PAGE = 100
NEW_IN_MIXED = 20
PAGES_AT_ONCE = 100
PARTS = 10
URLS_A_HOST = 100

_NEAR = 60
"""Of the known links of a mixed page so many lead to its own host, the rest to anywhere."""


class Frontier(Protocol):
    """A frontier to be measured."""

    async def offer(self, pages: Sequence[Page]) -> None:
        """Take in the links of pages; those that are known change nothing."""

    async def take(self, number: int) -> int:
        """Hand out about `number` requests and note each as done; returns how many."""

    async def close(self) -> None:
        """Keep what is to be kept."""

    def disk_bytes(self) -> int:
        """The size of all it keeps on disk."""


@dataclass(frozen=True, slots=True)
class Part:
    """A tenth of the growth: rates a second of wall time (`…_a_cpu_second`: of CPU time), and how large things are by then."""

    urls: int
    new_a_second: float
    new_a_cpu_second: float
    offered_a_second: float
    offered_a_cpu_second: float
    resident_bytes: int
    disk_bytes: int


@dataclass(frozen=True, slots=True)
class Growth:
    """What came of it all. `offered` counts links, known ones too; `seconds` and `cpu_seconds` are those in the frontier."""

    parts: list[Part]
    offered: int
    taken: int
    taken_a_second: float
    taken_a_cpu_second: float
    close_seconds: float
    peak_bytes: int
    disk_bytes: int
    seconds: float
    cpu_seconds: float

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        fields = json.loads(text)
        return cls(**{**fields, "parts": [Part(**part) for part in fields["parts"]]})


class Weblinks:
    """Pages of links. New URLs are numbered; `size` is how many there are. The same `seed` gives the same pages."""

    def __init__(self, hosts: int, *, seed: int = 1) -> None:
        self.size = 0
        self._hosts = hosts
        self._random = Random(seed)

    def new_page(self) -> Page:
        """A page whose links are all new."""
        return [self._next() for _ in range(LINKS_A_PAGE)]

    def mixed_page(self) -> Page:
        """A page of which four fifths of the links are known."""
        draw, group = self._random.random, self.size // NEW_IN_MIXED
        rounds = group // self._hosts
        known = {
            self._url((group - self._hosts * int(draw() * rounds + 1)) * NEW_IN_MIXED + int(draw() * NEW_IN_MIXED))
            for _ in range(_NEAR if rounds else 0)
        }
        while len(known) < LINKS_A_PAGE - NEW_IN_MIXED:
            known.add(self._url(int(draw() * self.size)))
        return [*known, *(self._next() for _ in range(NEW_IN_MIXED))]

    def _next(self) -> str:
        self.size += 1
        return self._url(self.size - 1)

    def _url(self, number: int) -> str:
        """Twenty neighbours share a host, and hosts take turns."""
        group = number // NEW_IN_MIXED
        return f"https://www.site-{group % self._hosts:06}.example/articles/{group}/page-{number}.html"


class Meter:
    """Adds up the time spent within it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cpu_seconds = 0.0

    def __enter__(self) -> Self:
        self._begin = time.perf_counter(), time.process_time()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds += time.perf_counter() - self._begin[0]
        self.cpu_seconds += time.process_time() - self._begin[1]


async def grow(frontier: Frontier, *, urls: int, taken: int, report: Callable[[Part], None]) -> Growth:
    """Let a frontier grow to `urls` by ten parts, each half by pages all new and half by mixed ones; then take requests.

    `urls` is a multiple of 2,000, so that all pages are whole.
    """
    web = Weblinks(max(urls // URLS_A_HOST, 1))
    parts: list[Part] = []
    everything = Meter()
    offered = 0
    for number in range(PARTS):
        begin, end = urls * number // PARTS, urls * (number + 1) // PARTS
        fresh, mixed = Meter(), Meter()
        middle = (begin + end) // 2
        new = await _offer(frontier, web.new_page, (middle - begin) // LINKS_A_PAGE, meters=(fresh, everything))
        known_and_new = await _offer(
            frontier, web.mixed_page, (end - middle) // NEW_IN_MIXED, meters=(mixed, everything)
        )
        offered += new + known_and_new
        part = Part(
            urls=web.size,
            new_a_second=new / fresh.seconds,
            new_a_cpu_second=new / fresh.cpu_seconds,
            offered_a_second=known_and_new / mixed.seconds,
            offered_a_cpu_second=known_and_new / mixed.cpu_seconds,
            resident_bytes=memory("VmRSS"),
            disk_bytes=frontier.disk_bytes(),
        )
        parts.append(part)
        report(part)
    taking, closing = Meter(), Meter()
    with taking, everything:
        number_taken = await frontier.take(taken)
    with closing, everything:
        await frontier.close()
    return Growth(
        parts=parts,
        offered=offered,
        taken=number_taken,
        taken_a_second=number_taken / taking.seconds,
        taken_a_cpu_second=number_taken / taking.cpu_seconds,
        close_seconds=closing.seconds,
        peak_bytes=memory("VmHWM"),
        disk_bytes=frontier.disk_bytes(),
        seconds=everything.seconds,
        cpu_seconds=everything.cpu_seconds,
    )


async def _offer(frontier: Frontier, make: Callable[[], Page], pages: int, *, meters: tuple[Meter, Meter]) -> int:
    """Offer so many pages; returns the number of links. Making them is not measured."""
    own, everything = meters
    for first in range(0, pages, PAGES_AT_ONCE):
        some = [make() for _ in range(min(PAGES_AT_ONCE, pages - first))]
        with own, everything:
            await frontier.offer(some)
    return pages * LINKS_A_PAGE


def memory(name: str) -> int:
    """How much memory of this process is resident (VmRSS), or was at most (VmHWM), in bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(f"{name}:"))


def size_of(*paths: Path) -> int:
    """What files, and all files in folders, take up on disk together."""
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()]
    return sum(file.stat().st_size for file in files)
