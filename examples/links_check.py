"""Failures: the links of a site that lead nowhere, and the page on which each was first found.

crawl run examples/links_check.py -a site=https://your.site/ -o dead.csv

Pages of other sites are fetched, once each, but their own links are not followed.
"""

from urllib.parse import urlsplit

from crawler import ErrorText, Page, Request, Spider


class LinksCheck(Spider):
    site: str = "http://localhost:8000/"
    scope = "any"

    def start(self):
        yield Request(self.site)

    def parse(self, page: Page):
        host = urlsplit(page.url).netloc
        home = page.context.get("home", host)  # where the first page is in the end: redirects may lead to another host
        if host == home:
            yield page.follow_all(context={"home": home, "found_on": page.url})

    def failed(self, request: Request, error: ErrorText):
        """Called in place of `parse` if no page came: a missing one, an unknown host, a time-out."""
        return {"url": request.url, "problem": error, "found_on": (request.context or {}).get("found_on")}
