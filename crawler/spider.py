"""The spider contract: what a user writes, and all that the crawler requires of it."""

from __future__ import annotations

import asyncio
import inspect
import logging
import typing
from datetime import date, datetime
from enum import Enum
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from crawler.errors import SpiderError
from crawler.request import Links, Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence

    from crawler.page import Page

_log = logging.getLogger(__name__)

SITEMAP = "sitemap"
"""The name of the callback of sitemaps."""

_WORDS = (
    (bool, "it takes true or false"),
    (int, "it takes a whole number"),
    (float, "it takes a number"),
    (date, "it takes a date, such as 2026-01-31"),
    (datetime, "it takes a date and a time, such as 2026-01-31T12:00:00"),
)
"""What an argument of each type takes, for the error about another value."""

READY_MADE = ("_paging", "_selectors", "feed", "listing", "rules", "site", "sitemap")
"""The modules of `spiders` that come with the program."""

_NESTED_SITEMAPS = 2
"""By the protocol, an index lists only sitemaps; some sites list indexes in an index."""


class ErrorText(str):
    """Why a request has failed for good: `kind: what happened`. `page` is the page that came with another status than 2xx, unless it was a
    redirect; None if nothing came, or a callback got it."""

    __slots__ = ("page",)

    page: Page | None

    def __new__(cls, text: str, page: Page | None = None) -> ErrorText:
        self = super().__new__(cls, text)
        self.page = page
        return self


class Spider:
    """Says what to crawl and what to take from each page.

    A subclass gives `start_urls` (or overrides `start`) and `parse`. It may declare arguments of its own as annotated class attributes;
    `-a key=value` and the constructor's keywords set them, converted to the declared type.

    Methods that give something may be plain or async, generators or not. They give requests (`Request`, `Links`), items (mappings,
    dataclasses, anything that can be a JSON object), lists of these, or None, which is ignored. Each item goes through `keep_item`.
    """

    name: ClassVar[str] = ""
    """The name of the crawl in reports and in its file's name; by default the class name in lower case. It is not inherited: two spiders
    with the same base are two crawls."""

    start_urls: Sequence[str] = ()
    scope: Any = None
    """Which URLs are followed: None for the hosts of the seeds, "any", a list of domains, or a `Scope`."""

    settings: Mapping[str, Any] = {}
    """Settings for this spider; the command line overrides them."""

    middlewares: Sequence[Callable[[Any, Any], Awaitable[Any]]] = ()
    """Functions that run around every fetch, the first outermost: each a `Middleware` (crawler/fetcher.py)."""

    def __init__(self, **arguments: Any) -> None:
        declared = arguments_of(type(self))
        for key, value in arguments.items():
            if key not in declared:
                known = ", ".join(sorted(declared)) or "none"
                raise SpiderError(f"{type(self).__name__} takes no argument {key!r}; it takes: {known}")
            try:
                setattr(self, key, _converted(value, declared[key]))
            except msgspec.ValidationError as error:
                wanted = _in_words(declared[key]) or error
                raise SpiderError(f"argument {key}={value!r} of {type(self).__name__}: {wanted}") from None

    def start(self) -> Iterable[Request | Links] | AsyncIterator[Request | Links]:
        """The seeds: by default one request for each of `start_urls`."""
        if isinstance(self.start_urls, str):
            raise SpiderError(
                f"start_urls of {type(self).__name__} is a string; it must be a list: [{self.start_urls!r}]"
            )
        return [Request(url) for url in self.start_urls]

    def parse(self, page: Page) -> Any:
        """What a page gives: items, and requests to make. The callback of requests that name none."""
        raise SpiderError(f"{type(self).__name__} has no parse method: write `def parse(self, page)`")

    async def sitemap(self, page: Page) -> list[Links]:
        """The callback of sitemaps found through the setting `sitemaps`. The pages that they list go to `parse`; further sitemaps come
        back here, nested at most twice. Feeds and lists of URLs count as sitemaps, too.
        """
        return await self.listed(page)

    async def listed(self, page: Page, *, since: date | None = None) -> list[Links]:
        """What a sitemap lists: its pages, and further sitemaps. With `since`, what has not changed since that day, according to
        `lastmod`, is left out."""
        from crawler.web import sitemaps

        listing = await asyncio.to_thread(sitemaps.read, page.url, page.body, since)
        if listing.problem:
            _log.warning("the sitemap %s was read in part: %s", page.url, listing.problem)
        level = page.context.get("level", 0) + 1
        pages = Links(listing.pages, are_canonical=True)
        further = Links(listing.sitemaps, callback=SITEMAP, context={"level": level}, are_canonical=True)
        return [pages, further] if level <= _NESTED_SITEMAPS else [pages]

    def failed(self, request: Request, error: ErrorText) -> Any:
        """Called once a request has failed for good; what it gives is treated as from `parse`. `error` is a string, `kind: what happened`;
        if a page came with another status, it is `error.page`."""
        return None

    def keep_item(self, item: Any, page: Any) -> Any:
        """What is kept of an item that a callback, or `failed`, gives: the item, another one, or None to drop it. Called for every item,
        with the page that it was taken from; may be async. `page` is None if `failed` gave the item for a request that brought no page;
        spiders without `failed` may declare it as a `Page`."""
        return item

    async def opened(self) -> None:
        """Called before the first request of a run."""

    async def closed(self) -> None:
        """Called after the last request of a run, however the run ended."""

    @classmethod
    def crawl_name(cls) -> str:
        """The `name` of this very class, or the class name in lower case."""
        own: str = vars(cls).get("name", "")
        return own or cls.__name__.lower()


def arguments_of(spider: type[Spider]) -> dict[str, Any]:
    """The arguments that a spider class takes, with their types: the annotated attributes of the classes derived from `Spider`, and
    `start_urls`. Raises SpiderError when annotations cannot be evaluated."""
    arguments: dict[str, Any] = {"start_urls": list[str]}
    for cls in reversed(spider.__mro__):
        if issubclass(cls, Spider) and cls is not Spider:
            try:
                hints = inspect.get_annotations(cls, eval_str=True)
            except Exception as error:
                raise SpiderError(f"the annotations of {cls.__name__} cannot be read: {error}") from None
            arguments.update(hints)
    return {
        name: hint
        for name, hint in arguments.items()
        if not name.startswith("_") and hint is not ClassVar and typing.get_origin(hint) is not ClassVar
    }


def _converted(value: Any, declared: Any) -> Any:
    """`value` as the declared type; a string may stand for a number, a path, or a list, separated by commas."""
    if isinstance(value, str) and (typing.get_origin(declared) or declared) in (list, tuple, set, frozenset):
        value = value.split(",") if value else []
    return msgspec.convert(value, declared, strict=False, dec_hook=lambda kind, text: kind(text))


def _in_words(declared: Any) -> str:
    """What an argument takes, for the error about another value; empty if msgspec says it well enough."""
    if typing.get_origin(declared) in (UnionType, typing.Union):
        kinds = [kind for kind in typing.get_args(declared) if kind is not NoneType]  # nobody writes None
        declared = kinds[0] if len(kinds) == 1 else declared
    if isinstance(declared, type) and issubclass(declared, Enum):
        return f"it takes {' or '.join(str(one.value) for one in declared)}"
    return next((words for kind, words in _WORDS if declared is kind), "")


def seedless(spider: Spider) -> SpiderError:
    """The error for a spider without seeds."""
    return SpiderError(
        f"{type(spider).__name__} has no seeds: give it start_urls (as arguments: -a start_urls=URL), or let start() yield some"
    )


def hears_of_failures(spider: Spider) -> bool:
    """Whether the spider overrides `failed`."""
    return type(spider).failed is not Spider.failed


def sifts_items(spider: Spider) -> bool:
    """Whether the spider overrides `keep_item`; otherwise all items are kept as they are."""
    return type(spider).keep_item is not Spider.keep_item


def callback_of(spider: Spider, name: str | None) -> Any:
    """The bound method called `name` (None: `parse`); raises SpiderError when the spider has no such method."""
    method = getattr(spider, name or "parse", None)
    if not inspect.ismethod(method):
        raise SpiderError(
            f"{type(spider).__name__} has no method {name!r}, which a request names as its callback{_instead_of(name, spider)}"
        )
    return method


def _instead_of(name: str | None, spider: Spider) -> str:
    """What may be meant by a callback that the spider does not have."""
    from difflib import get_close_matches

    if name == "<lambda>":
        return ": write a method, since the crawl file keeps callbacks by their names"
    kind = type(spider)
    methods = (one for one in dir(kind) if not one.startswith("_") and inspect.isfunction(getattr(kind, one)))
    close = get_close_matches(name or "", methods, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
