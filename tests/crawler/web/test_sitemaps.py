"""Sitemaps of every kind, whole and in pieces, and those that mean harm."""

from __future__ import annotations

import gzip
from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.web import sitemaps
from crawler.web.sitemaps import MAX_BYTES, MAX_URLS, Found, SitemapReader
from crawler.web.urls import resolve

if TYPE_CHECKING:
    from collections.abc import Callable

BASE = "https://example.org/maps/sitemap.xml"

URLSET = """<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
  <url><loc> https://example.org/a?b=1&amp;c=2#f </loc><lastmod>2024-01-01</lastmod>
    <image:image><image:loc>https://example.org/a.png</image:loc></image:image></url>
  <url><loc><![CDATA[https://example.org/é]]></loc></url>
  <url><loc></loc></url><url><loc>mailto:x@example.org</loc></url>
</urlset>"""

INDEX = """<sitemapindex><sitemap><loc>https://example.org/1.xml</loc></sitemap>
<sitemap><loc>2.xml.gz</loc></sitemap></sitemapindex>"""

RSS = """<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom"><channel><link>https://example.org/</link>
<atom:link rel="self" href="https://example.org/feed"/><item><title>x</title><link>https://example.org/1</link></item>
<item><link>/2</link><guid>https://example.org/no</guid></item></channel></rss>"""

ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><link href="https://example.org/"/>
<entry><link rel="self" href="/self"/><link href="https://example.org/1"/></entry>
<entry><link rel="alternate" href="/2"/><link/></entry></feed>"""

TEXT = "https://example.org/1\r\n\n  http://other.org/b c  \nnot a URL\rhttps://example.org/é"

CARELESS = """<?xml version="1.1" encoding='utf8' ?><urlset><url><loc>https://example.org/?a=1&b=é&amp;c=&#50;&</loc>
<video:video><video:title>R&D &eacute; &#169; \x0b</video:title></video:video></url>
<url><loc><![CDATA[https://example.org/?a&b&amp;c]]></loc></url><x:url><x:loc>/&copy=3</x:loc></x:url></urlset>"""

EXPECTED = {
    CARELESS: [
        ("https://example.org/?a=1&b=%C3%A9&c=2&", False),
        ("https://example.org/?a&b&amp;c", False),
        ("https://example.org/&copy=3", False),
    ],
    URLSET: [("https://example.org/a?b=1&c=2", False), ("https://example.org/%C3%A9", False)],
    INDEX: [("https://example.org/1.xml", True), ("https://example.org/maps/2.xml.gz", True)],
    RSS: [("https://example.org/1", False), ("https://example.org/2", False)],
    ATOM: [("https://example.org/1", False), ("https://example.org/2", False)],
    TEXT: [("https://example.org/1", False), ("http://other.org/b%20c", False), ("https://example.org/%C3%A9", False)],
}


def read(*parts: bytes) -> tuple[list[Found], str | None]:
    reader = SitemapReader(BASE)
    found = [one for part in parts for one in reader.feed(part)] + reader.close()
    return found, reader.problem


@pytest.mark.parametrize("kind", [URLSET, INDEX, RSS, ATOM, TEXT, CARELESS])
def test_kinds(kind: str) -> None:
    assert read(kind.encode()) == (EXPECTED[kind], None)


@pytest.mark.parametrize("lead", ["\ufeff", " \n\t", "\ufeff\n"])
def test_what_may_stand_before_the_start(lead: str) -> None:
    """An XML declaration may not, by the letter; that many a generator puts an empty line there is no reason to miss a site."""
    assert read((lead + URLSET).encode()) == (EXPECTED[URLSET], None)


@given(st.sampled_from([URLSET, INDEX, RSS, ATOM, TEXT, CARELESS]), st.sets(st.integers(0, 800)), st.booleans())
def test_a_file_reads_the_same_in_any_pieces(kind: str, cuts: set[int], mark: bool) -> None:
    whole = kind.encode("utf-8-sig" if mark else "utf-8")
    edges = [0, *sorted(cut for cut in cuts if cut < len(whole)), len(whole)]
    parts = [whole[begin:end] for begin, end in pairwise(edges)]
    assert read(*parts) == (EXPECTED[kind], None)


CHARACTERS = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufdd0")
"""All but the noncharacter that stands for a `&` meanwhile."""


@given(st.lists(st.text(CHARACTERS, max_size=20)))
def test_every_url_that_went_in_comes_out(names: list[str]) -> None:
    urls = [f"https://h/x{name}".strip() for name in names]
    locations = "".join(f"<url><loc>{escape(url)}</loc></url>" for url in urls)
    found, problem = read(f"<urlset>{locations}</urlset>".encode())
    assert ([one.url for one in found], problem) == (resolve(BASE, urls), None)


@pytest.mark.parametrize(
    ("encoding", "codec"),
    [
        ("ISO-8859-1", "latin-1"),
        ("windows-1251", "cp1251"),
        ("UTF-16", "utf-16"),
        ("utf-8", "utf-16"),
        ("UTF-16", "utf-16-be"),
        ("UTF-16", "utf-8"),
        ("utf8", "utf-8"),
        ("nonsense", "utf-8"),
        ("gb2312", "gb18030"),
        ("Shift_JIS", "cp932"),
    ],
)
def test_encodings(encoding: str, codec: str) -> None:
    name = "é" if codec == "latin-1" else "ж"
    body = f'<?xml version="1.0" encoding="{encoding}"?><urlset><url><loc>https://h/{name}</loc></url></urlset>'
    found, problem = read(body.encode(codec))
    assert (found, problem) == (read(f"https://h/{name}".encode())[0], None)
    assert len(found) == 1


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("<urlset><url><loc>https://h/1</loc></url><&", "no XML that can be read"),
        ("<urlset><url><loc>https://h/1</loc></url></index>", "no XML that can be read"),
        ("<urlset><url><loc>https://h/1</loc></url></urlset><script>", "no XML that can be read"),
        ("<urlset><url><loc>https://h/1</loc></url>&#0;</urlset>", "no XML that can be read"),
        ("<a>" * 5 + "<url><loc>https://h/1</loc></url>" + "<a>" * 100_000, "nested deeper"),
        ("https://h/1\n" + "x" * 100_000, "line longer"),
        *(
            (f"<urlset><url><loc>https://h/1</loc></url>{token}" + "x" * 1_100_000, "tag or a comment longer")
            for token in ("<!--", "<a b='", "<?x ", "<")
        ),
    ],
)
def test_what_was_read_before_a_problem_stands(body: str, problem: str) -> None:
    found, told = read(body.encode(), b"\n<url><loc>https://h/2</loc></url>")
    assert found == [("https://h/1", False)]
    assert told is not None
    assert problem in told


def test_relative_references_make_no_more_of_a_long_url_than_a_sitemap_may_hold() -> None:
    reader = SitemapReader(f"https://h/{'x' * 8000}/")
    part = "<url><loc>a{}</loc></url>".format
    reader.feed(b"<urlset>")
    found = [
        one
        for start in range(0, 10_000, 2000)
        for one in reader.feed("".join(map(part, range(start, start + 2000))).encode())
    ]
    assert sum(len(one.url) for one in found) < MAX_BYTES
    assert len(found) == 6000
    assert reader.problem
    assert "longer" in reader.problem


def test_a_file_that_was_cut_short_is_a_problem() -> None:
    found, problem = read(b"<urlset><url><loc>https://h/1</loc></url><url><loc>https://h/2")
    assert found == [("https://h/1", False)]
    assert problem is not None


def test_lists_in_utf_16() -> None:
    assert read(TEXT.encode("utf-16")) == (EXPECTED[TEXT], None)


def test_bytes_that_do_not_fit_are_no_reason_to_stop() -> None:
    found, problem = read(b"<urlset><url><loc>https://h/\xff</loc></url><url><loc>https://h/2</loc></url></urlset>")
    assert (found[-1].url, problem) == ("https://h/2", None)


@pytest.mark.parametrize(
    "declaration",
    ['<!ENTITY a "aaaaaaaaaa">', '<!ENTITY a SYSTEM "file:///etc/passwd">', '<!ENTITY % a SYSTEM "http://h/"> %a;'],
)
def test_no_entity_is_expanded(declaration: str) -> None:
    found, problem = read(f"<!DOCTYPE u [{declaration}]><urlset><url><loc>https://h/&a;</loc></url></urlset>".encode())
    assert found == []
    assert problem == "it declares an entity, 'a'"


def test_a_doctype_alone_does_no_harm() -> None:
    body = '<!DOCTYPE rss PUBLIC "-//Netscape//DTD RSS 0.91//EN" "http://h/rss.dtd"><rss><item><link>https://h/1</link></item></rss>'
    assert read(body.encode()) == ([("https://h/1", False)], None)


def test_a_page_in_its_place_lists_nothing() -> None:
    assert read(b"<!DOCTYPE html><html><a href=x><loc>https://h/</loc></html>")[0] == []
    assert read(b"Not found: https://h/1") == ([], None)
    assert read() == ([], None)


def test_no_more_urls_than_the_protocol_allows() -> None:
    found, problem = read(b"".join(b"https://h/%d\n" % number for number in range(MAX_URLS + 1)))
    assert (len(found), found[-1].url) == (MAX_URLS, f"https://h/{MAX_URLS - 1}")
    assert problem == "it lists more than 50000 URLs"


def test_no_more_bytes_than_the_protocol_allows() -> None:
    blank = b"\n" * (MAX_BYTES // 4)
    found, problem = read(b"https://h/1\n", blank, blank, b"https://h/2\n", blank, blank, b"https://h/3\n")
    assert [one.url for one in found] == ["https://h/1", "https://h/2"]
    assert problem == "it is longer than 52428800 bytes"


def test_a_whole_file() -> None:
    pages, further, problem = sitemaps.read(BASE, INDEX.encode())
    assert (pages, further, problem) == ([], ["https://example.org/1.xml", "https://example.org/maps/2.xml.gz"], None)
    twice = TEXT.encode() + b"\n" + TEXT.encode()
    assert sitemaps.read(BASE, twice).pages == [url for url, _ in EXPECTED[TEXT]]
    assert sitemaps.read(BASE, b"") == ([], [], None)
    assert "it is no XML" in (sitemaps.read(BASE, b"<html>Not found</p>").problem or "")


DATED = """<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
<url><loc>/day</loc><lastmod>2026-05-31</lastmod></url><url><lastmod>2026-05-30T23:59:59+00:00</lastmod><loc>/before</loc></url>
<url><loc>/time</loc><lastmod> 2026-06-01T00:00Z </lastmod></url><url><loc>/month</loc><lastmod>2026-05</lastmod></url>
<url><loc>/long-ago</loc><lastmod>2025</lastmod></url><url><loc>/no-date</loc><lastmod>yesterday</lastmod></url>
<url><loc>/undated</loc></url>
<sitemap><loc>/old.xml</loc><lastmod>2026-04</lastmod></sitemap><sitemap><loc>/new.xml</loc><lastmod>2026</lastmod></sitemap>
</urlset>"""


@pytest.mark.parametrize("part", [1, 100, len(DATED)])
def test_what_has_not_changed_since_a_day_is_left_out(part: int) -> None:
    reader = SitemapReader("https://example.org/", date(2026, 5, 31))
    found = [one for start in range(0, len(DATED), part) for one in reader.feed(DATED[start : start + part].encode())]
    paths = [one.url.removeprefix("https://example.org/") for one in [*found, *reader.close()]]
    assert paths == ["day", "time", "month", "no-date", "undated", "new.xml"]


def test_an_entry_without_end_is_not_kept_back_without_end() -> None:
    entry = b"<urlset><url>" + b"<loc>/a</loc>" * (2 * MAX_URLS)
    assert sitemaps.read(BASE, entry, date(2026, 5, 31)) == ([], [], f"it lists more than {MAX_URLS} URLs")


def test_feeds_say_otherwise_what_is_new_in_them() -> None:
    for feed in RSS, ATOM:
        assert sitemaps.read(BASE, feed.encode(), date.max) == sitemaps.read(BASE, feed.encode())


@pytest.mark.parametrize("kind", [URLSET, INDEX, RSS, ATOM, TEXT, CARELESS])
def test_gzip_whatever_it_is_called(kind: str) -> None:
    plain = sitemaps.read(BASE, kind.encode())
    assert sitemaps.read(BASE, gzip.compress(kind.encode())) == plain
    half = len(kind) // 2
    members = gzip.compress(kind[:half].encode()) + gzip.compress(kind[half:].encode())
    assert sitemaps.read(BASE, members) == plain
    assert sitemaps.read(BASE, members + b"\0" * 512) == plain
    assert sitemaps.read(BASE, gzip.compress(members)) == plain, "by its server, say, which has compressed a file again"


@pytest.mark.parametrize("damage", [lambda packed: packed[: len(packed) // 2], lambda packed: packed[:60] + b"\0" * 60])
def test_damaged_gzip_is_read_as_far_as_it_goes(damage: Callable[[bytes], bytes]) -> None:
    lines = [f"https://example.org/{number}" for number in range(1000)]
    pages, _, _ = sitemaps.read(BASE, damage(gzip.compress("\n".join(lines).encode())))
    assert pages[:-1] == lines[: max(len(pages) - 1, 0)]


def test_a_bomb_is_read_up_to_the_limit() -> None:
    bomb = gzip.compress(b"https://example.org/1\n" + b"\n" * (2 * MAX_BYTES))
    assert sitemaps.read(BASE, bomb) == (["https://example.org/1"], [], f"it is longer than {MAX_BYTES} bytes")


def test_a_bomb_in_another_is_read_up_to_the_limit() -> None:
    bomb = gzip.compress(gzip.compress(b"https://example.org/1\n" + b"\n" * (2 * MAX_BYTES)))
    assert sitemaps.read(BASE, bomb) == (["https://example.org/1"], [], f"it is longer than {MAX_BYTES} bytes")


@given(st.binary(max_size=200))
def test_nothing_packed_is_an_error(data: bytes) -> None:
    sitemaps.read(BASE, data)
    sitemaps.read(BASE, gzip.compress(data)[: len(data)])
    sitemaps.read(BASE, b"\x1f\x8b\x08" + data)
