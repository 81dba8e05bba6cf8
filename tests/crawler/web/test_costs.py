"""Documents whose trees cost far more than they seem to, and the many whose trees do not."""

from __future__ import annotations

import pytest
from selectolax.lexbor import LexborHTMLParser

from crawler.web.costs import is_slow, multiplies

N = 40_000

MULTIPLIED = {
    "one a paragraph": "".join(f"<p><font id={number}>" for number in range(N)),
    "paragraphs that end": "".join(f"<p><font id={number}></p>" for number in range(N)),
    "some, then paragraphs": "".join(f"<b id={number}>" for number in range(1000)) + "<p>text" * N,
    "of several names": "".join(f"<p><b id={number}><i id={number}>" for number in range(N)),
    "closed after others": "</font>" * N + "".join(f"<p><font id={number}>" for number in range(N)),
}


@pytest.mark.parametrize("kind", MULTIPLIED)
def test_formatting_that_fills_all_memory_is_told(kind: str) -> None:
    assert multiplies(MULTIPLIED[kind].encode())


def test_what_a_short_document_may_cost_is_bounded() -> None:
    document = "".join(f"<p><font id={number}>" for number in range(1900)).encode()
    assert not multiplies(document)
    tree = LexborHTMLParser(document)
    assert len(tree.css("font")) <= 2_000_000


SLOW = {
    "div": "<div>" * N,
    "div, closed": "<div>" * N + "</div>" * N,
    "list": "<ul><li>" * N,
    "link": "<a href=x><div>" * N,
    "table": "<table><tr><td>" * N,
    "template": "<template>" * N,
    "shapes": "<svg>" + "<g>" * N,
    "end tags in comments": "<div><!--</div>-->" * N,
    "attributes": f"<p {' '.join(f'a{number}' for number in range(N))}>",
    "options": "<select>" + "<option>x" * N,
}


@pytest.mark.parametrize("kind", SLOW)
def test_what_may_take_long_is_told(kind: str) -> None:
    assert is_slow(SLOW[kind].encode())


CHEAP = {
    "a comment that never ends": "<!-- <div>" * N,
    "text that never ends": "<title><div>" * N,
    "paragraphs": "<p>text" * N,
    "items": "<ul>" + "<li>text <p>more <b>and more</b>" * N,
    "definitions": "<dl>" + "<dt>text<dd>text" * N,
    "rows": "<table>" + "<tr><td><font size=2>text<td>text" * N,
    "a table with more tags": "<table><tbody>" + "<tr><th>text<td><p>text</tr>" * N + "</tbody></table>",
    "void": "<br><img src=x><input><wbr>" * N,
    "links": "<a href=x>text" * N,
    "links around blocks": "<a href=x><div>text</div></a>" * N,
    "formatting that is never closed": "<div><font color=red><b>text</div>" * N,
    "formatting of the whole": "<center><font size=2>" + "<p>text<br>" * N,
    "misnested": "<b><i>text</b></i>" * N,
    "headings": "<h1>text<h2>text</h1>" * N,
    "forms": "<form><p>" * N,
    "buttons": "<button>" * N,
    "icons": "<svg><title>x</title><path d=x /><g><use/></g></svg>text" * N,
    "scripts": "<script>a('<div><div>')</script><style><div></style><title><div></title>" * N,
    "comments": "<!-- <div> --><!doctype><!><?x <div?>" * N,
    "choices": ("<select>" + "<option>x" * 300 + "</select>") * 100,
    "options of a list": "<datalist>" + "<option>x" * N,
    "attributes": "<p a=1 b=2 c=3 d=4 e=5 f=6 g=7 h=8 i=9 j=10>x</p>" * N,
    "data": f"<img src='data:image/png;base64,{'<=> ' * N}'>",
    "what is no tag": "< <3 </ > &lt; <>" * N,
    "deep, with many in it": "<div>" * 200 + "<p>text" * N,
    "ruby": "<ruby>text<rt>text<rp>text</ruby>" * N,
}


@pytest.mark.parametrize("kind", CHEAP)
def test_what_is_only_long_or_careless_is_parsed(kind: str) -> None:
    document = CHEAP[kind].encode()
    assert not multiplies(document)
    LexborHTMLParser(document)


def test_a_document_that_is_only_long_is_not_slow() -> None:
    assert not is_slow(("<div><p>text <b>bold</b></p><ul><li>one</li></ul></div>" * N).encode())
