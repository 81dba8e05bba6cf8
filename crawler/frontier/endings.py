"""What became of each URL of a crawl, in the order of URLs: for comparing crawls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from crawler.outcome import Skip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.frontier.statefile import StateFile

_ENDINGS = """
SELECT request.url, result.state, result.status, coalesce(result.final_url, request.url), result.content_type, result.size,
       CASE result.state WHEN 'failed' THEN result.detail END, result.reason, response.body, max(request.id)
FROM request LEFT JOIN result ON result.request = request.id LEFT JOIN response ON response.request = request.id
GROUP BY request.url ORDER BY request.url"""


class Ending(NamedTuple):
    """What became of the last request of a URL, as in the view `pages`. `state`: None while it waits; `body`: the digest under which
    its body is kept, None if it is not."""

    url: str
    state: Literal["done", "failed", "skipped"] | None
    status: int | None
    final_url: str
    content_type: str | None
    size: int | None
    error: str | None
    skipped: str | None
    body: str | None

    @property
    def is_duplicate(self) -> bool:
        """Whether the crawl has the page under another URL."""
        return self.skipped == Skip.DUPLICATE.value

    @property
    def is_there(self) -> bool:
        """Whether the crawl fetched it, tried to, or has it under another URL."""
        return self.state in ("done", "failed") or self.is_duplicate


def endings(file: StateFile) -> Iterator[Ending]:
    """What became of each URL that the crawl has found."""
    for *ending, _ in file.query(_ENDINGS):
        yield Ending(*ending)
