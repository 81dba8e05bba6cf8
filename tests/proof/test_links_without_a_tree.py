"""On thousands of real pages, a scan finds the links, the base and the title that the tree holds; and none is refused a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crawler.web import encoding
from crawler.web.costs import multiplies
from crawler.web.scan import scan
from tests.servers import corpus
from tests.trees import by_scan, by_tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_DOUBTS = 0.001


@pytest.mark.corpus
@pytest.mark.parametrize("section", corpus.SECTIONS, ids=lambda section: section.package)
def test_a_scan_finds_what_the_tree_holds(section: corpus.Section) -> None:
    """Nearly always: where it is in doubt, it says so, and no more than one page in a thousand gives reason to."""
    if corpus.missing([section]):
        pytest.skip(f"not installed here: {section.package}")
    pages = links = 0
    doubtful: list[Path] = []
    for file in _pages(section.folder):
        document = _utf_8(file.read_bytes())
        assert not multiplies(document), file
        found = scan(document)
        pages += 1
        if found is None:
            doubtful.append(file)
        else:
            links += len(found.references)
            assert by_scan(found) == by_tree(document), file
    print(f"{section.package}: {links:,} links on {pages:,} pages; {len(doubtful)} are left to the tree")
    assert pages > 500
    assert links > pages
    assert len(doubtful) <= MAX_DOUBTS * pages, doubtful


def _pages(folder: Path) -> Iterator[Path]:
    for suffix in ("html", "htm"):
        yield from (file for file in folder.rglob(f"*.{suffix}") if file.is_file())


def _utf_8(body: bytes) -> bytes:
    """A body as a page gives it to those who read UTF-8."""
    name = encoding.encoding_of(body, "text/html")
    if name == encoding.UTF_8:
        return encoding.without_mark(body, name)
    return encoding.decode(body, name).encode()
