"""The demo's spider: what one for a site of your own could look like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.spider import Spider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.page import Page
    from crawler.request import Links


class FieldGuide(Spider):
    """Walks the whole guide, and takes an item from each page about a species."""

    name = "demo"

    def parse(self, page: Page) -> Iterator[dict[str, str | int | None] | Links]:
        cells = [cell.text() for cell in page.css("td")]
        if cells:
            family, name, hunts, length = cells
            yield {
                "species": page.title,
                "name": name,
                "family": family,
                "hunts": hunts,
                "length_mm": int(length.removesuffix(" mm")),
            }
        yield page.follow_all()
