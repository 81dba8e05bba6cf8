"""What a spider asks for: a `Request`, or a batch of plain `Links`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.structs import force_setattr

from crawler.web.urls import normalize

Callback: TypeAlias = str | Callable[..., Any] | None
"""A method of the spider, or its name; None means `parse`. It is kept by name: nothing is pickled."""


def callback_name(callback: Callback) -> str | None:
    """The name under which a callback is kept."""
    return callback.__name__ if callable(callback) else callback


class _Named(Struct, frozen=True):
    """The URL may be given by its place; all else that makes a request is given by name."""

    url: str


class Request(_Named, frozen=True, kw_only=True):
    """One thing to fetch.

    `url` is brought to its canonical form, without fragment. Of the requests of one host those of higher `priority` go
    first, then the earlier found. `context` is the spider's own data, anything JSON can hold: it is kept in the crawl
    file and comes back as `page.context`. What was asked for before (same method, URL and body) is not asked for again
    unless `again` is set.

    Raises InvalidUrl when `url` is no absolute http or https URL.
    """

    method: str = "GET"
    headers: Mapping[str, str] | None = None
    body: bytes | None = None
    callback: Callback = None
    priority: int = 0
    context: Mapping[str, Any] | None = None
    again: bool = False

    def __post_init__(self) -> None:
        force_setattr(self, "url", normalize(self.url))


@dataclass(frozen=True, slots=True)
class Links(Sequence[Request]):
    """Many plain GET requests that share everything but the URL, as found on one page.

    To a spider it is a sequence of `Request`; the crawler takes the `urls` as they are and makes no object for each. They
    are canonical already and each is there once (`crawler.web.urls.resolve` makes such lists).
    """

    urls: Sequence[str]
    _: KW_ONLY
    callback: Callback = None
    priority: int = 0
    context: Mapping[str, Any] | None = None

    def __len__(self) -> int:
        return len(self.urls)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Links(self.urls[index], callback=self.callback, priority=self.priority, context=self.context)
        return self._request(self.urls[index])

    def __iter__(self) -> Iterator[Request]:
        return map(self._request, self.urls)

    def _request(self, url: str) -> Request:
        return Request(url, callback=self.callback, priority=self.priority, context=self.context)
