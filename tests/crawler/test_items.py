"""What callbacks give."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pytest

from crawler.errors import SpiderError
from crawler.items import encode, gather, portion
from crawler.request import Links, Request
from crawler.spider import ErrorText
from crawler.testing import page_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

REQUEST = Request("http://h.example/")
LINKS = Links(["http://h.example/1"])
HEADING = page_of("http://h.example/", "<h1>The <b>library</b></h1>").one("h1")


@dataclass
class Book:
    title: str
    price: float


class Point(NamedTuple):
    x: int


def plain() -> list[Any]:
    return [{"a": 1}, REQUEST, None, [LINKS, {"b": 2}]]


def generator() -> Iterator[Any]:
    yield from plain()


async def coroutine() -> list[Any]:
    return plain()


async def async_generator() -> AsyncIterator[Any]:
    for one in plain():
        yield one


@pytest.mark.parametrize("callback", [plain, generator, coroutine, async_generator])
async def test_every_kind_of_callback_gives_the_same(callback: Any) -> None:
    harvest = await gather(callback)
    assert harvest.items == ['{"a":1}', '{"b":2}']
    assert harvest.found == [REQUEST, LINKS]


async def test_nothing_gives_nothing() -> None:
    harvest = await gather(lambda: None)
    assert not harvest.items
    assert not harvest.found


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"a": [1, None, "ü"]}, {"a": [1, None, "ü"]}),
        (Book("Moby", 9.5), {"title": "Moby", "price": 9.5}),
        (OrderedDict(z=1, a=2), {"z": 1, "a": 2}),
        ({"at": datetime(2026, 1, 2, tzinfo=UTC)}, {"at": "2026-01-02T00:00:00Z"}),
        ({"tags": {"x"}}, {"tags": ["x"]}),
        ({"gen": (n for n in (1, 2))}, {"gen": [1, 2]}),
        ({1: "number"}, {"1": "number"}),
        ({"file": PurePosixPath("a/b")}, {"file": "a/b"}),
        ({"error": ErrorText("dns: none")}, {"error": "dns: none"}),
    ],
)
def test_items_are_anything_json_can_hold(item: Any, expected: Any) -> None:
    text = encode(item)
    assert json.loads(text) == expected
    assert "\n" not in text


def test_models_are_items() -> None:
    """As pydantic has them."""

    class HttpUrl:
        def unicode_string(self) -> str:
            return "http://h.example/"

    class Model:
        def model_dump(self) -> dict[str, object]:
            return {"n": 1, "url": HttpUrl()}

    assert encode(Model()) == '{"n":1,"url":"http://h.example/"}'


@pytest.mark.parametrize(
    ("item", "complaint"),
    [
        ("http://h.example/", "yield Request"),
        (3, "not int"),
        (Point(1), "not Point"),
        ({"f": object()}, "a object is nothing JSON can hold"),
        ({"title": HEADING}, r"a LexborNode is part of a page; take its text\(\)"),
        ({"titles": [HEADING]}, r"a LexborNode is part of a page; take its text\(\)"),
        ({"s": "\ud800"}, "cannot be written as JSON"),
    ],
)
def test_what_is_no_item_is_explained(item: Any, complaint: str) -> None:
    with pytest.raises(SpiderError, match=complaint):
        encode(item)


async def test_what_is_no_item_is_told_with_the_line_that_yielded_it() -> None:
    def plain() -> Iterator[Any]:
        yield {"a": 1}
        yield "a text"

    async def asynchronous() -> AsyncIterator[Any]:
        yield "a text"

    for callback in plain, asynchronous:
        line = callback.__code__.co_firstlineno + (2 if callback is plain else 1)
        with pytest.raises(SpiderError) as caught:
            await gather(callback)
        assert str(caught.value).startswith(f"{__file__}:{line}: an item must be a mapping")
        assert str(caught.value).endswith(f"(in {callback.__name__})")


async def test_what_the_spider_raises_itself_keeps_its_place() -> None:
    def callback() -> Iterator[Any]:
        raise SpiderError("a selector that is none")
        yield

    with pytest.raises(SpiderError, match=r"^a selector that is none$") as caught:
        await gather(callback)
    assert caught.traceback[-1].name == "callback"


async def test_a_context_that_cannot_be_kept_is_refused() -> None:
    with pytest.raises(SpiderError, match="the context of a request"):
        await gather(lambda: Request("http://h.example/", context={"f": object()}))


async def test_what_a_callback_raises_comes_out() -> None:
    def callback() -> Iterator[Any]:
        yield {"a": 1}
        raise LookupError("no such thing")

    with pytest.raises(LookupError):
        await gather(callback)


TEXT = "x" * (32 << 20)
MANY = Links(["http://h.example/"] * 1_000_000, are_canonical=True)


@pytest.mark.parametrize(
    "give",
    [
        lambda: {"text": TEXT},
        lambda: Request("http://h.example/", context={"text": TEXT}),
        lambda: Request("http://h.example/", method="POST", body=TEXT.encode()),
        lambda: Links([f"http://h.example/{TEXT[: 1 << 20]}{number}" for number in range(32)]),
        lambda: MANY,
        lambda: Request(f"http://h.example/{TEXT[: 1 << 20]}"),
        lambda: Request("http://h.example/", headers={"X": TEXT[: 1 << 20]}),
    ],
    ids=["items", "contexts", "bodies", "links", "links of the page", "URLs", "headers"],
)
async def test_a_callback_that_gives_without_end_is_a_fault(give: Callable[[], Any]) -> None:
    def endless() -> Iterator[Any]:
        while True:
            yield give()

    with pytest.raises(SpiderError, match="a page gave more than 128 MiB"):
        await gather(endless)


@pytest.mark.parametrize("give", [lambda: {}, lambda: Links([])], ids=["items", "links"])
async def test_things_without_end_are_a_fault_however_small(
    monkeypatch: pytest.MonkeyPatch, give: Callable[[], Any]
) -> None:
    monkeypatch.setattr("crawler.items._MOST_CHARACTERS", 1 << 16)
    given = 0

    def endless() -> Iterator[Any]:
        nonlocal given
        while True:
            given += 1
            yield give()

    with pytest.raises(SpiderError, match="a page gave more than"):
        await gather(endless)
    assert given < 1 << 13


@pytest.mark.parametrize("text", ['{"n":', '1}, "x": {"n": 1', '"\\ud800"', "", "1.\n"])
def test_what_is_said_to_be_json_and_is_none_is_refused(text: str) -> None:
    """A page's body, say, that somebody passes on as it came. In the crawl file it would end each further run that has outputs."""
    with pytest.raises(SpiderError, match="cannot be written as JSON"):
        encode({"data": msgspec.Raw(text.encode())})


def test_what_is_json_already_is_kept_in_one_line() -> None:
    assert encode({"data": msgspec.Raw(b'{"n":  1.50}')}) == '{"data":{"n":  1.50}}'
    assert encode({"data": msgspec.Raw(b'{\r\n  "n": 1\n}')}) == '{"data":{"n":1}}'
    assert encode(msgspec.Raw(b'{"n":1}\n')) == '{"n":1}'
    assert encode({"data": msgspec.Raw(b"\n1e999")}) == '{"data":1e999}'


def test_of_large_items_fewer_are_in_memory_at_once() -> None:
    """A thousand pages in items would be as many as fill it."""
    items = iter(["x" * 1_000_000] * 10 + ["x"] * 2000)
    sizes = [len(texts) for texts in iter(lambda: portion(items, 1000), [])]
    assert sizes == [5, 5, 1000, 1000]
    assert portion(iter(["x" * 10_000_000] * 2), 1000) == ["x" * 10_000_000]
