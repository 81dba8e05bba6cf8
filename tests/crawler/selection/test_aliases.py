"""Canonical URLs are believed as far as they can be true."""

from __future__ import annotations

from multidict import CIMultiDict, CIMultiDictProxy

from client.origin import HostKey
from crawler.frontier.protocol import Lease
from crawler.page import Page
from crawler.selection.aliases import Aliases

HOST = "http://h.example"


def alias(
    aliases: Aliases, path: str, canonical: str, *, redirects: tuple[str, ...] = (), method: str = "GET"
) -> str | None:
    """What is believed of the page at a path that names a canonical URL."""
    url = HOST + path
    lease = Lease(
        id=1, host=HostKey("h.example"), url=url, method=method, depth=1, requested_url=url, redirects=redirects
    )
    headers = CIMultiDictProxy(CIMultiDict({"Link": f"<{canonical}>; rel=canonical"}))
    page = Page(lease, url=url, status=200, headers=headers, body=b"", fetched_at=0.0, elapsed=0.0)
    believed = aliases.of(lease, page.url, page.directives.canonical)
    return believed and believed.removeprefix(HOST)


def test_another_name() -> None:
    assert alias(Aliases(), "/lamp?ref=home", "/lamp") == "/lamp"
    assert alias(Aliases(), "/copy", "/original") == "/original"


def test_no_other_name() -> None:
    assert alias(Aliases(), "/lamp", "/lamp") is None
    assert alias(Aliases(), "/lamp", "/") is None
    assert alias(Aliases(), "/lamp", "http://other.example/lamp") is None


def test_what_led_to_the_page_is_no_other_name() -> None:
    """A site that sends visitors on, to remember where they came from, has them back at the page that they asked for."""
    assert alias(Aliases(), "/lamp?welcome", "/lamp", redirects=(f"{HOST}/lamp",)) is None


def test_the_answer_to_a_post_is_no_page_with_a_name() -> None:
    assert alias(Aliases(), "/lamp?ref=home", "/lamp", method="POST") is None


def test_a_name_that_unlike_pages_share_is_believed_a_few_times() -> None:
    """Templates that name one page for all would cost every page."""
    aliases = Aliases()
    claims = [alias(aliases, f"/{path}", "/welcome") for path in ("a", "b", "c", "d", "e")]
    assert claims == ["/welcome"] * 3 + [None] * 2
    assert alias(aliases, "/d", "/other") == "/other"


def test_a_name_that_like_pages_share_is_believed() -> None:
    """There is no end to the orders, filters and sessions of one list."""
    aliases = Aliases()
    claims = {alias(aliases, f"/list?sort={letter}", "/list") for letter in "abcdefgh"}
    assert claims == {"/list"}
