"""Pages made by hand, for tests of spiders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from crawler import Page, Request, Spider
from crawler.errors import InvalidUrl, SpiderError
from crawler.testing import page_of, take

if TYPE_CHECKING:
    from collections.abc import Iterator


class Books(Spider):
    def parse(self, page: Page) -> Iterator[Any]:
        yield page.follow_all(callback=self.book)
        yield Request("http://h.example/x", body=b"1", method="POST")

    async def book(self, page: Page) -> Any:
        return {"title": page.title, "shelf": page.context["shelf"], "tags": ("a", "b")}

    def wrong(self, page: Page) -> Any:
        return Request("http://h.example/", callback="nothing")


async def test_requests_are_told_one_by_one() -> None:
    taken = await take(Books(), page_of("http://h.example/#top", "<a href=1>1</a><a href=2>2</a>"))
    assert taken.items == []
    assert [request.url for request in taken.requests] == [
        "http://h.example/1",
        "http://h.example/2",
        "http://h.example/x",
    ]


async def test_items_and_context_are_what_json_makes_of_them() -> None:
    page = page_of("http://h.example/1", "<title>Émile</title>", context={"shelf": (1, 2)})
    taken = await take(Books(), page, Books.book)
    assert taken.items == [{"title": "Émile", "shelf": [1, 2], "tags": ["a", "b"]}]


async def test_what_a_crawl_would_not_take_is_not_taken() -> None:
    with pytest.raises(SpiderError, match="has no method 'nothing'"):
        await take(Books(), page_of("http://h.example/"), "wrong")
    with pytest.raises(InvalidUrl):
        page_of("/relative")


def test_a_page_may_be_of_any_kind() -> None:
    page = page_of("http://h.example/", b'{"a": 1}', status=201, headers={"content-type": "application/json"})
    assert (page.status, page.content_type, page.is_html, page.json()) == (201, "application/json", False, {"a": 1})
