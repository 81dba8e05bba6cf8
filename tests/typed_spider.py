"""The spider that README and the guides begin with, as they show it: here mypy reads it."""

# ruff: noqa: RUF012 - spiders as users write them

from crawler import Page, Spider


class Books(Spider):
    start_urls = ["https://library.example/"]

    def parse(self, page: Page) -> object:
        yield page.follow_all("li.book a", callback=self.book)
        yield page.follow("a[rel=next]")

    def book(self, page: Page) -> object:
        yield {
            "title": page.one("h1").text(),
            "author": page.one(".author").text(),
            "year": int(page.one(".year").text()),
        }
