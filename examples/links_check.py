"""Failures: the links of a site that lead nowhere, and the pages on which they stand.

crawl run examples/links_check.py -a site=https://your.site/ -o dead.csv

Pages of other sites are asked for, once each, but their own links are not followed.
"""

from urllib.parse import urlsplit

from crawler import Page, Request, Spider


class LinksCheck(Spider):
    site: str = "http://localhost:8000/"
    scope = "any"

    def start(self):
        yield Request(self.site)

    def parse(self, page: Page):
        host = urlsplit(page.url).netloc
        home = page.context.get("home", host)  # where the first page is at last, be it written or redirected otherwise
        if host == home:
            yield page.follow_all(context={"home": home, "found_on": page.url})

    def failed(self, request: Request, error: str):
        """Called where `parse` would have been, had there been a page: a missing one, an unknown host, a time-out."""
        return {"url": request.url, "problem": error, "found_on": (request.context or {}).get("found_on")}
