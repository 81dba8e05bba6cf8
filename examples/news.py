"""Feeds: the articles of a blog back to its first, each with the number of its words.

crawl run examples/news.py -o articles.jsonl
"""

from crawler import Page
from spiders.feed import FeedSpider


class News(FeedSpider):
    start_urls = ["https://pyfound.blogspot.com/"]

    def item(self, entry, page):
        return {"title": entry.title, "published": entry.published, "url": entry.url}

    def parse_entry(self, page: Page):
        article = page.css_first("article, .post-body") or page.dom.body
        yield {**page.context["entry"], "words": len(article.text().split())}
