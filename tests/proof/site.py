"""A generated site for crawls that are interrupted: a few hundred pages, and everything that sends a crawler back.

How deep each page lies does not depend on the order of fetching, so that two crawls can be compared to the last byte:
links lead one level down, or to pages that are known by then. Some pages are redirected (once, twice, to a page of their
own or to one long known), are forbidden, are missing, fail at first, or fail for ever.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tests.servers.web import NOT_FOUND, Answer, page, redirect

if TYPE_CHECKING:
    from tests.servers.web import Asked

SECTIONS = 8
ARTICLES = 16

SPIDER = '''\
from crawler import Page, Spider


class Notes(Spider):
    """Two items a page, with all that could tear a line; links are followed."""

    async def parse(self, page: Page):
        title = page.css_first("title").text()
        yield {"url": page.url, "note": 1, "text": f'"{title}",\\r\\n… second line'}
        yield {"url": page.url, "note": 2, "text": "ω" * (len(title) % 40)}
        yield page.follow_all("a")
'''


class Site:
    """Answers for the whole site. It remembers which pages it has let fail once."""

    def __init__(self) -> None:
        self._failed_once: set[str] = set()
        self._lock = threading.Lock()

    def answer(self, asked: Asked) -> Answer:
        match asked.target.strip("/").split("/"):
            case [""]:
                return page("Home", [f"/{section}" for section in range(SECTIONS)])
            case ["robots.txt"]:
                return Answer(body=b"User-agent: *\nDisallow: /private", headers={"Content-Type": "text/plain"})
            case [section]:
                return page(f"Section {section}", [f"/{section}/{article}" for article in range(ARTICLES)])
            case [section, article]:
                return self._article(section, int(article))
            case [section, article, "unsteady"] if self._is_first(asked.target):
                return _fail(int(article))
            case [section, article, "moved"]:
                return redirect(f"/{section}/{article}/here", 301)
            case [section, article, "moved-twice"]:
                return redirect(f"/{section}/{article}/half-way", 307)
            case [section, article, "half-way"]:
                return redirect(f"/{section}/{article}/there")
            case [section, _, "home"]:
                return redirect("/")
            case [_, _, "missing"]:
                return NOT_FOUND
            case [_, _, "broken"]:
                return Answer(status=500)
            case [_, _, "cut"]:
                return Answer(body=b"x" * 2000, hang_up=500)
            case _:
                return page(asked.target, ["/"])

    def _article(self, section: str, article: int) -> Answer:
        here = f"/{section}/{article}"
        neighbours = [f"/{section}/{number}" for number in (article - 1, article + 1) if 0 <= number < ARTICLES]
        ends = ("moved", "unsteady", "missing", "home", "moved-twice", "unsteady", "plain", "unsteady")
        rare = {
            "private": article == 3,
            "broken": article == 5 and section == "1",
            "cut": article == 7 and section == "2",
        }
        links = ["/", f"/{section}", *neighbours, f"{here}/{ends[article % len(ends)]}", f"{here}/detail"]
        links += [f"{here}/{name}" for name, is_here in rare.items() if is_here and name != "private"]
        links += [f"/private{here}"] if rare["private"] else []
        return page(f"Article {article} of section {section}", [*links, f"{here}#top", "mailto:nobody@example.com"])

    def _is_first(self, target: str) -> bool:
        with self._lock:
            is_first = target not in self._failed_once
            self._failed_once.add(target)
        return is_first


def _fail(number: int) -> Answer:
    """A failure that a crawler should get over: a server that is busy, or a connection that breaks."""
    if number % 2:
        return Answer(status=503, headers={"Retry-After": "0"})
    return Answer(body=b"x" * 2000, hang_up=100)
