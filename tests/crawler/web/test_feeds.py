"""Feeds of every kind come out alike, those that are not quite XML too, and none takes more memory than its text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.web import feeds
from crawler.web.feeds import Entry, Feed

URL = "https://example.org/blog/feed"
MOST = 1000
"""Instead of MAX_ENTRIES, to be quick."""

RSS = """<?xml version="1.0" encoding="gb2312"?>
<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom" xmlns:dc="http://purl.org/dc/elements/1.1/"
  xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:media="http://search.yahoo.com/mrss/">
<channel><title>A  blog &amp;amp; more</title><link>https://example.org/</link>
<image><title>No title</title><link>/no-link</link></image>
<atom:link rel="self" href="https://example.org/blog/feed"/><atom:link rel="next" href="?page=2"/>
<item>
  <title>The &lt;b&gt;first&lt;/b&gt;</title><link> /1#top </link><guid isPermaLink="false">tag:1</guid>
  <media:title>Not it</media:title><media:group><title>Nor this</title></media:group>
  <pubDate>Sat, 07 Sep 2002 00:00:01 EST</pubDate><dc:creator>Ada</dc:creator><dc:creator>Jon</dc:creator>
  <description><![CDATA[<p>Short & sweet</p>]]></description><content:encoded>&lt;p&gt;Long&lt;/p&gt;</content:encoded>
  <category> One </category><category>Two</category><category>One</category>
  <enclosure url="a.mp3" type="audio/mpeg" length="1"/>
</item>
<item><guid>https://example.org/2</guid><dc:creator>Not he</dc:creator><author>lawyer@boyer.net (Lawyer Boyer)</author></item>
<item><guid>no-url</guid><link/><atom:author><atom:uri>/</atom:uri><atom:name>Eve</atom:name></atom:author></item>
</channel></rss>"""

RSS_ENTRIES = [
    Entry(
        id="tag:1",
        url="https://example.org/1",
        title="The first",
        author="Ada, Jon",
        published="2002-09-07T05:00:01Z",
        summary="<p>Short & sweet</p>",
        content="<p>Long</p>",
        categories=["One", "Two"],
        enclosures=["https://example.org/blog/a.mp3"],
    ),
    Entry(id="https://example.org/2", url="https://example.org/2", author="Lawyer Boyer"),
    Entry(id="no-url", author="Eve"),
]

RDF = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
  xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel rdf:about="https://example.org/"><title>Old</title><items><rdf:Seq/></items></channel>
<item rdf:about="https://example.org/1"><title>One</title><link>https://example.org/1</link><dc:date>2002-09</dc:date>
<dc:subject>Things</dc:subject></item></rdf:RDF>"""

ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xml:base="/atom/"><title type="html">A &amp;lt;blog&amp;gt;</title>
<link href="https://example.org/"/><link rel="prev-archive" href="2003.xml"/><author><name>Ada</name></author>
<entry xml:base="deep/"><id>urn:1</id><title>Use of &lt;b&gt; in HTML</title>
  <link rel="alternate" type="application/pdf" href="1.pdf"/><link type="text/html" href="1"/><link rel="edit" href="no"/>
  <link rel="enclosure" href="a.mp3"/>
  <published>2003-12-13T18:30:02.25+01:00</published><updated>2003-12-13T19:30:02Z</updated>
  <summary type="html">&lt;p&gt;Short</summary>
  <content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">1 &lt; <b class="x&quot;">2</b><br/></div></content>
  <category term="one" label="The first"/><source><title>Elsewhere</title><id>urn:x</id></source></entry>
<entry><author><email>j@example.org</email><name>Jon</name></author><author><name>Eve</name></author>
  <title type="xhtml"><div>A <em>marked</em> one</div></title></entry></feed>"""

ATOM_ENTRIES = [
    Entry(
        id="urn:1",
        url="https://example.org/atom/deep/1",
        title="Use of <b> in HTML",
        author="Ada",
        published="2003-12-13T17:30:02.250000Z",
        updated="2003-12-13T19:30:02Z",
        summary="<p>Short",
        content='<div>1 &lt; <b class="x&quot;">2</b><br></div>',
        categories=["one"],
        enclosures=["https://example.org/atom/deep/a.mp3"],
    ),
    Entry(title="A marked one", author="Jon, Eve"),
]

JSON = {
    "version": "https://jsonfeed.org/version/1.1",
    "title": "A blog",
    "next_url": "?page=2",
    "authors": [{"name": "Ada"}, {"url": "https://ada.example/"}],
    "items": [
        {
            "id": 1,
            "url": "1",
            "title": "One",
            "date_published": "2024-01-01T00:00:00Z",
            "date_modified": "nonsense",
            "summary": "Short",
            "content_html": "<p>Long",
            "tags": ["a", 7, "b"],
            "attachments": [{"url": "a.mp3"}, "b"],
        },
        {"id": "2", "external_url": "https://other.example/2", "author": {"name": "Jon"}, "title": {"no": "text"}},
        "no item",
    ],
}

JSON_ENTRIES = [
    Entry(
        id="1",
        url="https://example.org/blog/1",
        title="One",
        author="Ada",
        published="2024-01-01T00:00:00Z",
        summary="Short",
        content="<p>Long",
        categories=["a", "b"],
        enclosures=["https://example.org/blog/a.mp3"],
    ),
    Entry(id="2", url="https://other.example/2", author="Jon"),
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (RSS, Feed("A blog & more", RSS_ENTRIES, f"{URL}?page=2", None)),
        (
            RDF,
            Feed(
                "Old",
                [
                    Entry(
                        id="https://example.org/1",
                        url="https://example.org/1",
                        title="One",
                        published="2002-09",
                        categories=["Things"],
                    )
                ],
                None,
                None,
            ),
        ),
        (ATOM, Feed("A <blog>", ATOM_ENTRIES, "https://example.org/atom/2003.xml", None)),
        (json.dumps(JSON), Feed("A blog", JSON_ENTRIES, f"{URL}?page=2", None)),
    ],
    ids=["rss", "rdf", "atom", "json"],
)
def test_kinds(text: str, expected: Feed) -> None:
    assert feeds.read(URL, f"\ufeff\n{text}") == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<",
        "plain text",
        "<!DOCTYPE html><html><title>Page</title><p>",
        "<urlset><url><loc>https://h/</loc></url></urlset>",
        "<!DOCTYPE rss [<!ENTITY a 'aaaa'>]><rss/>",
        "{",
        "{}",
        '{"items": []}',
        '{"version": "https://jsonfeed.org/version/1", "items": {}}',
        '{"a":' * 100_000,
    ],
)
def test_what_is_no_feed(text: str) -> None:
    assert feeds.read(URL, text) is None


def titles(items: str, head: str = "<rss><channel>") -> tuple[list[str | None], str | None]:
    feed = feeds.read(URL, head + items)
    assert feed
    return [entry.title for entry in feed.entries], feed.problem


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("AT&T &nbsp; R&amp;D", "AT&T R&D"),
        ("caf&eacute; &unheard-of; &#233;&#xe9;", "café &unheard-of; éé"),
        ("<![CDATA[R&D &nbsp; &eacute;]]>", "R&D é"),
        ("a\x0bb\x00c\uffff", "abc"),
        ("&LT;b&GT;1 < 2", None),
        ("a\n b <em>c</em>", "a b c"),
        ("&lt;br&gt;", None),
    ],
)
def test_what_is_no_xml_is_mended_where_it_is_clear_what_was_meant(title: str, expected: str | None) -> None:
    found, problem = titles(f"<item><title>{title}</title></item></channel></rss>")
    assert (found, problem) == ([expected], None) or (expected is None and problem)


@pytest.mark.parametrize(
    ("rest", "problem"),
    [
        ("<item><title>2", "no XML that can be read"),
        ("<x:item/>", "no XML that can be read"),
        ("<a>" * 1000, "nested deeper"),
        (f"<item><title>{'<b/>' * 100_000}</title></item>", "an element of it has more than 100000 parts"),
        ("&" * 600_000, "no XML that can be read"),
        ("<item/>" * (MOST + 1), f"more than {MOST} entries"),
    ],
)
def test_entries_before_a_problem_stand(monkeypatch: pytest.MonkeyPatch, rest: str, problem: str) -> None:
    monkeypatch.setattr(feeds, "MAX_ENTRIES", MOST)
    found, told = titles(f"<item><title>1</title></item>{rest}")
    assert found[0] == "1"
    assert len(found) in (1, MOST)
    assert told
    assert problem in told


def test_urls_make_no_more_of_a_long_base_than_a_sitemap_may_hold() -> None:
    """And no entry more of one kind than anybody has."""
    base = f"https://h/{'x' * 8000}/"
    files = "".join(f"<enclosure url='{number}'/>" for number in range(200))
    found = feeds.read(base, f"<rss>{f'<item>{files}</item>' * 100}</rss>")
    assert found
    assert {len(entry.enclosures) for entry in found.entries} == {100}
    assert sum(len(url) for entry in found.entries for url in entry.enclosures) < 50 << 20
    assert found.problem == "its URLs are longer than 52428800 characters together"


def test_json_has_no_more_entries_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "MAX_ENTRIES", MOST)
    feed = feeds.read(URL, json.dumps({**JSON, "items": [{}] * (MOST + 1)}))
    assert feed
    assert (len(feed.entries), feed.problem) == (MOST, f"it has more than {MOST} entries")


@pytest.mark.parametrize(
    "text",
    [
        "<rss>" + "<![CDATA[" * 200_000,
        "<rss>" + "&" * 1_000_000,
        "<rss><item><title>" + "&lt;a" * 200_000,
        "<rss><item><title>" + "<a>" * 200,
        f"<rss><item><author>{'a@b ' * 100_000}</author></item></rss>",
        f"<rss><item><author>{'@' * 1_000_000}</author></item></rss>",
        f"<rss><item><pubDate>{'1 ' * 500_000}</pubDate></item></rss>",
    ],
)
@pytest.mark.timeout(20)
def test_no_text_takes_long(text: str) -> None:
    feeds.read(URL, text)


MARKUP = st.text(st.sampled_from("<>/&;!\"'= \nabfeditmsrxln:-[]CDATA"), max_size=60)


@given(st.sampled_from(["", "<rss>", "<feed>", "<rss><channel><item>", "<feed><entry>", "{", '{"items":[']), MARKUP)
def test_nothing_is_an_error(head: str, rest: str) -> None:
    feeds.read(URL, head + rest)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "url"]), inner, max_size=2),
    max_leaves=5,
)
KEYS = [
    "title",
    "next_url",
    "authors",
    "author",
    "id",
    "url",
    "external_url",
    "date_published",
    "date_modified",
    "summary",
    "content_html",
    "content_text",
    "tags",
    "attachments",
]


@given(st.dictionaries(st.sampled_from(KEYS), VALUES), st.dictionaries(st.sampled_from(KEYS), VALUES))
def test_json_may_hold_anything(feed: dict[str, object], item: dict[str, object]) -> None:
    told = {**feed, "version": "https://jsonfeed.org/version/1", "items": [item]}
    assert feeds.read(URL, json.dumps(told))
