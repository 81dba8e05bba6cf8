"""Documents whose trees cost too much, and the many whose trees do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from crawler.web.nesting import MAX_DEPTH, look_into, too_costly

if TYPE_CHECKING:
    from collections.abc import Iterable

N = 40_000


def numbered(tag: str, number: int = N) -> Iterable[str]:
    return (tag.format(n) for n in range(number))


COSTLY = {
    "div": "<div>" * N,
    "div, closed": "<div>" * N + "</div>" * N,
    "list": "<ul><li>" * N,
    "definitions": "<dl><dd>" * N,
    "quotes": "<blockquote>" * N,
    "link": "<a href=x><div>" * N,
    "table": "<table><tr><td>" * N,
    "fostered": "<table>" + "<div>" * N,
    "template": "<template>" * N,
    "svg": "<svg><foreignObject><div>" * N,
    "shapes": "<svg>" + "<g>" * N,
    "objects": "<object><p>" * N,
    "end tags in comments": "<div><!--</div>-->" * N,
    "end tags of closed paragraphs": "<p><div></p>" * N,
    "formatting, reopened": "".join(numbered("<p><font id={}>")),
    "formatting, compared": "".join(numbered("<b id={}>")),
    "formatting, adopted": "".join([*numbered("<b {}>", 4000), *numbered("<i {}>", 4000), "x</b>" * 4000]),
    "attributes": f"<p {' '.join(numbered('a{}'))}>",
    "attributes with values": "<p " + " ".join(numbered("a{}='>'")) + ">",
    "attributes of the body": "".join(numbered("<body a{}>")),
    "attributes of a tag that never ends": "<p <div a='x' " * N,
    "options": "<select>" + "<option>x" * N,
}


@pytest.mark.parametrize("kind", COSTLY)
def test_what_costs_too_much_is_told_before_it_is_built(kind: str) -> None:
    assert too_costly(COSTLY[kind].encode())


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
    "deep, but not too deep": "<div>" * (MAX_DEPTH - 10) + "</div>" * N,
    "deep, with many in it": "<div>" * 200 + "<p>text" * N,
    "ruby": "<ruby>text<rt>text<rp>text</ruby>" * N,
}


@pytest.mark.parametrize("kind", CHEAP)
def test_what_is_only_long_or_careless_is_not(kind: str) -> None:
    document = CHEAP[kind].encode()
    assert too_costly(document) is None
    LexborHTMLParser(document)


FORMATTING = {"b", "em", "font"}


def depth(document: str) -> int:
    """How many elements of its tree lie within each other, formatting aside."""
    deepest = at = 0
    node = LexborHTMLParser(document).root
    while node:
        if node.first_child:
            at += node.tag not in FORMATTING
            node, deepest = node.first_child, max(deepest, at)
            continue
        while node and not node.next:
            node = node.parent
            at -= node is not None and node.tag not in FORMATTING
        node = node and node.next
    return deepest


names = st.sampled_from(
    [
        "div",
        "p",
        "span",
        "ul",
        "li",
        "dl",
        "dt",
        "dd",
        "h1",
        "section",
        "table",
        "tr",
        "td",
        "button",
        "form",
        "em",
        "b",
        "font",
        "object",
    ]
)
tags = st.builds(str.format, st.sampled_from(["<{}>", "<{} id=1>", "</{}>"]), names) | st.just("text")


@settings(deadline=None, max_examples=20)
@given(st.lists(tags, min_size=1, max_size=6).map("".join))
def test_what_gets_deep_is_told_however_it_is_written(part: str) -> None:
    """A document that repeats a few tags at random: where its tree is too deep, that is told; so all others are parsed."""
    document = part * 1200
    if look_into(document.encode()) is None:
        assert depth(part * 100) <= 3 * MAX_DEPTH / 12
