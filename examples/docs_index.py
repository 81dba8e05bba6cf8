"""Callbacks and context: which functions and classes the modules of Python's library document, chapter by chapter.

crawl run examples/docs_index.py -o library.csv

`parse` reads the index, and `module` the page of each module. Only the index knows the chapter, so it travels with the requests.
"""

from crawler import Page, Request, Spider


class DocsIndex(Spider):
    index: str = "https://docs.python.org/3/library/index.html"

    def start(self):
        yield Request(self.index)

    def parse(self, page: Page):
        for entry in page.css("li.toctree-l1"):
            chapter = entry.css_first("a").text()
            yield page.follow_all(entry.css("li.toctree-l2 > a"), callback=self.module, context={"chapter": chapter})

    def module(self, page: Page):
        names = [term.id for term in page.css("dt.sig[id]")]
        if names:
            yield {"chapter": page.context["chapter"], "url": page.url, "title": page.title, "names": names}
