"""The sites that are made up are what they claim to be: whoever follows their links comes to all of their pages."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from selectolax.lexbor import LexborHTMLParser

from tests.servers import generated, tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PORT = 8080


def _reached(start: str, read: Callable[[str], bytes | None]) -> set[str]:
    """The URLs of all pages that links lead to from `start`; `read` returns None for what is no page."""
    found, waiting = {start}, [start]
    reached = set()
    while waiting:
        url = waiting.pop()
        if (body := read(url)) is None:
            continue
        reached.add(url)
        for node in LexborHTMLParser(body).css("a[href]"):
            link = urljoin(url, node.attributes["href"] or "").partition("#")[0]
            if link.startswith("http:") and link not in found:
                found.add(link)
                waiting.append(link)
    return reached


def test_all_pages_of_all_hosts_are_reached_from_one(tmp_path: Path) -> None:
    hosts = generated.addresses(3)
    generated.build(tmp_path, hosts, PORT)

    def read(url: str) -> bytes:
        parts = urlsplit(url)
        assert parts.port == PORT
        path = f"{parts.path}index.html" if parts.path.endswith("/") else parts.path
        return (tmp_path / str(parts.hostname) / path.lstrip("/")).read_bytes()

    assert len(_reached(f"http://{hosts[0]}:{PORT}/", read)) == 3 * generated.PAGES_OF_HOST


def test_hosts_are_made_up_the_same_every_time(tmp_path: Path) -> None:
    for name in ("one", "other"):
        generated.build(tmp_path / name, generated.addresses(2), PORT)
    page = "127.0.1.2/s3/page12.html"
    assert (tmp_path / "one" / page).read_bytes() == (tmp_path / "other" / page).read_bytes()


def test_a_tree_has_as_many_pages_as_it_is_told() -> None:
    def read(url: str) -> bytes:
        name = urlsplit(url).path.strip("/").removesuffix(".html") or "0"
        assert int(name) < 1234
        return tree.page(int(name), 1234)

    assert len(_reached("http://127.0.0.1/", read)) == 1234
