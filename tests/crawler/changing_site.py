"""A site whose pages say which version of them it is, and that answers whoever asks whether they have changed."""

from __future__ import annotations

from email.utils import formatdate
from typing import TYPE_CHECKING

from crawler import Retry, Spider
from tests.sites import page

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from crawler import Page
    from tests.sites import Reply, Visit

DAY = 86_400
NIGHT = 1_795_000_000.0


def dated(at: float) -> str:
    return formatdate(at, usegmt=True)


def versioned(reply: Reply, **validators: str) -> Reply:
    """A page with `etag`, `last_modified`, `vary` and whatever else is a header of it."""
    status, headers, body = reply
    return status, {**headers, **{name.replace("_", "-").title(): value for name, value in validators.items()}}, body


class ChangingSite:
    """Serves `pages`, which may be changed; to a condition that does not hold it answers 304, with `on_304` among the headers."""

    def __init__(self, pages: Mapping[str, Reply]) -> None:
        self.pages = dict(pages)
        self.on_304: dict[str, str] = {}
        self.night = NIGHT
        self.answers: list[tuple[str, int]] = []
        """The path and the status of each answer since the night began."""

    def next_night(self, **changed: Reply | None) -> None:
        """Forget what was answered, and change pages; by their paths without the slash before."""
        self.night += DAY
        self.answers.clear()
        for name, reply in changed.items():
            if reply is None:
                del self.pages[f"/{name}"]
            else:
                self.pages[f"/{name}"] = reply

    async def __call__(self, visit: Visit) -> Reply:
        status, headers, body = self.pages.get(visit.path, (404, {}, "<title>Not found</title>"))
        headers = {"Date": dated(self.night), **headers}
        if status == 200 and _is_known(visit, headers):
            told = {name: value for name, value in headers.items() if name in ("Date", "ETag", "Etag", "Vary")}
            status, headers, body = 304, {**told, **self.on_304}, b""
        self.answers.append((visit.path, status))
        return status, headers, body

    @property
    def statuses(self) -> dict[str, list[int]]:
        """What was answered, by path."""
        found: dict[str, list[int]] = {}
        for path, status in self.answers:
            found.setdefault(path, []).append(status)
        return found


def _is_known(visit: Visit, headers: Mapping[str, str]) -> bool:
    """RFC 9110 §13.2.2, as far as it concerns a GET."""
    if (tag := visit.headers.get("if-none-match")) is not None:
        return tag.removeprefix("W/") == headers.get("Etag", "").removeprefix("W/")
    return visit.headers.get("if-modified-since", "never") == headers.get("Last-Modified")


OLD = dated(NIGHT - 30 * DAY)

SITE: dict[str, Reply] = {
    "/": versioned(
        page("Home", "strong", "weak", "dated", "both", "plain", "varied", "moved", "now-moved", "robot", "raises",
             "text", "named", "changed", "gone", "sudden"), etag='"home"'),
    "/strong": versioned(page("Strong", "/deep/one"), etag='"1"'),
    "/deep/one": versioned(page("Deep", "../weak"), etag='"deep"'),
    "/weak": versioned(page("Weak"), etag='W/"1"'),
    "/dated": versioned(page("Dated"), last_modified=OLD),
    "/both": versioned(page("Both"), etag='"b"', last_modified=OLD, vary="Accept-Encoding, User-Agent"),
    "/plain": page("Plain"),
    "/varied": versioned(page("Varied"), last_modified=OLD, vary="Cookie"),
    "/sudden": versioned(page("Sudden"), last_modified=dated(NIGHT)),
    "/moved": (302, {"Location": "/target"}, ""),
    "/target": versioned(page("Target"), etag='"t"'),
    "/now-moved": versioned(page("Now moved"), etag='"n"'),
    "/robot": versioned(page("Robot", "/unfollowed"), etag='"r"', x_robots_tag="nofollow"),
    "/raises": versioned(page("Raises"), etag='"x"'),
    "/text": versioned((200, {"Content-Type": "text/plain; charset=latin-1"}, b"caf\xe9"), etag='"txt"'),
    "/named": versioned(page("Named", body='<link rel=canonical href="/strong">'), etag='"c"'),
    "/changed": versioned(page("Before"), etag='"before"', last_modified=OLD),
    "/gone": versioned(page("Gone"), etag='"g"'),
}  # fmt: skip

CHANGES: dict[str, Reply | None] = {
    "changed": versioned(page("After", "/new"), etag='"after"', last_modified=dated(NIGHT)),
    "new": versioned(page("New"), etag='"new"'),
    "gone": None,
    "now-moved": (301, {"Location": "/target"}, ""),
}

UNCHANGED = ("/", "/strong", "/deep/one", "/weak", "/dated", "/both", "/target", "/robot", "/text")
"""What a second night need not send again: all that was kept, and can tell."""


class Telling(Spider):
    """Tells all that a page says of itself, but for what is of the night."""

    def parse(self, page: Page) -> Iterator[Any]:
        if page.url.endswith("/raises"):
            raise ValueError("not this one")
        yield {
            "url": page.url,
            "status": page.status,
            "redirects": [page.requested_url, *page.redirects],
            "depth": page.depth,
            "referrer": page.referrer,
            "headers": sorted([name.lower(), value] for name, value in page.headers.items() if name.lower() != "date"),
            "text": page.text,
            "links": [*page.links(), *page.nofollow],
        }
        yield page.follow_all()


class Choosy(Spider):
    """Takes no page but one that has come."""

    def parse(self, page: Page) -> Iterator[Any]:
        if page.not_modified:
            raise Retry("it is the one of yesterday")
        yield page.follow_all()
