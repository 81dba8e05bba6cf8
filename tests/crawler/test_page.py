"""What a spider can ask of a page."""

from __future__ import annotations

import threading
from html import escape
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import urldefrag, urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from client.origin import HostKey
from crawler.errors import InvalidUrl, SpiderError, TooCostly
from crawler.frontier.protocol import Lease
from crawler.page import Page
from crawler.web import scan
from crawler.web.directives import OBEDIENT, Obedience

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

URL = "https://example.org/dir/page.html"


def page(
    body: str | bytes = "",
    *,
    content_type: str | None = "text/html",
    lease: Lease | None = None,
    said: str | None = None,
    obedience: Obedience = OBEDIENT,
) -> Page:
    headers = CIMultiDict({} if content_type is None else {"Content-Type": content_type})
    if said is not None:
        headers["X-Robots-Tag"] = said
    return Page(
        lease or Lease(id=1, host=HostKey("example.org"), url=URL, method="GET", depth=0, requested_url=URL),
        url=URL,
        status=200,
        headers=CIMultiDictProxy(headers),
        body=body.encode() if isinstance(body, str) else body,
        fetched_at=1.5e9,
        elapsed=0.25,
        obedience=obedience,
    )


def first(one: Page, selector: str) -> LexborNode:
    node = one.css_first(selector)
    assert node is not None
    return node


def test_what_came_over_the_wire() -> None:
    one = page("é", content_type="Text/Plain; charset=utf-8")
    assert (one.url, one.status, one.body, one.fetched_at, one.elapsed) == (URL, 200, "é".encode(), 1.5e9, 0.25)
    assert one.headers["content-type"] == "Text/Plain; charset=utf-8"
    assert one.content_type == "text/plain"
    assert repr(one) == f"<Page 200 {URL}>"


def test_how_it_was_come_by() -> None:
    asked, front = "https://example.org/old", "https://example.org/"
    one = page(
        lease=Lease(
            id=1,
            host=HostKey("example.org"),
            url=URL,
            method="GET",
            depth=2,
            requested_url=asked,
            referrer=front,
            redirects=(asked,),
            context={"n": 1},
        )
    )
    assert (one.requested_url, one.redirects, one.referrer) == (asked, (asked,), front)
    assert (one.depth, one.context) == (2, {"n": 1})
    assert page().context == {}


def test_text_is_decoded_as_declared() -> None:
    one = page("Größe".encode("cp1252"), content_type="text/plain; charset=iso-8859-1")
    assert (one.text, one.encoding) == ("Größe", "windows-1252")


@pytest.mark.parametrize(
    ("encoding", "charset"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("utf-16", ""),
        ("cp1251", "; charset=windows-1251"),
        ("cp932", "; charset=x-sjis"),
    ],
)
def test_the_document_is_the_same_in_any_encoding(encoding: str, charset: str) -> None:
    """A byte order mark left in would even end the head before it began."""
    one = page("<title>Ж - x</title><a href='/Ж'>".encode(encoding), content_type=f"text/html{charset}")
    assert one.title == "Ж - x"
    assert one.links() == ["https://example.org/%D0%96"]


def test_html_without_a_content_type_is_known_by_its_start() -> None:
    assert page("<!doctype html>", content_type=None).is_html
    assert not page("a,b", content_type=None).is_html
    assert not page("<!doctype html>", content_type="text/plain").is_html


@pytest.mark.parametrize(
    ("html", "title"),
    [
        ("<title> a\n b\u00a0c &amp; d </title>", "a b c & d"),
        ("<title>1</title><title>2</title>", "1"),
        ("<title></title>", ""),
        ("<body><p><title>late</title>", "late"),
        ("<svg><title>picture</title></svg>", None),
        ("<p>", None),
        ("", None),
    ],
)
def test_title(html: str, title: str | None) -> None:
    assert page(html).title == title


def test_what_is_not_html_has_neither_title_nor_links() -> None:
    one = page("<base href='/b/'><title>x</title><a href=1>", content_type="application/xml")
    assert (one.title, one.links(), list(one.follow_all()), one.base_url) == (None, [], [], URL)
    assert one.css_first("a") is not None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
@pytest.mark.parametrize("is_parsed", [True, False])
def test_xhtml_is_not_lost_behind_what_closes_itself(encoding: str, is_parsed: bool) -> None:
    xhtml = (
        "<html><head><script src='s'/><title>é</title><link rel='canonical' href='/c'/></head>"
        "<body><textarea/><a href='1'>x</a></body></html>"
    )
    one = page(xhtml.encode(encoding), content_type=f"application/xhtml+xml; charset={encoding}")
    if is_parsed:
        assert len(one.css("a")) == 1
    assert (one.title, one.links()) == ("é", ["https://example.org/dir/1"])
    assert one.directives.canonical == "https://example.org/c"
    assert "<textarea/>" in one.text


def test_css() -> None:
    one = page("<p>1<p class=x>2")
    assert [node.text() for node in one.css("p")] == ["1", "2"]
    assert first(one, "p.x").text() == "2"
    assert one.css_first("h1") is None
    assert one.css_first("h1", "none") == "none"


def test_one_that_has_to_be_there() -> None:
    one = page("<p>1<p class=x>2")
    assert (one.one("p").text(), one.one("p.x").text()) == ("1", "2")
    with pytest.raises(SpiderError) as caught:
        one.one("h1")
    assert str(caught.value) == f"nothing on {URL} matches 'h1'"


@pytest.mark.parametrize("selector", ["a[", "", "div >", "::x"])
def test_a_bad_selector_is_named(selector: str) -> None:
    one = page()
    for ask in (one.css, one.css_first, one.one, one.follow, one.follow_all):
        with pytest.raises(SpiderError) as caught:
            ask(selector)
        assert repr(selector) in str(caught.value)
        assert URL in str(caught.value)


def test_json() -> None:
    assert page('{"a": [1, "é"]}', content_type="application/json").json() == {"a": [1, "é"]}
    assert page(b"\xef\xbb\xbf[]", content_type="application/json").json() == []
    assert page('"Ж"'.encode("utf-16"), content_type="application/json").json() == "Ж"
    for body in (b"<html>", b"", b"[NaN]", b"[1e999]", b"{}\n{}", b'"\\ud800"', b"[" * 100_000, b'{"a":' * 100_000):
        with pytest.raises(ValueError, match=URL):
            page(body).json()
    with pytest.raises(ValueError, match=URL):
        page(b'"\xff"', content_type="application/json; charset=utf-8").json()


def test_links_are_canonical_and_each_is_there_once() -> None:
    one = page("<a href='#top'><a href='b.html#1'><a href='./b.html'><a href='mailto:x@y'><a href='//Other.org'><a>")
    assert one.links() == [URL, "https://example.org/dir/b.html", "https://other.org/"]
    assert [request.url for request in one.follow_all()] == one.links()


def test_a_list_of_links_may_be_changed() -> None:
    one = page("<a href=1>")
    one.links().clear()
    assert one.links() == ["https://example.org/dir/1"]


def test_the_base_element_counts() -> None:
    one = page("<base href='/other/'><a href=x>")
    assert one.base_url == "https://example.org/other/"
    assert one.links() == [one.urljoin("x")] == ["https://example.org/other/x"]


def test_urljoin() -> None:
    assert page().urljoin("../a b#c") == "https://example.org/a%20b"
    with pytest.raises(InvalidUrl, match=r"mailto:x.*page\.html"):
        page().urljoin("mailto:x")


NAVIGATION = """
<ul><li class=prev><a href="1.html">back</a></li><li class=next><a name=anchor></a><a href="3.html">on</a><a href="4.html"></a></ul>
<area id=map href="map"><a id=script href="javascript:x">x</a><a id=dead>x</a><b class=html>x</b>
"""


@pytest.mark.parametrize(
    ("what", "url"),
    [
        ("li.next a", "https://example.org/dir/3.html"),
        ("li.next", "https://example.org/dir/3.html"),
        ("a", "https://example.org/dir/1.html"),
        ("#map", "https://example.org/dir/map"),
        ("#script, .next a", "https://example.org/dir/3.html"),
        ("li.last a", None),
        ("#script", None),
        ("#dead", None),
        ("b.html", "https://example.org/dir/b.html"),
        ("/next?page=2", "https://example.org/next?page=2"),
        ("?page=2", "https://example.org/dir/page.html?page=2"),
        ("./next", "https://example.org/dir/next"),
        ("../next", "https://example.org/next"),
        ("//other.org/", "https://other.org/"),
        ("HTTP://other.org", "http://other.org/"),
        ("page2.html", "https://example.org/dir/page2.html"),
        ("page-2.HTM?a=b.c#d", "https://example.org/dir/page-2.HTM?a=b.c"),
        (None, None),
    ],
)
def test_follow_takes_a_selector_or_a_reference(what: str | None, url: str | None) -> None:
    request = page(NAVIGATION).follow(what)
    assert (request.url if request else None) == url


def test_follow_takes_a_node() -> None:
    one = page(NAVIGATION)
    urls = [
        request and request.url
        for request in map(one.follow, [first(one, ".prev a"), first(one, "ul"), first(one, "#dead")])
    ]
    assert urls == ["https://example.org/dir/1.html", "https://example.org/dir/1.html", None]


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("next", "https://example.org/dir/next"),
        ("a:b", None),
        ("", URL),
        ("data:,x", None),
        ("li.next", "https://example.org/dir/li.next"),
    ],
)
def test_follow_takes_any_reference_by_name(reference: str, url: str | None) -> None:
    request = page(NAVIGATION).follow(url=reference)
    assert (request.url if request else None) == url


def test_follow_hands_on_what_a_request_can_hold() -> None:
    request = page().follow(
        "/form", callback="done", priority=3, context={"a": 1}, method="POST", headers={"X": "y"}, body=b"z", again=True
    )
    assert request is not None
    assert (request.callback, request.priority, request.context, request.again) == ("done", 3, {"a": 1}, True)
    assert (request.method, request.headers, request.body) == ("POST", {"X": "y"}, b"z")


def test_follow_all_takes_selectors_nodes_and_lists() -> None:
    one = page(NAVIGATION)
    base = "https://example.org/dir/"
    assert list(one.follow_all("li").urls) == [f"{base}1.html", f"{base}3.html", f"{base}4.html"]
    assert list(one.follow_all(first(one, "li.next")).urls) == [f"{base}3.html", f"{base}4.html"]
    assert list(one.follow_all(one.css("li a")).urls) == [f"{base}1.html", f"{base}3.html", f"{base}4.html"]
    assert list(one.follow_all(["li", "x", first(one, "#map")]).urls) == [f"{base}li", f"{base}x", f"{base}map"]
    assert list(one.follow_all("h1").urls) == []


def test_follow_all_shares_what_it_is_given() -> None:
    links = page("<a href=1><a href=2>").follow_all(callback="item", priority=2, context={"a": 1})
    assert [(one.callback, one.priority, one.context) for one in links] == [("item", 2, {"a": 1})] * 2


WHOLE = (
    "<title>Größe &amp; x</title><base href=/b/><p><a href=ä>x</a><a href='?q=ö&amp;r' rel=nofollow>x</a>"
    "<svg><title>no</title></svg><!-- <a href=no> -->"
)
DOUBTFUL = f"{WHOLE}<template><a href=no></template>"


def what_it_tells(one: Page) -> tuple[list[str], list[str], str | None, str]:
    return one.links(), one.nofollow, one.title, one.base_url


@pytest.mark.parametrize(
    ("encoding", "charset"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("utf-16", ""),
        ("utf-16-be", "utf-16be"),
        ("latin-1", "latin-1"),
        ("utf-8", "utf-8"),
    ],
)
@pytest.mark.parametrize("html", [WHOLE, DOUBTFUL], ids=["whole", "doubtful"])
@pytest.mark.parametrize("is_compiled", [True, False], ids=["scanned", "not scanned"])
def test_a_page_tells_the_same_whether_its_tree_is_asked_for_or_not(
    monkeypatch: pytest.MonkeyPatch, is_compiled: bool, html: str, encoding: str, charset: str
) -> None:
    """With and without a compiled scanner; where that is in doubt; in encodings that it cannot read as they are."""
    monkeypatch.setattr(scan, "IS_COMPILED", is_compiled)
    kind = f"text/html; charset={charset}" if charset else "text/html"
    left_alone, looked_at = (page(html.encode(encoding), content_type=kind) for _ in range(2))
    assert looked_at.css_first("svg title") is not None
    assert what_it_tells(left_alone) == what_it_tells(looked_at)
    assert what_it_tells(looked_at) == (
        ["https://example.org/b/%C3%A4"],
        [f"https://example.org/b/?q={'%F6' if charset == 'latin-1' else '%C3%B6'}&r"],
        "Größe & x",
        "https://example.org/b/",
    )
    assert looked_at.dom_was_asked_for
    assert not left_alone.dom_was_asked_for


@pytest.mark.skipif(not scan.IS_COMPILED, reason="crawler/web/scan.py is not compiled here, so trees are built")
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_who_never_asks_for_the_tree_has_none_built(encoding: str) -> None:
    one = page(WHOLE.encode(encoding))
    what_it_tells(one)
    assert len(one.follow_all().urls) == 1
    assert one.follow(url="x") is not None
    assert one.directives.canonical is None
    assert one._dom is None
    doubtful = page(DOUBTFUL.encode(encoding))
    what_it_tells(doubtful)
    assert doubtful._dom is not None


def test_queries_are_meant_in_the_encoding_of_the_page() -> None:
    """As browsers ask for them: the server that wrote the page reads them."""
    html = "<link rel=canonical href='/ж?q=ж'><body><a href='/ж?q=ж#ж'>x</a><a href='?€=☃'>x</a>"
    one = page(html.encode("cp1251", "xmlcharrefreplace"), content_type="text/html; charset=windows-1251")
    url = "https://example.org/%D0%B6?q=%E6"
    assert one.links() == [url, f"{URL}?%88=%26%239731%3B"]
    assert (one.urljoin("/ж?q=ж"), one.directives.canonical) == (url, url)
    assert list(one.follow_all("a").urls) == list(one.follow_all(one.css("a")).urls) == one.links()
    assert list(one.follow_all(["/ж?q=ж"]).urls) == [url]
    followed = one.follow(url="/ж?q=ж")
    assert followed is not None
    assert followed.url == url
    for encoding in ("utf-8", "utf-16"):
        assert page("\ufeff<a href='?ж'>x</a>".encode(encoding.replace("16", "16-le"))).links() == [f"{URL}?%D0%B6"]


def test_what_was_found_stays_when_the_tree_is_asked_for() -> None:
    one = page(WHOLE)
    before = what_it_tells(one)
    one.parse_now()
    assert not one.dom_was_asked_for
    assert one.dom.root is not None
    assert what_it_tells(one) == before


def test_the_document_may_be_built_in_a_thread() -> None:
    one = page("<title>x</title><a href=1>")
    thread = threading.Thread(target=one.parse_now)
    thread.start()
    thread.join()
    assert one.dom is one.dom
    assert (one.title, one.links()) == ("x", ["https://example.org/dir/1"])


def test_what_needs_no_tree_is_told_of_a_page_that_is_too_costly_to_parse() -> None:
    one = page("<title>x</title><a href=1>" + "".join(f"<p><b id={number}>" for number in range(5000)))
    with pytest.raises(TooCostly, match=f"size: .*{URL}"):
        one.css("div")
    assert one.text.startswith("<title>")
    if scan.IS_COMPILED:
        assert (one.title, one.links()) == ("x", ["https://example.org/dir/1"])


class Walk(HTMLParser):
    """The links of a well-formed page as the standard library sees them."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: dict[str, None] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href")
        if tag == "a" and href is not None and not href.startswith("mailto:"):
            self.urls[urldefrag(urljoin(URL, href)).url] = None


segments = st.text("abcXYZ019-_", min_size=1, max_size=6)
references = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "/", "../", "../../x/", "https://example.org/", "http://other.example:81/", "./"]),
    st.lists(segments, min_size=1, max_size=3).map("/".join),
    st.sampled_from(["", ".html", "/", "?a=1&b=2"]),
    st.sampled_from(["", "#", "#top", "#a?b"]),
) | st.sampled_from(["#top", "mailto:a@example.org", ""])
texts = st.text(max_size=10).map(lambda text: escape(text.encode("utf-8", "replace").decode()).replace("\x00", ""))
anchors = st.builds(
    '<a class="x" {}>{}</a>'.format, references.map(lambda href: f'href="{escape(href)}"') | st.just("name='y'"), texts
)
trees = st.recursive(
    anchors | texts | st.builds("<!-- {} -->".format, anchors),
    lambda inner: st.builds(
        "<{0}>{1}</{0}>".format,
        st.sampled_from(["div", "span", "ul", "section", "em"]),
        st.lists(inner, max_size=4).map("".join),
    ),
    max_leaves=20,
)


@given(trees)
def test_links_are_those_an_independent_parser_finds(tree: str) -> None:
    html = f"<!DOCTYPE html><html><head><meta charset=utf-8><title>t</title></head><body>{tree}</body></html>"
    walk = Walk()
    walk.feed(html)
    assert page(html).links() == list(walk.urls)


def test_links_that_say_nofollow_are_left_out_but_not_lost() -> None:
    one = page(
        "<a href=1>x</a><a rel='ugc,NOFOLLOW' href=2>x</a><a rel='nofollow' href=3><a rel=ugc href=4><a href=3#x>"
    )
    assert one.links() == [f"https://example.org/dir/{number}" for number in (1, 4, 3)]
    assert one.nofollow == ["https://example.org/dir/2"]
    assert list(one.follow_all().urls) == one.links()


def test_what_a_spider_names_is_followed_whatever_the_link_says() -> None:
    one = page("<a rel=nofollow href=1>x</a>")
    request = one.follow("a")
    assert request is not None
    assert [request.url] == list(one.follow_all("a").urls) == one.nofollow


@pytest.mark.parametrize(
    ("said", "head"), [("nofollow", ""), (None, "<meta name=robots content=none>"), ("ours: nofollow", "")]
)
def test_a_page_may_say_it_for_all_its_links(said: str | None, head: str) -> None:
    one = page(f"{head}<body><a href=1>", said=said, obedience=Obedience(agent="ours"))
    assert one.links() == []
    assert one.nofollow == ["https://example.org/dir/1"]


def test_who_does_not_obey_follows_all() -> None:
    one = page("<a rel=nofollow href=1>x</a>", said="nofollow", obedience=Obedience(nofollow=False))
    assert one.links() == ["https://example.org/dir/1"]
    assert one.nofollow == []
    assert one.directives.nofollow


def test_directives() -> None:
    one = page("<head><link rel=canonical href=../x></head><body>", said="noindex")
    assert one.directives == (True, False, "https://example.org/x")
    assert page('{"nofollow": 1}', content_type="application/json", said="none").directives == (True, True, None)
    assert page("no canonical robots").directives == (False, False, None)


@pytest.mark.parametrize("is_parsed", [True, False])
@pytest.mark.parametrize("charset", ["utf-8", "latin-1"])
def test_a_head_says_the_same_alone(is_parsed: bool, charset: str) -> None:
    html = "<title>é</title><base href=/é/><link rel=canonical href=ü><body><link rel=canonical href=no>"
    one = page(html.encode(charset), content_type=f"text/html; charset={charset}")
    if is_parsed:
        one.parse_now()
    assert one.directives.canonical == "https://example.org/%C3%A9/%C3%BC"


def test_directives_in_an_encoding_that_hides_ascii() -> None:
    one = page("\ufeff<meta name=robots content=noindex><a rel=nofollow href=1>x</a>".encode("utf-16-le"))
    assert one.directives.noindex
    assert one.nofollow == ["https://example.org/dir/1"]
