"""Spiders that reader processes load from this file."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit
from urllib.request import urlopen

import client
from crawler import ErrorText, File, Links, Request, Retry, Spider, Stop
from crawler.readers.messages import HostFreed, RequestSent, encode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from crawler import Page


class Number(int):
    """One that no format knows."""


class Everything(Spider):
    """Gives all that a spider can give, and tells all that a page says."""

    depth: int = 3

    def parse(self, page: Page) -> Iterator[Any]:
        yield {
            "url": page.url,
            "status": page.status,
            "path": [page.requested_url, *page.redirects],
            "depth": page.depth,
            "referrer": page.referrer,
            "context": page.context,
            "headers": [[name, value.encode("utf-8", "replace").decode()] for name, value in page.headers.items()][2:],
            "size": len(page.body),
            "title": page.title,
            "nofollow": page.nofollow,
            "canonical": page.directives.canonical,
        }
        yield page.follow_all(callback=self.article, priority=len(page.body) % 3, context={"from": page.url, "é": 1.5})
        if page.depth < self.depth:
            yield Request(page.urljoin("/form"), method="POST", headers={"X-From": "é"}, body=b"\xff", context={})
            odd: Any = {"again": "yes", "priority": Number(2)}
            yield page.follow(url="/again", **odd)
            yield page.follow_all("a", priority=Number(3))

    async def article(self, page: Page) -> AsyncIterator[Any]:
        await asyncio.sleep(0)
        yield {"article": page.url, "from": page.context["from"]}
        yield page.follow_all()
        yield Links([page.urljoin("x.html"), page.urljoin("y.html")], callback="article", context=page.context)
        if page.url.endswith("/raises"):
            raise ValueError("no article: é")

    def failed(self, request: Request, error: str) -> Any:
        return {"failed": request.url, "method": request.method, "context": request.context, "error": error}


class Killer(Spider):
    """Ends its process on some pages, in one of the ways in which a process ends."""

    on: tuple[str, ...] = ()
    how: str = "exit"

    async def parse(self, page: Page) -> AsyncIterator[Any]:
        yield {"path": page.url.partition("/")[2]}
        yield page.follow_all()
        await asyncio.sleep(0)  # others of the same process have begun by now
        if any(page.url.endswith(name) for name in self.on):
            _end(self.how)

    def failed(self, request: Request, error: str) -> Any:
        return {"failed": request.url, "error": error}


class KilledByFailure(Killer):
    def failed(self, request: Request, error: str) -> Any:
        _end("exit")


def _end(how: str) -> None:
    match how:
        case "exit":
            os._exit(7)
        case "leave":
            raise SystemExit(9)
        case "cancel":
            _own_task().cancel()
        case "crash":
            ctypes.string_at(0)
        case _:
            os.kill(os.getpid(), signal.SIGKILL)


def _own_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task
    return task


class Whereabouts(Spider):
    """Tells which process does what."""

    log: Path = Path("log")

    def _note(self, what: str) -> None:
        with self.log.open("a") as file:
            file.write(f"{what} {os.getpid()}\n")

    def start(self) -> list[Request]:
        self._note("start")
        return [Request(url) for url in self.start_urls]

    async def opened(self) -> None:
        self._note("opened")

    def parse(self, page: Page) -> Any:
        self._note("parse")
        return page.follow_all()

    def failed(self, request: Request, error: str) -> Any:
        self._note("failed")

    async def closed(self) -> None:
        self._note("closed")


class Follower(Spider):
    """Follows everything, wherever it leads, and says what it saw."""

    scope = "any"

    def parse(self, page: Page) -> Iterator[Any]:
        yield {"url": page.url, "title": page.title}
        yield page.follow_all()


class Insistent(Spider):
    """Follows what is on its seed; asks for a page again as long as it is called *Later*."""

    after: float | None = None

    def parse(self, page: Page) -> Iterator[Any]:
        yield page.follow_all()
        if page.depth:
            yield {"page": page.url.rpartition("/")[2]}
        if page.title == "Later":
            raise Retry("not yet ready: é", after=self.after)

    def failed(self, request: Request, error: str) -> Any:
        return {"failed": request.url.rpartition("/")[2]}


class Faulty(Follower):
    """Makes of a page what nothing can be made of."""

    def parse(self, page: Page) -> Iterator[Any]:
        yield from super().parse(page)
        if page.url.endswith("/odd"):
            page.body = None  # type: ignore[assignment]


class Patient(Spider):
    """Takes its time with each page: until `meeting`, the URL of another site, answers."""

    meeting: str = ""

    async def parse(self, page: Page) -> AsyncIterator[Any]:
        if page.depth == 0:
            yield page.follow_all()
            return
        async with client.request("GET", self.meeting):
            yield {"url": page.url}


class Held(Spider):
    """Is held up at `where` until `gate`, the URL of another site, answers: by waiting, or, if it `blocks`, with its process."""

    where: str = "parse"
    gate: str = ""
    blocks: bool = True

    async def _come_to(self, where: str) -> None:
        if where != self.where:
            return
        if self.blocks:
            with urlopen(self.gate):  # noqa: ASYNC210 - that is the point
                pass
        else:
            async with client.request("GET", self.gate):
                pass

    async def opened(self) -> None:
        await self._come_to("opened")

    async def parse(self, page: Page) -> AsyncIterator[Any]:
        yield {"url": page.url}
        yield page.follow_all()
        await self._come_to(page.url.rpartition("/")[2] or "parse")

    async def closed(self) -> None:
        await self._come_to("closed")


class Unencodable(Follower):
    """Gives what cannot be sent from one process to another."""

    def parse(self, page: Page) -> Iterator[Any]:
        class Form(bytes):
            __slots__ = ()

        yield from super().parse(page)
        if page.url.endswith("/form"):
            yield Request(page.url, method="POST", body=Form(b"x"))


class Scribbler(Follower):
    """Writes into every socket that it finds."""

    junk: str = ""

    def parse(self, page: Page) -> Iterator[Any]:
        yield from super().parse(page)
        if page.url.endswith("/junk"):
            for number in range(3, 100):
                with suppress(OSError):
                    if stat.S_ISSOCK(os.fstat(number).st_mode):
                        os.write(number, bytes.fromhex(self.junk))
            os.kill(os.getpid(), signal.SIGSTOP)  # whatever else it would say, it does not


class Misspoken(Follower):
    """Tells the crawl's process of requests that nobody knows of."""

    def parse(self, page: Page) -> Iterator[Any]:
        yield from super().parse(page)
        for message in (encode(RequestSent(9999)), encode(HostFreed(9999))):
            os.write(int(sys.argv[1]), len(message).to_bytes(4, "little") + message)


class Belated(Follower):
    """Cancels its task as soon as that is at something else; or, on a page called /late, once `gate`, the URL of another site,
    answers."""

    gate: str = ""

    def parse(self, page: Page) -> Iterator[Any]:
        yield from super().parse(page)
        if not self.gate:
            asyncio.get_running_loop().call_soon(_own_task().cancel)
        elif page.url.endswith("/late"):
            self.waiting = asyncio.create_task(self._cancel_later(_own_task()))

    async def _cancel_later(self, task: asyncio.Task[Any]) -> None:
        async with client.request("GET", self.gate):
            task.cancel()


class NotYet(Retry):
    """Made without what a Retry is made with."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def __str__(self) -> str:
        return f"{self.page.title} is not yet ready"


class Evasive(Follower):
    """Wants a page again, in its own words; or says what can be put into none."""

    def parse(self, page: Page) -> Iterator[Any]:
        yield from super().parse(page)
        if page.url.endswith("/again"):
            raise NotYet(page)
        if page.url.endswith("/odd"):
            raised = NotYet(page)
            raised.after = "soon"  # type: ignore[assignment]
            raise raised


class Forking(Follower):
    """Forks on some pages, and has the child come back, or leave."""

    def parse(self, page: Page) -> Iterator[Any]:
        yield from super().parse(page)
        name = page.url.rpartition("/")[2]
        if not name or (child := os.fork()):
            if name:
                yield {"code": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), "of": name}
        elif name == "leaves":
            sys.exit(5)
        elif name == "raises":
            raise LookupError("lost")


class Unopened(Spider):
    async def opened(self) -> None:
        raise LookupError("no model")


class Unclosed(Spider):
    def parse(self, page: Page) -> None:
        return None

    async def closed(self) -> None:
        raise LookupError("no room")


class Abandoned(Spider):
    """Gives up a task of its own, and is told of it."""

    async def parse(self, page: Page) -> None:
        task = asyncio.ensure_future(asyncio.sleep(3600))
        task.cancel()
        await task


class Particular(Spider):
    """Nobody else can know what it is made with."""

    def __init__(self, site: str) -> None:
        super().__init__(start_urls=[site])

    def parse(self, page: Page) -> Any:
        return {"url": page.url}


class Returning(Spider):
    """Asks for its seeds again with each run, and for what pages link to; items tell which way each page was come to."""

    def start(self) -> Iterator[Request | Links]:
        for seed in self.start_urls:
            yield Request(seed, again=True)

    def parse(self, page: Page) -> Iterator[Any]:
        yield {"asked": urlsplit(page.requested_url).path, "came": urlsplit(page.url).path}
        for link in page.links():
            yield Request(link, again=True)


class Choosy(Spider):
    """Has a patience of its own with some pages, as their paths say: `/hasty`, `/silent`, `/stubborn`, `/patient`."""

    def start(self) -> Iterator[Request | Links]:
        of_its_own: dict[str, Any] = {
            "hasty": {"total_timeout": 0.05, "max_attempts": 1},
            "silent": {"read_timeout": 0.05, "max_attempts": 2},
            "stubborn": {"max_attempts": 4},
            "patient": {"read_timeout": 60, "total_timeout": 60},
        }
        for url in self.start_urls:
            yield Request(url, **of_its_own[url.rpartition("/")[2]])

    def parse(self, page: Page) -> Iterator[Any]:
        yield {"came": urlsplit(page.requested_url).path}

    def failed(self, request: Request, error: str) -> Any:
        limits = (request.read_timeout, request.total_timeout, request.max_attempts)
        return {"failed": urlsplit(request.url).path, "by": error.partition(":")[0], "limits": limits}


class Mourner(Spider):
    """Tells of failures, and of the pages that came in the stead of others; what these link to is followed."""

    def parse(self, page: Page) -> Iterator[Any]:
        yield page.follow_all(context={"on": page.url, "é": 1})
        if page.url.endswith("/raises"):
            raise ValueError("no")
        if page.url.endswith("/again"):
            raise Retry("never")

    def failed(self, request: Request, error: ErrorText) -> Iterator[Any]:
        page = error.page
        told = None
        if page:
            told = {
                "status": page.status,
                "path": [urlsplit(url).path for url in (page.requested_url, *page.redirects, page.url)],
                "type": page.content_type,
                "odd": page.headers.get("X-Odd", "").encode("utf-8", "surrogateescape").hex(),
                "text": page.text,
                "title": page.title,
                "heading": [node.text() for node in page.css("h1")],
                "context": sorted(page.context),
                "depth": page.depth,
            }
            yield page.follow_all(callback=self.consolation)
        yield {"asked": urlsplit(request.url).path, "error": error, "page": told}

    def consolation(self, page: Page) -> Iterator[Any]:
        yield {"asked": urlsplit(page.url).path, "error": None, "page": None}


class Overdone(Spider):
    """Asks for less than nothing."""

    def parse(self, page: Page) -> Iterator[Any]:
        yield page.follow(url="/more", total_timeout=-1)


class Collector(Spider):
    """Takes every page but those whose title is a fault, and follows every link."""

    def parse(self, page: Page) -> Iterator[Any]:
        if page.title == "fault":
            raise LookupError("no title")
        yield {"page": urlsplit(page.url)._replace(scheme="", netloc="").geturl()}
        yield page.follow_all()


class Satisfied(Spider):
    """Has enough when it comes to `/enough`, or hears that it failed: says so by each kind of callback. Before, it gives what it has."""

    kind: str = "generator"
    name = "satisfied"

    def start(self) -> Iterator[Request | Links]:
        for seed in self.start_urls:
            yield Request(seed, callback=self.kind)

    def _given(self, page: Page) -> Iterator[Any]:
        yield {"page": urlsplit(page.url).path}
        yield page.follow_all(callback=self.kind)

    def generator(self, page: Page) -> Iterator[Any]:
        yield from self._given(page)
        if page.url.endswith("/enough"):
            raise Stop("that is enough: é\ud800")

    async def asynchronous(self, page: Page) -> AsyncIterator[Any]:
        for given in self._given(page):
            yield given
        if page.url.endswith("/enough"):
            await asyncio.sleep(0)
            raise Stop("that is enough: é\ud800")

    async def coroutine(self, page: Page) -> list[Any]:
        return self.plain(page)

    def plain(self, page: Page) -> list[Any]:
        if page.url.endswith("/enough"):
            raise Stop("that is enough: é\ud800")
        return list(self._given(page))

    def failed(self, request: Request, error: str) -> Iterator[Any]:
        yield {"failed": urlsplit(request.url).path}
        raise Stop(error)


class Choosing(Spider):
    """Keeps some items, drops one, raises on another; and has enough, or wants the page again, where it is told to."""

    kind: str = "plain"
    stops: str = ""
    again: str = ""

    def parse(self, page: Page) -> Iterator[Any]:
        yield {"path": urlsplit(page.url).path, "title": page.title}
        yield page.follow_all()

    def failed(self, request: Request, error: ErrorText) -> Any:
        return self.parse(error.page) if error.page else None

    def keep_item(self, item: Any, page: Page) -> Any:
        return self._chosen(item, page) if self.kind == "plain" else self._chosen_later(item, page)

    async def _chosen_later(self, item: Any, page: Page) -> Any:
        await asyncio.sleep(0)
        return self._chosen(item, page)

    def _chosen(self, item: Any, page: Page) -> Any:
        if item["path"] == self.stops:
            raise Stop("enough")
        if item["path"] == self.again:
            raise Retry("not yet")
        if item["title"] == "Bad":
            raise ValueError("bad item")
        return None if item["title"] == "Dropped" else {**item, "from": urlsplit(page.url).path}


class Uploading(Spider):
    """Sends a file by the form of its page."""

    data: ClassVar[bytes] = bytes(range(256)) * 256

    def parse(self, page: Page) -> Request:
        file = File("a.bin", self.data, "image/png")
        return page.submit(fields={"cover": file, "title": "x"}, callback=self.thanked)

    def thanked(self, page: Page) -> None:
        assert page.text == "thanks"


class Delegating(Spider):
    """Raises, from tasks in groups within groups, what the last part of a URL names: several errors with a plus between."""

    name = "delegating"

    async def parse(self, page: Page) -> AsyncIterator[Any]:
        yield {"page": urlsplit(page.url).path}
        yield page.follow_all()
        await raise_in_groups(page.url)

    async def failed(self, request: Request, error: str) -> None:
        if request.url.endswith("/missing"):
            await raise_in_groups("again+stop")


async def raise_in_groups(named: str) -> None:
    """Every error in a task of its own, the last one in a group within the group."""
    *names, last = named.rpartition("/")[2].split("+")
    async with asyncio.TaskGroup() as outer:
        for name in names:
            outer.create_task(_raise(name))
        async with asyncio.TaskGroup() as inner:
            inner.create_task(_raise(last))


async def _raise(name: str) -> None:
    match name:
        case "again":
            raise Retry("not yet", after=0)
        case "stop":
            raise Stop("that is enough")
        case "fault":
            raise ValueError("no title")
