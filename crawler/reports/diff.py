"""What has changed from one crawl to another: pages that were added, that are gone, and that differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from crawler.frontier.endings import Ending, endings
from crawler.frontier.kept import Bodies
from crawler.outcome import kind_of
from crawler.store import DIGEST_LETTERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.frontier.statefile import StateFile

COMPARED: Final = ("status", "final_url", "content_type", "size", "error", "skipped")
COLUMNS: Final = ("change", "url", "differs", *(f"{age}_{name}" for name in COMPARED for age in ("old", "new")))

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class DiffCounts:
    """How many URLs were added, are gone, have changed, are the same, or still wait in one of the crawls. `same_by_size`: how many of
    those that are the same were compared by size only."""

    added: int = 0
    gone: int = 0
    changed: int = 0
    same: int = 0
    waiting: int = 0
    same_by_size: int = 0


class Diff:
    """Compares two crawl files URL by URL. Both are read in the order of URLs, so this takes no memory for them.

    A URL counts if it was fetched, if that failed, or if it is a duplicate of one that was; what else was skipped does not count. Nothing
    is said about a URL that still waits. Which of two URLs of one page a crawl meets first is chance, so for a duplicate only the page
    that it leads to is compared.
    """

    def __init__(self, old: StateFile, new: StateFile) -> None:
        self._old, self._new = old, new
        self._old_bodies, self._new_bodies = Bodies(old), Bodies(new)
        self.counts = DiffCounts()

    def rows(self) -> Iterator[str]:
        """The changes as JSON texts, with `COLUMNS`. Raises StateDamaged when a body cannot be read."""
        for before, after in _paired(endings(self._old), endings(self._new)):
            if change := self._judge(before, after):
                yield _row(*change, before, after)

    def _judge(self, before: Ending | None, after: Ending | None) -> tuple[str, list[str]] | None:
        """How a URL has changed, and in what it differs; None if it has not, as far as can be said."""
        was_there, is_there = (ending is not None and ending.is_there for ending in (before, after))
        if not (was_there or is_there):
            return None
        if any(ending is not None and ending.state is None for ending in (before, after)):
            self.counts.waiting += 1
            return None
        if before is None or not was_there:
            self.counts.added += 1
            return "added", []
        if after is None or not is_there:
            self.counts.gone += 1
            return "gone", []
        if differences := self._differences(before, after):
            self.counts.changed += 1
            return "changed", differences
        self.counts.same += 1
        self.counts.same_by_size += bool(before.size and None in (before.body, after.body))
        return None

    def _differences(self, before: Ending, after: Ending) -> list[str]:
        if before.is_duplicate or after.is_duplicate:
            return ["final_url"] if before.final_url != after.final_url else []
        differences = [name for name in ("status", "final_url", "content_type") if _differ(before, after, name)]
        if _kind_of(before.error) != _kind_of(after.error):  # what follows the kind may contain seconds and ports
            differences.append("error")
        if self._bodies_differ(before, after):
            differences.append("body")
        return differences

    def _bodies_differ(self, before: Ending, after: Ending) -> bool:
        if before.size != after.size:
            return True
        if before.body is None or after.body is None:
            return False
        if before.body == after.body and len(before.body) == DIGEST_LETTERS:
            return False
        return self._old_bodies.of(before.url, before.body) != self._new_bodies.of(after.url, after.body)


def _paired(olds: Iterator[Ending], news: Iterator[Ending]) -> Iterator[tuple[Ending | None, Ending | None]]:
    """Both sides of each URL; both come in the order of URLs."""
    old, new = next(olds, None), next(news, None)
    while old is not None or new is not None:
        if new is None or (old is not None and old.url < new.url):
            yield old, None
            old = next(olds, None)
        elif old is None or new.url < old.url:
            yield None, new
            new = next(news, None)
        else:
            yield old, new
            old, new = next(olds, None), next(news, None)


def _differ(before: Ending, after: Ending, name: str) -> bool:
    return bool(getattr(before, name) != getattr(after, name))


def _kind_of(error: str | None) -> str | None:
    return None if error is None else kind_of(error)


def _row(change: str, differences: list[str], before: Ending | None, after: Ending | None) -> str:
    known = after or before
    assert known is not None
    row: dict[str, object] = {"change": change, "url": known.url, "differs": " ".join(differences)}
    for name in COMPARED:
        row[f"old_{name}"] = getattr(before, name, None)
        row[f"new_{name}"] = getattr(after, name, None)
    return _encode(row).decode()
