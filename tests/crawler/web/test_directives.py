"""What pages say to robots, in their headers and their heads, and which canonical URLs are believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy
from selectolax.lexbor import LexborHTMLParser

from crawler.web.directives import Directives, directives_of, head_of, may_be_other_name, may_forbid_links, may_speak
from crawler.web.links import base_of

URL = "http://h.example/a/b?c=d"


def said(*headers: tuple[str, str], html: str | None = None, agent: str = "ours") -> Directives:
    dom = LexborHTMLParser(html or "")
    base = base_of(dom, URL)
    return directives_of(URL, CIMultiDictProxy(CIMultiDict(headers)), dom.head, base=base, agent=agent)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ""),
        (["noindex"], "i"),
        (["NoFollow"], "f"),
        (["none"], "if"),
        (["noindex, nofollow"], "if"),
        (["all", "index, follow", "noarchive, nosnippet, notranslate"], ""),
        (["noindex", "nofollow"], "if"),
        (["ours: noindex", "theirs: nofollow"], "i"),
        (["Ours : nofollow,noindex"], "if"),
        (["theirs: noindex, nofollow"], ""),
        (["theirs: noindex, ours: nofollow"], "f"),
        (["*: noindex"], "i"),
        (["unavailable_after: 25 Jun 2010 15:00:00 PST"], ""),
        (["unavailable_after: Fri, 25 Jun 2010 15:00:00 GMT, nofollow"], "f"),
        (["max-snippet:-1, max-image-preview: large, noindex"], "i"),
        (["theirs: unavailable_after: 2010-06-25T15:00:00Z, noindex"], ""),
        (["", ",", ":", "noindexing"], ""),
    ],
)
def test_headers(values: list[str], expected: str) -> None:
    directives = said(*(("X-Robots-Tag", value) for value in values))
    assert (directives.noindex, directives.nofollow) == ("i" in expected, "f" in expected)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("<meta name=robots content=noindex>", "i"),
        ("<META NAME=' Robots ' CONTENT='INDEX, NOFOLLOW'>", "f"),
        ("<meta name=robots content='none'>", "if"),
        ("<meta name=robots content='noindex nofollow'>", "if"),
        ("<meta name=ours content=nofollow><meta name=robots content=noindex>", "if"),
        ("<meta name=theirs content=none>", ""),
        ("<meta name=robots><meta content=none><meta name='' content=none>", ""),
        ("<meta property=robots content=none>", ""),
        ("</head><body><p><meta name=robots content=none>", ""),
    ],
)
def test_meta_elements(head: str, expected: str) -> None:
    directives = said(html=head)
    assert (directives.noindex, directives.nofollow) == ("i" in expected, "f" in expected)


def test_headers_and_meta_elements_add_up() -> None:
    directives = said(("X-Robots-Tag", "noindex"), html="<meta name=robots content=nofollow>")
    assert (directives.noindex, directives.nofollow) == (True, True)


def test_who_has_no_name_is_not_meant_by_name() -> None:
    assert not said(("X-Robots-Tag", ": noindex"), html="<meta name content=noindex>", agent="").noindex


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<link rel=canonical href='/x'>", "http://h.example/x"),
        ("<link rel='alternate CANONICAL' href='HTTP://H.example/x#y'>", "http://h.example/x"),
        ("<link rel=canonical href='?c'>", "http://h.example/a/b?c"),
        ("<base href='/z/'><link rel=canonical href='x'>", "http://h.example/z/x"),
        ("<link rel=canonical href='https://other.example/'>", "https://other.example/"),
        ("<link rel=canonical href=/x><link rel=canonical href=/x#again>", "http://h.example/x"),
        ("<link rel=canonical href=/x><link rel=canonical href=/y>", None),
        ("<link rel=canonical><link rel=canonicals href=/x><link href=/x>", None),
        ("<link rel=canonical href='mailto:x'>", None),
        ("<body><a>x</a><link rel=canonical href='/x'>", None),
    ],
)
def test_canonical_elements(html: str, expected: str | None) -> None:
    assert said(html=html).canonical == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (['<http://h.example/x>; rel="canonical"'], "http://h.example/x"),
        (["</x>; rel=canonical"], "http://h.example/x"),
        (['</s.css>; rel=preload, </x%2Fy>; type="a,b"; REL="Canonical"'], "http://h.example/x%2Fy"),
        (["</a>; rel=next", "</x>; rel=canonical"], "http://h.example/x"),
        (['</x>; rel=canonical; anchor="/y"'], None),
        (["</x>", "rel=canonical", "<>"], None),
        (["</x>; rel=canonical", "</y>; rel=canonical"], None),
    ],
)
def test_canonical_headers(values: list[str], expected: str | None) -> None:
    assert said(*(("Link", value) for value in values)).canonical == expected


def test_a_header_and_an_element_that_disagree_name_nothing() -> None:
    header = ("Link", "</x>; rel=canonical")
    assert said(header, html="<link rel=canonical href=/x>").canonical == "http://h.example/x"
    assert said(header, html="<link rel=canonical href=/y>").canonical is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"<meta name=ROBOTS><body>", True),
        (b"<link rel=canonical><body>", True),
        (b"<meta name=Ours><body>", True),
        (b"<title>x</title><body>robots canonical ours", False),
        (b"<title>x</title><link rel=Canonical href=/>", True),
        (b"", False),
    ],
)
def test_a_head_is_asked_in_its_bytes_first(body: bytes, expected: bool) -> None:
    assert may_speak(head_of(body), "ours") is expected


@pytest.mark.parametrize(
    ("document", "head"),
    [
        ("<title>x</title><link><body><p>", "<title>x</title><link>"),
        ("<HTML><Head><LINK></HEAD>\n<BODY>x", "<HTML><Head><LINK></HEAD>\n"),
        ("<!doctype html><title><p></title><link title='a>b<p>'><p><link>", "<!doctype html><title><p></title><link title='a>b<p>'>"),
        ("<script>'<p>'</script><!-- <p> --><style><p></style x><link/><a>", "<script>'<p>'</script><!-- <p> --><style><p></style x><link/>"),
        ("<noscript><link><img></noscript><link>", "<noscript><link>"),
        ("<link a'b><link><p it's>", "<link a'b><link>"),
        ("<header>", ""),
        ("<script>", ""),
        ("<link", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_a_head_ends_where_the_body_begins(document: str, head: str) -> None:
    """Also where the body's tag is left out, as it may be, or in upper case."""
    assert head_of(document.encode()) == head.encode()


head_pieces = st.lists(
    st.sampled_from(
        [
            *("<link rel=canonical href=/a>", "<meta name=robots content=none>", "<meta content='>'>", '<meta content="', "<link title=a>b"),
            *("<link a'b>", "<meta x='<div>' >", "<base href=/x>", "<bgsound>", "<html>", "<head>", "</head>", "<!doctype html>", "<title>x</title>"),
            *("<script>", "</script>", "<script>'<div>'</script>", "<style>", "</style>", "<noscript>", "</noscript>", "<noframes>", "<template>"),
            *("</template>", "<!-- <div> -->", "<!--", "-->", "<!-->", "<div>", "<p>", "</p>", "</br>", "<a>", "text", "\n"),
        ]
    ),
    max_size=12,
).map("".join)  # fmt: skip


@given(head_pieces)
def test_a_head_without_the_rest_says_the_same(html: str) -> None:
    assert said(html=head_of(html.encode()).decode()) == said(html=html)


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "<!--",
        "<!-- >",
        "<!-- --!>",
        "<meta ",
        '<meta x="',
        '<meta x="">',
        "<script></scrip",
        "<title>",
        "</",
        "<!",
    ],
)
def test_no_head_takes_long_to_find(piece: str) -> None:
    """A megabyte takes milliseconds, of whatever it is made; if some of it were looked at again and again, hours."""
    head_of((piece * (1 << 20))[: 1 << 20].encode())


def test_links_are_asked_in_their_bytes_first() -> None:
    assert may_forbid_links(b"<a rel='ugc nofollow'>")
    assert not may_forbid_links(b"<a rel='ugc sponsored'>")


@pytest.mark.parametrize(
    ("page", "canonical"),
    [
        ("/a", "/a"),
        ("/a?utm_source=x", "/a"),
        ("/a?utm_source=x&id=5", "/a?id=5"),
        ("/a?b=1&c=2", "/a?c=2&b=1"),
        ("/a?sort=price&session=8f3a9b2c", "/a"),
        ("/a/", "/a"),
        ("/a", "/a/"),
        ("/a/index.html", "/a/"),
        ("/index.php", "/"),
        ("/?ref=x", "/"),
        ("/A", "/a"),
        ("/a;jsessionid=77", "/a"),
        ("/shop/sale/lamp-9", "/shop/lamp-9"),
        ("/2024/05/lamp", "/2024/05/lamp/index.html"),
        ("/print/lamp", "/lamp"),
        ("/print/17", "/article/17"),
        ("/lamp", "/lamps/lamp"),
        ("/copy", "/original"),
    ],
)
def test_names_that_may_be_one_page(page: str, canonical: str) -> None:
    assert may_be_other_name(f"http://h.example{page}", f"http://h.example{canonical}")


@pytest.mark.parametrize(
    ("page", "canonical"),
    [
        ("/article", "/"),
        ("/news/article", "/news/"),
        ("/list?page=2", "/list"),
        ("/list/page/2", "/list"),
        ("/calendar?date=2024-05-01", "/calendar"),
        ("/product?id=5&ref=x", "/product"),
        ("/article.php?17", "/article.php"),
        ("/3.10/library/os", "/3/library/os"),
        ("/v2/library/os", "/library/os"),
        ("/2024/report", "/report"),
        ("/list/1/a", "/list/2/a"),
        ("/a", "/a?b=c"),
        ("/a?b=c", "/a?b=d"),
    ],
)
def test_names_that_cannot_be_one_page(page: str, canonical: str) -> None:
    """To believe it would lose a page."""
    assert not may_be_other_name(f"http://h.example{page}", f"http://h.example{canonical}")


def test_long_parameters_are_no_trouble() -> None:
    """Nor are those that are nearly numbers: each digit is looked at once, which takes no part of the minutes of a regular
    expression that tries every way to divide them."""
    for parameter in ("1" * 1_000_000 + "x", "a=" + "1" * 1_000_000 + "x", "1.-" * 300_000 + "x"):
        assert may_be_other_name(f"http://h.example/a?{parameter}", "http://h.example/a")
        assert not may_be_other_name(f"http://h.example/a?{parameter[:-1]}", "http://h.example/a")


def test_another_host_has_other_pages() -> None:
    assert not may_be_other_name("http://h.example/a", "http://www.h.example/a")
    assert may_be_other_name("http://h.example/a", "https://h.example/a")


@given(st.text(), st.binary())
def test_nothing_that_pages_say_is_an_error(text: str, body: bytes) -> None:
    said(("X-Robots-Tag", text), ("Link", f"<{text}>; rel=canonical"), html=text)
    may_speak(head_of(body), "ours")


@given(
    st.lists(st.sampled_from(["a", "b", "index.html", "c;d"]), max_size=4),
    st.lists(st.sampled_from(["x=y", "p=2", "q", "x=z"]), max_size=4),
)
def test_every_page_is_its_own_name(segments: list[str], query: list[str]) -> None:
    url = f"http://h.example/{'/'.join(segments)}?{'&'.join(query)}"
    assert may_be_other_name(url, url)
