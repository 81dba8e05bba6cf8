"""The examples run as they stand, with the command that each of them names."""

from __future__ import annotations

import asyncio
import csv
import json
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from tests.proof.command import Command
from tests.sites import page, redirect, serve

if TYPE_CHECKING:
    from tests.sites import Reply

EXAMPLES = Path(__file__).parent.parent / "examples"


async def run(folder: Path, name: str, *arguments: str) -> None:
    ended = await asyncio.to_thread(
        Command(folder).run, "run", EXAMPLES / name, *arguments, "-s", "retry_wait=0.01", "--quiet"
    )
    assert (ended.code, ended.err) == (0, "")


def quotes_page(number: int, last: int) -> Reply:
    quotes = "".join(
        f'<div class="quote"><span class="text">“{number}.{n}”</span> by <small class="author">Author {n}</small>'
        f'<div class="tags"><a class="tag" href="/tag/x">x</a><a class="tag" href="/tag/y">y</a></div></div>'
        for n in range(3)
    )
    further = f'<li class="next"><a href="/page/{number + 1}/">Next</a></li>' if number < last else ""
    return page("Quotes", body=f"{quotes}<ul>{further}</ul>")


async def test_quotes(tmp_path: Path) -> None:
    pages = {f"/page/{number}/": quotes_page(number, 4) for number in range(2, 5)} | {"/": quotes_page(1, 4)}
    async with serve(pages) as site:
        await run(tmp_path, "quotes.py", "-a", f"start_urls={site.url}", "-o", "quotes.jsonl")
        assert site.paths == ["/robots.txt", "/", "/page/2/", "/page/3/", "/page/4/"]
    rows = [json.loads(line) for line in (tmp_path / "quotes.jsonl").read_text().splitlines()]
    assert [row["text"] for row in rows] == [f"“{number}.{n}”" for number in range(1, 5) for n in range(3)]
    assert rows[4] == {"text": "“2.1”", "author": "Author 1", "tags": ["x", "y"]}


def index_of(chapters: dict[str, list[str]]) -> Reply:
    entries = ""
    for chapter, modules in chapters.items():
        inner = "".join(f'<li class="toctree-l2"><a href="{m}.html">{m}</a></li>' for m in modules)
        entries += f'<li class="toctree-l1"><a href="{escape(chapter)}.html">{chapter}</a><ul>{inner}</ul></li>'
    return page("The library", body=f"<ul>{entries}</ul>")


def module_page(name: str, functions: list[str]) -> Reply:
    terms = "".join(f'<dl><dt class="sig" id="{name}.{function}">{function}()</dt></dl>' for function in functions)
    return page(name, "index.html", body=terms)


async def test_docs_index(tmp_path: Path) -> None:
    pages = {
        "/library/index.html": index_of({"Numbers": ["math", "random"], "Text": ["string"]}),
        "/library/math.html": module_page("math", ["sqrt", "pi"]),
        "/library/random.html": module_page("random", []),
        "/library/string.html": module_page("string", ["capwords"]),
    }
    async with serve(pages) as site:
        await run(tmp_path, "docs_index.py", "-a", f"index={site.url}/library/index.html", "-o", "library.csv")
    with (tmp_path / "library.csv").open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["title"])
    assert [(row["chapter"], row["title"], json.loads(row["names"])) for row in rows] == [
        ("Numbers", "math", ["math.sqrt", "math.pi"]),
        ("Text", "string", ["string.capwords"]),
    ]
    assert rows[0]["url"] == f"{site.url}/library/math.html"


async def test_links_check(tmp_path: Path) -> None:
    async with serve({"/fine": page("Fine", "/not-followed")}) as other:
        pages = {
            "/": page("Home", "/a", "/gone", f"{other.url}/fine", f"{other.url}/lost"),
            "/a": page("A", "http://127.0.0.1:1/refused", "/broken", "/moved"),
            "/broken": (500, {}, ""),
            "/moved": redirect("/gone-too"),
        }
        async with serve(pages) as site:
            await run(tmp_path, "links_check.py", "-a", f"site={site.url}/", "-o", "dead.jsonl")
        assert sorted(other.paths) == ["/fine", "/lost", "/robots.txt"]
    rows = {row["url"]: row for row in map(json.loads, (tmp_path / "dead.jsonl").read_text().splitlines())}
    home, a = f"{site.url}/", f"{site.url}/a"
    assert {url: (row["problem"][:9], row["found_on"]) for url, row in rows.items()} == {
        f"{site.url}/gone": ("http: 404", home),
        f"{other.url}/lost": ("http: 404", home),
        f"{site.url}/broken": ("http: 500", a),
        f"{site.url}/moved": ("http: 404", a),
        "http://127.0.0.1:1/refused": ("connect: ", a),
    }


async def test_links_check_knows_its_site_however_it_is_called(tmp_path: Path) -> None:
    """In capitals, with zeros before the port, or by a name that redirects to another one."""
    pages = {"/": page("Home", "/gone", "/a"), "/a": page("A", "/gone-too")}
    async with serve(pages) as site, serve({"/": redirect(f"{site.url}/")}) as former:
        for number, url in enumerate((f"HTTP://127.0.0.1:0{site.port}/", f"http://127.1:{site.port}", former.url)):
            output = tmp_path / f"{number}.jsonl"
            await run(tmp_path, "links_check.py", "-a", f"site={url}", "-o", output.name, "--state", f"{number}.crawl")
            rows = [json.loads(line) for line in output.read_text().splitlines()]
            assert sorted(row["url"] for row in rows) == [f"{site.url}/gone", f"{site.url}/gone-too"]


async def test_catalogue(tmp_path: Path) -> None:
    def shelf(*numbers: int, further: str = "") -> Reply:
        entries = "".join(
            f"""<article class=product_pod><p class="star-rating Three"></p><h3><a href=book-{number}.html title="The book {number}">
            The b…</a></h3><p class=price_color>£{number}.50</p></article>"""
            for number in numbers
        )
        return page("All", body=f"{entries}<ul><li class=next>{further}</ul>")

    book = """<ul class=breadcrumb><li><a href=/>Home</a><li><a href=/poems.html>Poems</a></ul>
        <div id=product_description>About</div><p>All of it."""
    pages = {"/": shelf(1, 2, further="<a href=page-2.html>next</a>"), "/page-2.html": shelf(3)}
    pages |= {f"/book-{number}.html": page("Book", body=book) for number in (1, 2)}
    pages["/book-3.html"] = page("Book")
    async with serve(pages) as site:
        await run(tmp_path, "catalogue.py", "-a", f"start_urls={site.url}/", "-o", "books.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "books.jsonl").read_text().splitlines()]
    rows.sort(key=lambda row: row["price"])
    assert rows[0] == {
        "title": "The book 1",
        "url": f"{site.url}/book-1.html",
        "price": 1.5,
        "stars": "Three",
        "about": "All of it.",
        "shelves": ["Home", "Poems"],
    }
    assert [row["about"] for row in rows] == ["All of it.", "All of it.", None]


async def test_news(tmp_path: Path) -> None:
    def feed(number: int, further: str = "") -> Reply:
        entry = f"<entry><link href='/{number}'/><title>No. {number}</title><published>2024-05-0{number}</published></entry>"
        return 200, {}, f'<feed xmlns="http://www.w3.org/2005/Atom">{further}{entry}</feed>'

    pages = {
        "/": page("Blog", body='<link rel="alternate" type="application/atom+xml" href="/feed">'),
        "/feed": feed(2, '<link rel="next" href="/feed?page=2"/>'),
        "/feed?page=2": feed(1),
        "/1": page("One", "/", body="<div class=post-body>So it begins.</div>"),
        "/2": page("Two", "/", body="<article>It goes on.</article>"),
    }
    async with serve(pages) as site:
        await run(tmp_path, "news.py", "-a", f"start_urls={site.url}/", "-o", "articles.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "articles.jsonl").read_text().splitlines()]
    assert sorted(rows, key=lambda row: str(row["url"])) == [
        {"title": f"No. {number}", "published": f"2024-05-0{number}", "url": f"{site.url}/{number}", "words": 3}
        for number in (1, 2)
    ]


def test_every_example_is_tested() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {"quotes", "docs_index", "links_check", "catalogue", "news"}
