"""The documentation is the code's: every name is there with its default, nothing is made up, every example runs."""

from __future__ import annotations

import ast
import json
import re
import shlex
import sqlite3
import sys
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from zlib import crc32

import click
import msgspec
import pytest

from crawler import Crawl, Links, Page, Request, Settings, Spider, retries
from crawler.cli import console
from crawler.cli.main import crawl as command
from crawler.frontier.migrations import VERSION, script
from crawler.frontier.statefile import StateFile
from crawler.loader import load
from crawler.outcome import KINDS, Skip
from crawler.settings import with_overrides
from crawler.web.feeds import Entry
from spiders.feed import FeedSpider
from spiders.listing import Field, ListingSpider
from spiders.rules import Rule, RulesSpider
from spiders.site import SiteSpider
from tests.sites import Handler, Reply, Visit, page, redirect, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

Item: TypeAlias = dict[str, Any]

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])

COMMANDS = command.list_commands(click.Context(command))

LIBRARY_SITES = ("https://library.example", "http://127.0.0.1:8000")
"""Where the examples say that the library is."""


# Reading Markdown


class Block(NamedTuple):
    """A fenced block: where it stands, what language it claims to be, and its text."""

    file: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line}"


def _blocks(*languages: str) -> list[Block]:
    return [block for file in PAGES for block in _blocks_of(file) if block.language in languages]


def _blocks_of(file: Path) -> Iterator[Block]:
    text = file.read_text(encoding="utf-8")
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield Block(file, text.count("\n", 0, found.start()) + 1, found[1], found[2])


def _prose(file: Path) -> str:
    return re.sub(r"^```.*?^```$", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def _section(file: Path, heading: str) -> str:
    """What stands below a heading, up to the next one."""
    parts = re.split(r"^#+ (.*)$", _prose(file), flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert heading in sections, f"{file.name} has no heading {heading!r}; it has {list(sections)}"
    return sections[heading]


def _rows(text: str) -> list[list[str]]:
    """The cells of the tables in a text, row by row, without their heads."""
    bodies = re.findall(r"^\|[-|]+\|\n((?:\|.*\n)*)", text, re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|").split("|")] for body in bodies for row in body.splitlines()]


def _code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


# Nothing is missing, nothing is made up


def test_every_setting_is_listed_with_its_default() -> None:
    text = _prose(DOCS / "settings.md")
    listed = {_code(name)[0]: json.loads(_code(default)[0]) for name, default, _unit, _meaning in _rows(text)}
    assert listed == msgspec.structs.asdict(Settings())


def _command(name: str) -> click.Command:
    found = command.get_command(click.Context(command), name)
    assert found is not None, name
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_listed(name: str) -> None:
    parameters = _command(name).params
    arguments = [str(one.name).upper() for one in parameters if isinstance(one, click.Argument)]
    section = _section(DOCS / "command.md", " ".join(["crawl", name, *arguments]))
    listed = {code.split()[0] for row in _rows(section) for code in _code(row[0])}
    assert listed == {option for one in parameters if isinstance(one, click.Option) for option in one.opts}


def test_every_exit_code_is_listed() -> None:
    codes = {int(row[0]) for row in _rows(_section(DOCS / "command.md", "Exit codes"))}
    assert codes == {console.FINISHED, console.FAILED, console.MISUSED, console.STOPPED}


def _schema() -> dict[str, list[str]]:
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(script("schema.sql"))
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")]
        return {name: [row[1] for row in db.execute(f"PRAGMA table_info({name})")] for name in names}


@pytest.mark.parametrize(("name", "columns"), _schema().items())
def test_every_column_of_every_table_and_view_is_listed_in_order(name: str, columns: list[str]) -> None:
    assert [_code(row[0])[0] for row in _rows(_section(DOCS / "crawl-file.md", name))] == columns


def test_the_schema_is_the_documented_one() -> None:
    """A new schema has new things to say."""
    assert f"`user_version`, now {VERSION}" in _section(DOCS / "crawl-file.md", "What may change").replace("\n", " ")


@pytest.mark.parametrize(("kind", "heading"), [(Spider, "The contract"), (Request, "Request"), (Page, "Page")])
def test_every_public_member_is_listed(kind: type, heading: str) -> None:
    rows = _rows(_section(DOCS / "spiders.md", heading))
    assert {_code(row[0])[0].partition("(")[0] for row in rows} == {name for name in dir(kind) if name[0] != "_"}


@pytest.mark.parametrize(
    ("kinds", "heading"),
    [((RulesSpider, Rule), "Rules"), ((ListingSpider, Field), "Listings"), ((FeedSpider, Entry), "Feeds")],
)
def test_every_public_member_of_ready_made_spiders_is_listed(kinds: tuple[type, type], heading: str) -> None:
    listed = {code.partition("(")[0] for row in _rows(_section(DOCS / "spiders.md", heading)) for code in _code(row[0])}
    names = {name for kind in kinds for name in dir(kind) if name[0] != "_"} - set(dir(Spider))
    assert listed == names | {kind.__name__ for kind in kinds}


def test_every_part_of_links_is_named() -> None:
    named = _code(_section(DOCS / "spiders.md", "Links"))
    assert {field.name for field in fields(Links)} - {"_"} <= set(named)


def test_every_reason_and_kind_of_failure_is_listed() -> None:
    reasons, kinds = (_rows(_section(DOCS / "crawl-file.md", heading)) for heading in ("A request's way", "Failures"))
    assert {reason.value for reason in Skip} <= {_code(row[0])[0] for row in reasons}
    assert {kind for _, kind, _ in retries._ERRORS} <= set(KINDS) == {_code(row[0])[0] for row in kinds}
    assert ["`http`", "A status other than 2xx", ", ".join(map(str, sorted(retries._TEMPORARY_STATUSES)))] in kinds


# What is referred to exists


@pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_relative_link_resolves(file: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(file)):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (file.parent / path).resolve() if path else file
        assert linked.exists(), target
        if anchor:
            assert anchor in map(_anchor, re.findall(r"^#+ (.*)$", _prose(linked), re.MULTILINE)), target


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _places() -> list[str]:
    """What looks like a file of ours, with or without something in it, wherever it is named."""
    tops = "client|crawler|spiders|tests|examples|docs"
    spans = {span for file in PAGES for span in _code(_prose(file))}
    return sorted(span for span in spans if re.fullmatch(rf"(?:{tops})/[\w./-]*(?:::?[\w.]+)?", span))


@pytest.mark.parametrize("place", _places())
def test_every_named_file_class_and_function_exists(place: str) -> None:
    """`folder/file.py`, `folder/file.py:Class.method`, `folder/test_file.py::test`."""
    path, _, name = place.partition(":")
    assert (ROOT / path).exists()
    if name:
        body: Any = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
        for part in name.removeprefix(":").split("."):
            found = [node for node in body if getattr(node, "name", None) == part]
            assert found, f"{path} has no {part}"
            body = getattr(found[0], "body", [])


def test_every_method_of_the_journey_exists() -> None:
    files = [path for package in ("client", "crawler", "spiders") for path in (ROOT / package).rglob("*.py")]
    methods = {
        f"{kind.name}.{getattr(part, 'name', '')}"
        for path in files
        for kind in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(kind, ast.ClassDef)
        for part in kind.body
    }
    named = {span for span in _code(_prose(DOCS / "architecture.md")) if re.fullmatch(r"[A-Z][a-z]\w*\.\w+", span)}
    assert named
    assert named <= methods


def test_every_command_line_can_be_given() -> None:
    commands = re.compile(r"^\$ (.*(?:\n    .*)*)", re.MULTILINE)
    lines = [(block, line) for block in _blocks("console") for line in commands.findall(block.text)]
    goals = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for block, line in lines:
        program, *arguments = shlex.split(line.removesuffix(" &"), comments=True)
        if program == "make":
            assert set(arguments) <= goals, f"{block}: {line}"
        elif program == "crawl" and arguments[0] in COMMANDS:
            _command(arguments[0]).make_context("crawl", arguments[1:])
        elif program == "crawl":
            assert arguments in (["--help"], ["--version"]), f"{block}: {line}"


# The examples run


@pytest.mark.parametrize("block", _blocks("python"), ids=str)
def test_every_python_block_compiles(block: Block) -> None:
    compile(block.text, str(block), "exec")


def test_the_first_spider_is_typed() -> None:
    """What is shown is what the type checker reads."""
    shown = {_at("SITE", block.text) for block in _blocks("python") if _spider_of(block) == "Books"}
    assert len(shown) == 1
    assert _at("SITE", (ROOT / "tests" / "typed_spider.py").read_text(encoding="utf-8")).endswith(f"\n\n{shown.pop()}")


def test_the_export_of_the_recipes_is_typed() -> None:
    name = "class Database:"
    (shown,) = (block.text.partition(name)[2] for block in _blocks("python") if name in block.text)
    assert (ROOT / "tests" / "typed_export.py").read_text(encoding="utf-8").partition(name)[2] == shown


def _book(title: str, author: str, year: int, *links: str) -> Reply:
    return page(title, "/", *links, body=f"<h1>{title}</h1><p class=author>{author}</p><p class=year>{year}</p>")


def _shelf(title: str, books: list[str], following: str) -> Reply:
    entries = "".join(f"<li class=book><a href={book}.html>{book}</a>" for book in books)
    return page(title, body=f"<h1>{title}</h1><ul>{entries}</ul><a rel=next href={following}>Next</a>")


LIBRARY: dict[str, Reply] = {
    "/": page("The library", body="<h1>The library</h1><a rel=next href=shelf-1.html>Shelves</a>"),
    "/shelf-1.html": _shelf("Amber shelf", ["amber-1", "amber-2"], "shelf-2.html"),
    "/shelf-2.html": _shelf("Black shelf", ["black-1"], "shelf-3.html"),
    "/amber-1.html": _book("Amber Tales 1", "Jon Tide", 1954),
    "/amber-2.html": _book("Amber Tales 2", "Ada Marsh", 1955),
    "/black-1.html": _book("Black Tales 1", "Ada Marsh", 1958, "https://elsewhere.example/"),
}

TITLES = {path: re.findall("<title>(.*)</title>", str(body))[0] for path, (_, _, body) in LIBRARY.items()}

SIGN_IN = """<form action="/signin" method="post"><input type="hidden" name="token" value="x y">
<input name="user"><input type="password" name="password"></form>"""
FIND = """<form action="/find"><input name="q"></form>
<form class="search" action="/found"><input name="words"><select name="colour" multiple><option>amber<option>black</select>
<input type="checkbox" name="new" value="1"></form>"""
LINKED_DATA = """<script type="application/ld+json">{"@type": "Book", "name": "Amber Tales", "isbn": "978-3"}</script>
<script type="application/ld+json">{"@graph": [{"@type": "Organization", "name": "The library"}]}</script>"""
STATE = '<script>window.__STATE__ = {"books": [{"title": "Amber {1};"}]}; start();</script>'

DONATE = """<form action="/donate" method="post" enctype="multipart/form-data"><input name="title"><input type="file" name="scan"></form>"""

BESIDES: dict[str, Reply] = {
    "/signin": page("Sign in", body=SIGN_IN),
    "/find": page("Find", body=FIND),
    "/donate": page("Donate", body=DONATE),
    "/found?words=tales&colour=amber&colour=black&new=1": (200, {"Content-Type": "application/json"}, '{"found": 3}'),
    "/described.html": page("Amber Tales", body=LINKED_DATA),
    "/app.html": page("App", body=STATE),
    "/covers.html": page("Covers", body="<img src=/covers/1.png><img src=covers/2.jpg>"),
    "/covers/1.png": (200, {"Content-Type": "image/png"}, b"PNG"),
    "/covers/2.jpg": (200, {"Content-Type": "image/jpeg"}, b"JPEG"),
}
"""To which no link leads."""

BOOKS = [
    {"title": "Amber Tales 1", "author": "Jon Tide", "year": 1954},
    {"title": "Amber Tales 2", "author": "Ada Marsh", "year": 1955},
    {"title": "Black Tales 1", "author": "Ada Marsh", "year": 1958},
]

EXPECTED: dict[str, list[Item]] = {
    "Titles": [{"url": f"SITE{path}", "title": title} for path, title in TITLES.items()],
    "Books": BOOKS,
    "Shelves": [{"title": book["title"], "shelf": f"{str(book['title'])[:5]} shelf"} for book in BOOKS],
    "TypedBooks": [
        {"title": book["title"], "year": book["year"], "url": f"SITE/{path}.html"}
        for book, path in zip(BOOKS, ["amber-1", "amber-2", "black-1"], strict=True)
    ],
    "Recent": [
        {"url": f"SITE/{path}.html", "title": book["title"], "year": book["year"]}
        for book, path in zip(BOOKS[1:], ["amber-2", "black-1"], strict=True)
    ],
    "Author": [{"title": "Amber Tales 2"}, {"title": "Black Tales 1"}],
    "FirstShelves": [{"shelf": "The library"}, {"shelf": "Amber shelf"}, {"shelf": "Black shelf"}],
    "FromFile": [{"url": "SITE/amber-1.html", "bytes": len(str(LIBRARY["/amber-1.html"][2]))}],
    "Members": [{"title": "Amber Tales 1", "due": "2026-02-01"}],
    "Finder": [{"found": 3}],
    "Donor": [{"received": "scan.pdf"}],
    "Complete": [{"title": "Are you a robot?"}],
    "UpToBlack": [{"shelf": "Amber shelf"}, {"shelf": "Black shelf"}],
    "BrokenLinks": [
        {"link": "SITE/shelf-3.html", "on": "SITE/shelf-2.html", "error": "http: 404 Not Found", "said": "No such page"}
    ],
    "ByRule": [{"title": book["title"], "year": book["year"]} for book in BOOKS],
    "Catalogue": [
        {**book, "url": f"SITE/{path}.html"}
        for book, path in zip(BOOKS, ["amber-1", "amber-2", "black-1"], strict=True)
    ],
    "Arrivals": [{"title": "Black Tales 1", "published": "2024-05-31T18:30:00Z", "year": "1958"}],
    "Mirror": [{"saved": path.removeprefix("/") or "index.html"} for path in TITLES],
    "Described": [{"name": "Amber Tales", "isbn": "978-3"}],
    "Held": [{"title": "Amber {1};"}],
    "Prices": [{"author": "Jon Tide", "price": None}],
    "Checked": [{"title": "Amber Tales 2", "year": 1955}, {"title": "Black Tales 1", "year": 1958}],
    "Authors": [{"author": "Jon Tide"}, {"author": "Ada Marsh"}],
    "Covers": [
        {"url": "SITE/covers/1.png", "on": "SITE/covers.html", "bytes": 3},
        {"url": "SITE/covers/2.jpg", "on": "SITE/covers.html", "bytes": 4},
    ],
    "SignedIn": [{"title": "Amber Tales 1", "due": "2026-02-01"}],
    "Member": [{"title": "Amber Tales 1", "due": "2026-02-01"}],
    "Vault": [{"opened": True}],
    "Guarded": [{"token": "Bearer 1"}],
    "DeadLinks": [
        {"page": f"SITE{path}", "link": f"SITE{link}"}
        for path, links in {
            "/": ["/shelf-1.html"],
            "/shelf-1.html": ["/amber-1.html", "/amber-2.html", "/shelf-2.html"],
            "/shelf-2.html": ["/black-1.html", "/shelf-3.html"],
            "/amber-1.html": ["/"],
            "/amber-2.html": ["/"],
            "/black-1.html": ["/"],
        }.items()
        for link in links
    ]
    + [{"page": "SITE/black-1.html", "link": "https://elsewhere.example/"}],
    "Search": [{"title": "tales 1"}, {"title": "tales 2"}],
    "German": [{"language": "de", "theme": "theme=dark"}],
    "Persistent": [{"title": "Welcome"}],
    "Keyed": [{"title": "The library"}],
}
"""What each spider of the documentation takes from the library."""


FEED = """<rss><channel><item><title>Black Tales 1</title><link>/black-1.html</link>
<pubDate>Fri, 31 May 2024 18:30:00 GMT</pubDate></item></channel></rss>"""


def _library() -> Handler:
    """The library as a server has it: one page is busy at first, one looks for robots, loans are for members, whose sessions
    end, tokens expire, and pages have versions."""
    was_busy: set[str] = set()

    def is_busy(path: str) -> bool:
        is_first = path not in was_busy
        was_busy.add(path)
        return is_first

    async def reply(visit: Visit) -> Reply:
        match visit.method, visit.path, visit.body:
            case "GET", "/amber-2.html", _ if is_busy(visit.path):
                return 503, {"Retry-After": "0"}, ""
            case "GET", "/check", _:
                return page("Are you a robot?" if is_busy(visit.path) else "Welcome")
            case "GET", "/feed.xml", _:
                return 200, {"Content-Type": "application/rss+xml"}, FEED
            case "GET", "/hello", _:
                return _json({"language": visit.headers["accept-language"], "theme": visit.headers["cookie"]})
            case "GET", "/loans.json", _ if visit.headers.get("cookie") == "member=1":
                return _json({"loans": EXPECTED["Members"]})
            case "GET", "/mine.json", _ if is_busy(visit.path):
                return redirect("/signin")
            case "GET", "/mine.json", _:
                return _json({"loans": EXPECTED["Members"]})
            case "GET", "/vault.json", _ if visit.headers.get("authorization") == "Basic cmVhZGVyOnNlY3JldA==":
                return _json({"opened": True})
            case "GET", "/token", _:
                return _json({"token": "1"})
            case "GET", "/guarded.json", _:
                token = visit.headers["authorization"]
                return _json({"token": token}) if token == "Bearer 1" else (401, {}, "")
            case "POST", "/session", b"user=reader&password=secret":
                return 200, {"Set-Cookie": "member=1"}, ""
            case "POST", "/signin", b"token=x+y&user=reader&password=secret":
                return 303, {"Set-Cookie": "member=1", "Location": "/shelf-1.html"}, ""
            case "POST", "/donate", body if b"Grey Tales" in body and b"%PDF-1.7" in body:
                return _json({"received": re.findall('filename="(.*)"', body.decode())[0]})
            case "POST", "/search", body:
                asked = json.loads(body)
                number = asked["page"]
                return _json({"books": [{"title": f"{asked['q']} {number}"}], "next": number % 2 * 2})
        return _if_changed(visit, (LIBRARY | BESIDES).get(visit.path, (404, {}, "<title>No such page</title>")))

    return reply


def _if_changed(visit: Visit, reply: Reply) -> Reply:
    """A page with its version; or nothing of it for whoever has it."""
    status, headers, body = reply
    tag = f'"{crc32(repr(body).encode())}"'
    if status == 200 and visit.headers.get("if-none-match") == tag:
        return 304, {"ETag": tag}, ""
    return status, {**headers, "ETag": tag}, body


def _json(value: object) -> Reply:
    return 200, {"Content-Type": "application/json"}, json.dumps(value)


def _spider_of(block: Block) -> str | None:
    return found[1] if (found := re.search(r"^class (\w+)\(\w*Spider\)", block.text, re.MULTILINE)) else None


SPIDERS = [block for block in _blocks("python") if _spider_of(block)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current folder of its own, from which a spider can be loaded once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    sys.modules.pop("example", None)


def _at(url: str, text: str) -> str:
    for site in LIBRARY_SITES:
        text = text.replace(site, url)
    return text


async def _crawl(spider: Spider) -> list[Item]:
    settings = with_overrides(Settings(retry_wait=0.01), spider.settings, source="the spider")
    report = await Crawl(spider, settings, state=Path("example.crawl")).run()
    assert report.reason == ("stopped" if type(spider).__name__ == "UpToBlack" else "finished")
    assert report.stats.spider_errors == []
    with StateFile(Path("example.crawl")) as file:
        return [json.loads(item) for item in file.items()]


def _in_order(items: list[Item]) -> list[str]:
    return sorted(json.dumps(item, sort_keys=True) for item in items)


@pytest.mark.parametrize("block", SPIDERS, ids=lambda block: f"{block}-{_spider_of(block)}")
async def test_every_spider_takes_what_it_says(block: Block, folder: Path) -> None:
    async with serve(_library()) as site:
        (folder / "example.py").write_text(_at(site.url, block.text), encoding="utf-8")
        (folder / "seeds.txt").write_text(f"{site.url}/amber-1.html\n", encoding="utf-8")
        (folder / "scan.pdf").write_bytes(b"%PDF-1.7")
        items = await _crawl(load("example.py"))
    name = _spider_of(block)
    assert name
    assert _in_order(items) == _in_order(json.loads(json.dumps(EXPECTED[name]).replace("SITE", site.url)))


def test_every_expectation_is_a_spiders() -> None:
    assert {_spider_of(block) for block in SPIDERS} == set(EXPECTED)


async def test_a_crawl_runs_from_python_as_shown(folder: Path) -> None:
    (block,) = [block for block in _blocks_of(DOCS / "spiders.md") if "from crawler import Crawl" in block.text]
    async with serve(_library()) as site:
        namespace: dict[str, Any] = {"__name__": "example"}
        exec(compile(_at(site.url, block.text), str(block), "exec"), namespace)
        await namespace["main"]()
    assert len((folder / "pages.jsonl").read_text(encoding="utf-8").splitlines()) == len(TITLES)


PRINTED = {
    "spiders = [Books()": "books 6 3\nsite 6 6\n",
    "for night in": "monday: 6 pages, 0 not modified, 3 items\ntuesday: 6 pages, 6 not modified, 3 items\n",
    "class Database": "3 1958\n",
    "class Handed": "Amber Tales 1, Amber Tales 2, Black Tales 1\n",
}
"""What each program of the recipes says, by something that is in it."""

PROGRAMS = [block for block in _blocks_of(DOCS / "recipes.md") if "def main" in block.text]


def _books(folder: Path, url: str) -> None:
    """The spider that recipes are for."""
    (block,) = [one for one in _blocks_of(DOCS / "getting-started.md") if _spider_of(one) == "Books"]
    (folder / "books.py").write_text(_at(url, block.text), encoding="utf-8")
    sys.path.append(str(folder))
    sys.modules.pop("books", None)


@pytest.mark.parametrize("block", PROGRAMS, ids=str)
async def test_every_program_says_what_it_should(
    block: Block, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve(_library()) as site:
        _books(folder, site.url)
        namespace: dict[str, Any] = {"__name__": "example"}
        exec(compile(_at(site.url, block.text), str(block), "exec"), namespace)
        for run in "first", "second":
            await namespace["main"]()
            (printed,) = [printed for part, printed in PRINTED.items() if part in block.text]
            assert capsys.readouterr().out == printed, f"{run} run"


def test_every_text_is_printed_by_a_program() -> None:
    assert all(any(part in block.text for block in PROGRAMS) for part in PRINTED)


def test_every_test_of_a_spider_passes(folder: Path) -> None:
    (block,) = [block for block in _blocks_of(DOCS / "recipes.md") if "def test_" in block.text]
    _books(folder, LIBRARY_SITES[0])
    namespace: dict[str, Any] = {"__name__": "example"}
    exec(compile(block.text, str(block), "exec"), namespace)
    tests = [value for name, value in namespace.items() if name.startswith("test_")]
    assert len(tests) == 2
    for test in tests:
        test()


def test_the_site_to_begin_with_is_made_as_shown(folder: Path) -> None:
    """As many pages as the crawls shown there visit, and one link that leads nowhere."""
    (block,) = [block for block in _blocks_of(DOCS / "getting-started.md") if "mkdir" in block.text]
    exec(compile(block.text, str(block), "exec"), {})
    pages = {path.name: path.read_text(encoding="utf-8") for path in (folder / "library").iterdir()}
    linked = {link for text in pages.values() for link in re.findall(r"href=([\w.-]+)", text)}
    assert len(pages) == 316
    assert linked - set(pages) == {"shelf-16.html"}


async def test_every_query_can_be_asked_and_finds_something(folder: Path) -> None:
    async with serve(_library()) as site:
        assert len(await _crawl(SiteSpider(start_urls=[f"{site.url}/"]))) == len(TITLES)
    with StateFile(folder / "example.crawl") as file:
        for block in _blocks("sql"):
            assert list(file.query(_at(site.url, block.text))), block
