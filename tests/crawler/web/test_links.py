"""What counts as a link, and where it starts from."""

from __future__ import annotations

import pytest
from selectolax.lexbor import LexborHTMLParser

from crawler.web.links import base_of, hrefs, hrefs_in


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<a href=1>x</a><A HREF='2'>y</A>", ["1", "2"]),
        ("<a name=x>no link</a>", []),
        ("<a href>itself</a><a href=''>itself</a>", ["", ""]),
        ("<a href=' a b '>raw</a>", [" a b "]),
        ("<a href='?a=1&amp;b=2&copy=3'>entities</a>", ["?a=1&b=2&copy=3"]),
        ("<a href=1 href=2>the first counts</a>", ["1"]),
        ("<area href=1><link href=2><img src=3><form action=4>", []),
        ("<template><a href=1>not in the document</a></template>", []),
        (
            "<!-- <a href=1> --><script>'<a href=1>'</script><style><a href=1></style><textarea><a href=1></textarea>",
            [],
        ),
        ("<noscript><a href=1>for us</a></noscript>", ["1"]),
        ("<svg><a href=1><text>x</text></a><a xlink:href=2></a></svg>", ["1"]),
        ("<table><a href=1>misplaced<tr><td><a href=2>", ["1", "2"]),
        ("<a href=1>open<a href=2>open", ["1", "2"]),
        ("<a href='\x00'>", ["\ufffd"]),
        ("", []),
    ],
)
def test_hrefs(html: str, expected: list[str]) -> None:
    assert hrefs(LexborHTMLParser(html)) == expected


def test_hrefs_that_are_no_utf_8_are_mended() -> None:
    assert hrefs(LexborHTMLParser(b"<a href='caf\xe9'>")) == ["caf\ufffd"]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [("a", ["1"]), ("link", ["0"]), ("ul", ["2", ""]), ("li", ["2"]), ("b", []), ("svg", ["4"])],
)
def test_where_a_node_leads(selector: str, expected: list[str]) -> None:
    dom = LexborHTMLParser(
        "<link href=0><a href=1><b>x</b></a><ul><li><a href=2></a></li><li><a href></a><a>no</a></ul>"
        "<svg><a xlink:href=3></a><a href=4></a></svg>"
    )
    node = dom.css_first(selector)
    assert node is not None
    assert hrefs_in(node) == expected


@pytest.mark.parametrize(
    ("html", "base"),
    [
        ("<p>", "http://h/a/b"),
        ("<base href='/c/'>", "http://h/c/"),
        ("<base href='c/d?e#f'>", "http://h/a/c/d?e"),
        ("<base href='HTTPS://Other/x'>", "https://other/x"),
        ("<base target=_top><base href=/1/><base href=/2/>", "http://h/1/"),
        ("<base href>", "http://h/a/b"),
        ("<base href='data:,x'><base href=/2/>", "http://h/a/b"),
        ("<base href='http://['>", "http://h/a/b"),
        ("<body><p><base href=/late/>", "http://h/late/"),
        (f"<base href=/{'x' * 60_000}/>", "http://h/a/b"),
    ],
)
def test_base(html: str, base: str) -> None:
    assert base_of(LexborHTMLParser(html), "http://h/a/b") == base
