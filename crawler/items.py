"""What a callback gives: read to its end, sorted into items and requests, and made ready to be kept."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from types import AsyncGeneratorType, FrameType, GeneratorType
from typing import Any, NamedTuple

import msgspec

from crawler.errors import Retry, SpiderError, Stop, wish_of
from crawler.request import Links, Request

_MOST_CHARACTERS = 128 << 20
"""Of everything that a page gives. SQLite takes a thousand million bytes at once, and memory must be bounded."""

_CHARACTERS_AT_ONCE = 4 << 20
"""Of items that are copied from one file to another: thousands, if they are of usual size."""

_EACH = 16
"""The weight of each thing besides its characters: a callback may also give small ones without end."""

_LINK = 8
"""The weight of a link of the page: there are only so many on a page, unless they are given again and again."""

# Kinds of things that are given, as constants: a union in an `isinstance` call would be made anew for every page.
_REQUESTS = (Links, Request)
_LISTS = (list, tuple)
_READ_ONE_BY_ONE = (GeneratorType, Iterator)
_GENERATORS = (GeneratorType, AsyncGeneratorType)
_NEVER_KEPT = (*_REQUESTS, *_LISTS, *_GENERATORS)


class Harvest(msgspec.Struct):
    """Everything that one callback gave: `items` as JSON texts, and requests as `found`. `canonical`: the URL that the page names as its
    canonical one, if that was asked for."""

    items: list[str] = msgspec.field(default_factory=list)
    found: list[Request | Links] = msgspec.field(default_factory=list)
    canonical: str | None = None
    weight: int = 0
    """Characters of items, and of what the spider itself wrote into requests: URLs, headers, bodies, contexts; and some for each."""
    stop: str | None = None
    """Why the crawl is to end here (`Stop`); None if the callback did not say so."""
    dropped: int = 0
    """How many items the spider's `keep_item` has dropped."""

    def take(self, given: Any) -> None:
        """Add one thing that was given; the members of a list one by one, None not at all."""
        if type(given) is dict:
            self._add(given)
        elif isinstance(given, _REQUESTS):
            kept, weight = as_kept(given)
            self._weigh(weight)
            self.found.append(kept)
        elif isinstance(given, _LISTS) and not hasattr(given, "_fields"):
            for one in given:
                self.take(one)
        elif isinstance(given, Harvest):
            self._merge(given)
        elif given is not None:
            self._add(given)

    def drop(self) -> None:
        """Count an item that is not kept."""
        self._weigh(_EACH)
        self.dropped += 1

    def _merge(self, other: Harvest) -> None:
        """Add what a ready-made spider has gathered from a callback of the user's."""
        self._weigh(other.weight)
        self.items += other.items
        self.found += other.found
        self.dropped += other.dropped
        self.stop = other.stop if self.stop is None else self.stop

    def _add(self, given: Any) -> None:
        item = encode(given)
        self._weigh(_EACH + len(item))
        self.items.append(item)

    def _weigh(self, weight: int) -> None:
        self.weight += weight
        if self.weight > _MOST_CHARACTERS:
            most = f"{_MOST_CHARACTERS >> 20} MiB"
            raise SpiderError(f"a page gave more than {most}; keep what is as large in a file of its own")


_NO_ITEMS = (*_REQUESTS, Harvest)
"""A harvest was sifted when a ready-made spider gathered it."""


class Sieve(NamedTuple):
    """What is kept of the items of a page: what the spider's `keep_item` returns for each."""

    keep_item: Callable[[Any, Any], Any]
    page: Any

    def placed(self, error: SpiderError) -> SpiderError | None:
        """The same error with the line where the method begins; None if that is not known."""
        code = getattr(self.keep_item, "__code__", None)
        return SpiderError(f"{code.co_filename}:{code.co_firstlineno}: {error} (in {code.co_name})") if code else None


async def gather(callback: Callable[..., Any], *arguments: Any, sieve: Sieve | None = None) -> Harvest:
    """Call a callback, and read what it returns, a value, a generator, a coroutine or an async generator, to its end or to where it, or
    the sieve, raises `Stop`. If tasks in a group of its own raise `Stop` or `Retry`, that counts as if it did (`wish_of`)."""
    harvest = Harvest()
    try:
        await _read(callback(*arguments), harvest, sieve)
    except Stop as raised:
        harvest.stop = str(raised)
    except BaseExceptionGroup as group:
        match wish_of(group):
            case Stop() as stop:
                harvest.stop = str(stop)
            case Retry() as retry:
                raise retry from None
            case None:
                raise
    return harvest


async def _read(given: Any, harvest: Harvest, sieve: Sieve | None) -> None:
    if not isinstance(given, GeneratorType) and inspect.isawaitable(given):
        given = await given
    if sieve is not None:
        await _sift_all(given, harvest, sieve)
        return
    try:
        if isinstance(given, _READ_ONE_BY_ONE):
            for one in given:
                harvest.take(one)
        elif isinstance(given, AsyncIterator):
            async for one in given:
                harvest.take(one)
        else:
            harvest.take(given)
    except SpiderError as error:
        if placed := _placed(error, given):
            raise placed from None
        raise


async def _sift_all(given: Any, harvest: Harvest, sieve: Sieve) -> None:
    """The same, with each item going through the sieve as soon as it is given."""
    if isinstance(given, _READ_ONE_BY_ONE):
        for one in given:
            await _sift(one, given, harvest, sieve)
    elif isinstance(given, AsyncIterator):
        async for one in given:
            await _sift(one, given, harvest, sieve)
    else:
        await _sift(given, given, harvest, sieve)


async def _sift(one: Any, given: Any, harvest: Harvest, sieve: Sieve) -> None:
    """Add one thing of what was `given`, or what the sieve keeps of it."""
    if isinstance(one, _LISTS) and not hasattr(one, "_fields"):
        for part in one:
            await _sift(part, given, harvest, sieve)
        return
    kept = one
    if one is not None and not isinstance(one, _NO_ITEMS):
        kept = sieve.keep_item(one, sieve.page)
        if inspect.isawaitable(kept):
            kept = await kept
    is_as_given = kept is one
    try:
        if is_as_given:
            harvest.take(one)
        elif kept is None:
            harvest.drop()
        else:
            _check_kept(kept)
            harvest.take(kept)
    except SpiderError as error:
        placed = _placed(error, given) if is_as_given or kept is None else sieve.placed(error)
        if placed:
            raise placed from None
        raise


def _check_kept(kept: Any) -> None:
    """Raise SpiderError for what a sieve may not give in place of an item, though a callback may."""
    if isinstance(kept, _NEVER_KEPT):
        hint = "; write return in place of yield" if isinstance(kept, _GENERATORS) else ""
        raise SpiderError(f"what is kept of an item is one item, or None, not {type(kept).__name__}{hint}")


def _placed(error: SpiderError, given: Any) -> SpiderError | None:
    """The same error with the line at which a generator has yielded what it is about. None for what is not a generator, or has ended: what
    the spider itself raises keeps its place."""
    if frame := _waiting_at(given):
        code = frame.f_code
        return SpiderError(f"{code.co_filename}:{frame.f_lineno}: {error} (in {code.co_name})")
    return None


def _waiting_at(given: Any) -> FrameType | None:
    """The frame in which a generator waits at a wrong thing that it has yielded; None for what is not a generator, or has ended."""
    return getattr(given, "gi_frame", None) or getattr(given, "ag_frame", None)


def as_kept(given: Request | Links) -> tuple[Request | Links, int]:
    """The same with its context as it will come back, plain data that nobody changes any more; and its weight (`Harvest.weight`). Raises
    SpiderError when JSON cannot hold the context."""
    weight = _EACH
    if isinstance(given, Request):
        weight += len(given.url) + len(given.body or b"")
        if given.headers:
            weight += sum(len(name) + len(value) for name, value in given.headers.items())
    elif given.are_canonical:
        weight += _LINK * len(given.urls)
    else:
        weight += sum(map(len, given.urls))
    if given.context is None:
        return given, weight
    text = encoded(given.context, "the context of a request")
    context = msgspec.json.decode(text)
    if isinstance(given, Links):
        return dataclasses.replace(given, context=context, are_canonical=True), weight + len(text)
    return msgspec.structs.replace(given, context=context), weight + len(text)


def portion(items: Iterable[str], most: int) -> list[str]:
    """The next items of many, to be in memory together: up to `most`, or fewer if they are large."""
    texts: list[str] = []
    characters = 0
    for text in items:
        texts.append(text)
        characters += len(text)
        if len(texts) >= most or characters >= _CHARACTERS_AT_ONCE:
            break
    return texts


def encode(item: Any) -> str:
    """An item as a JSON object in one line. Raises SpiderError when it is not an object, or contains what JSON cannot hold."""
    text = encoded(item, "an item")
    if not text.startswith("{"):
        kind = type(item).__name__
        hint = "; to follow a URL yield Request(url) or page.follow(...)" if isinstance(item, str) else ""
        raise SpiderError(f"an item must be a mapping or an object with fields, not {kind}: {text[:80]}{hint}")
    return text


def encoded(value: Any, what: str) -> str:
    """A value as JSON in one line. Raises SpiderError, which calls it `what`, when JSON cannot hold it.

    JSON that is given as such, as `msgspec.Raw`, is copied as it is, and so has to be checked: with invalid JSON in one item, nobody could
    read the whole file.
    """
    try:
        data = _encoder.encode(value)
        _look_through(data)
        text = data.decode()
        return msgspec.json.format(text, indent=-1) if "\n" in text or "\r" in text else text
    except (TypeError, ValueError, RecursionError, msgspec.DecodeError) as error:  # half a surrogate pair, say
        raise SpiderError(f"{what} cannot be written as JSON: {error}") from None


def _plain(value: Any) -> Any:
    """A value that msgspec does not know, as one that it does: subclasses of `str`, pydantic's models and the URLs in them, paths, and
    mappings and sets by their protocols."""
    if isinstance(value, str):
        return str.__str__(value)
    for name in ("model_dump", "unicode_string", "__fspath__"):
        if callable(plain := getattr(value, name, None)):
            return plain()
    if hasattr(value, "keys"):
        return dict(value)
    if hasattr(value, "css_first"):  # a node, which is iterable, too, or a whole page
        raise TypeError(f"a {type(value).__name__} is part of a page; take its text() or one of its attributes")
    if hasattr(value, "__iter__"):
        return list(value)
    raise TypeError(f"a {type(value).__name__} is nothing JSON can hold; give its text or its parts")


_encoder = msgspec.json.Encoder(enc_hook=_plain)
_look_through = msgspec.json.Decoder(msgspec.Raw).decode
