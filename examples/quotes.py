"""Items and pagination: every quote of a site that spreads them over many pages.

crawl run examples/quotes.py -o quotes.jsonl
"""

from crawler import Page, Spider


class Quotes(Spider):
    start_urls = ["https://quotes.toscrape.com/"]

    def parse(self, page: Page):
        for quote in page.css("div.quote"):
            yield {
                "text": quote.css_first(".text").text(),
                "author": quote.css_first(".author").text(),
                "tags": [tag.text() for tag in quote.css(".tag")],
            }
        yield page.follow("li.next a")
