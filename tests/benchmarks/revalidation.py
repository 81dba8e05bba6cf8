"""What it costs to ask of each page whether it has changed, when none has: CPU of a crawl, beside one that fetches all.

    python -m tests.benchmarks.revalidation [ROUNDS]

Rounds of three kinds are run in turns: whole crawls, without and with their bodies kept, and crawls that ask of the pages of such a one.
Pages of Debian's documentation, from nginx on loopback.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
from pathlib import Path
from statistics import median

from tests.benchmarks.sites import SITES
from tests.proof.command import Command

KINDS = {
    "whole": [],
    "whole, kept": ["--keep-bodies"],
    "asked about, kept": ["--keep-bodies", "--revalidate", "first.crawl"],
}


def cpu_of_a_page(command: Command, url: str, name: str, *options: str) -> tuple[float, str]:
    """Crawl anew; the microseconds of CPU for each page, and what was done."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    anew = ["--fresh", "--yes"] if (command.folder / name).exists() else []
    ended = command.run(
        "run", url, "--state", name, *anew, *options, "--json", "--quiet", "--no-robots", "--per-host", "16"
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = json.loads(ended.out)
    done, known = figures["urls"]["done"], figures.get("not_modified", {"pages": 0, "bytes": 0})
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    sent = figures["bytes"] - known["bytes"]
    return (
        seconds / done * 1e6,
        f"{done:,} pages, {known['pages']:,} not modified, {sent / done:,.0f} bytes a page sent",
    )


def main(rounds: int) -> None:
    site = next(site for site in SITES if site.sections)
    with tempfile.TemporaryDirectory() as name, site.served(Path(name)) as served:
        command = Command(Path(name))
        cpu_of_a_page(command, served.start, "first.crawl", "--keep-bodies")
        taken: dict[str, list[float]] = {kind: [] for kind in KINDS}
        told = {}
        for _ in range(rounds):
            for kind, options in KINDS.items():
                microseconds, told[kind] = cpu_of_a_page(command, served.start, "crawl.crawl", *options)
                taken[kind].append(microseconds)
        for kind, times in taken.items():
            ratio = median(time / kept for time, kept in zip(times, taken["whole, kept"], strict=True))
            print(f"{kind:18} {median(times):5.0f} µs ({min(times):.0f}-{max(times):.0f}), {ratio:.2f}; {told[kind]}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
