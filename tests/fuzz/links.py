"""Documents, of tags in any order, cut and damaged: a scan finds in them what their tree holds, or says that it cannot tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.web.scan import scan
from tests.trees import by_scan, by_tree

if TYPE_CHECKING:
    from random import Random

_LINKS = [
    *("<a href='1'>", '<a href="2">', "<A HREF=3>", "<a href>", "<a/href=4>", "<a\nhref = '5' />", "<a href=6/>", "<a name=no>"),
    *("<a href=7 rel=nofollow>", "<a REL='me NoFollow' href=8>", "<a rel rel=nofollow href=9>", "<a href=10 href=no>", "</a>"),
    *('<a href="11"rel="nofollow">', "<a title='<a href=no>' href=12>", "<a href='a>b'>", "<a =href=no>", "<a href=13<b>"),
    *("<a href='l\r\ni\rn\nk'>", "<a href=un'quo\"ted>", "<a href='?a&amp;b&copy=3&copy&not;&notit;&#65;&#x41;&#9&AMP'>"),
    *("<abbr href=no>", "<a:b href=no>", "<area href=no>", "<p href=no>", "<a href=' 7#a'>", "<a href=#8&#>", "<a href='&#35;'>", "</a href=no>", "</A\t>"),
]  # fmt: skip
_FIRST = [
    *("<title>1</title>", "<title>2 &amp; 3</title>", "<TITLE >a&notit; &#39; &lt &;</TITLE\n>", "<title><b></title>"),
    *("<title>", "</title>", "<title/>", "<base href='/b/'>", "<base>", "<base target=_top href=c>", "<BASE HREF>"),
]  # fmt: skip
_TEXTS = [
    piece
    for name in ("script", "style", "textarea", "iframe", "noscript", "xmp", "noembed", "noframes")
    for piece in (f"<{name}>", f"</{name}>", f"<{name.upper()} a=b>'<a href=t>'</{name} >", f"</{name}x>")
] + ["<script><!--<script></script><a href=s>--></script>", "<script><!-- x</script>"]
_DRAWINGS = [
    *("<svg>", "</svg>", "<svg/>", "<svg viewBox='0 0 1 1'><title>x</title><path/></svg>", "<svg><style>p{}</style><rect></svg>"),
    *("<path d=1/>", "<path d=1 />", "<path>", "</path>", "<g>", "</g>", "<text>", "</text>", "<desc>", "</desc>", "<mask>", "</mask>"),
    *("<image>", "</image>", "<foreignObject>", "</foreignObject>", "<svg:a href=no>", "<![CDATA[ <a href=d> ]]>", "<svg><g></svg>"),
]  # fmt: skip
_CHOICES = [
    *("<select>", "</select>", "<select><option value=1>a<option>b</select>", "<option>", "</option>", "<optgroup>", "<hr>"),
    *("<button>", "</button>", "<input type=hidden>", "<select><option>a</option></select>"),
]  # fmt: skip
_TABLES = ["<table>", "</table>", "<tbody>", "<tr>", "</tr>", "<td>", "</td>", "<caption>", "<colgroup>", "<col>"]
_ELEMENTS = [
    f"<{slash}{name}>"
    for slash in ("", "/")
    for name in (
        *("a", "abbr", "acronym", "address", "applet", "area", "article", "aside", "audio", "b", "base", "basefont", "bdi"),
        *("bdo", "bgsound", "big", "blink", "blockquote", "body", "br", "button", "canvas", "caption", "center", "cite"),
        *("code", "col", "colgroup", "data", "datalist", "dd", "del", "details", "dfn", "dialog", "dir", "div", "dl", "dt"),
        *("em", "embed", "fieldset", "figcaption", "figure", "font", "footer", "form", "frame", "h1", "h2", "head", "header"),
        *("hgroup", "hr", "html", "i", "iframe", "image", "img", "input", "ins", "isindex", "kbd", "keygen", "label", "legend"),
        *("li", "link", "listing", "main", "map", "mark", "marquee", "menu", "meta", "meter", "nav", "nobr", "noembed"),
        *("noframes", "noscript", "object", "ol", "optgroup", "option", "output", "p", "param", "picture", "pre", "progress"),
        *("q", "rb", "rp", "rt", "rtc", "ruby", "s", "samp", "script", "search", "section", "select", "slot", "small"),
        *("source", "span", "strike", "strong", "style", "sub", "summary", "sup", "svg", "table", "tbody", "td", "textarea"),
        *("tfoot", "th", "thead", "time", "title", "tr", "track", "tt", "u", "ul", "var", "video", "wbr", "xmp"),
    )
]  # fmt: skip
_DOUBTS = ["<template>", "</template>", "<math>", "</math>", "<plaintext>", "<frameset>", "<frame>", "<math/>"]
_COMMENTS = [
    *("<!---->", "<!-->", "<!--->", "<!-- <a href=c> -->", "<!-- x --!>", "<!--", "-->", "--!>", "<!-- a -- b", "<!--->-->", "<!---!>"),
    *("<!doctype html>", '<!DOCTYPE x "a>b">', "<?php <a href=p> ?>", "</>", "</ a>", "</3>", "<!", "<!->", "<?", "<! -- >"),
]  # fmt: skip
_NOISE = [
    *("<", "<<", "</", ">", '"', "'", "&", "&#0;", "&#150;", "&#xD800;", "&amp", "/", "=", " ", "\n", "\r\n", "\f", "text ", "é"),
    *("<a", '<a href="', "<a href=", "<titl", "</titl", "</scrip", "<3", "\0", "\ufeff", "&" + "n" * 40),
]  # fmt: skip
PIECES = [*_LINKS, *_FIRST, *_TEXTS, *_DRAWINGS, *_CHOICES, *_TABLES, *_ELEMENTS, *_COMMENTS, *_NOISE, *_DOUBTS]
_POOLS = [
    PIECES,
    [*_LINKS, *_COMMENTS, *_NOISE],
    [*_LINKS, *_ELEMENTS],
    [*_LINKS, *_FIRST[:1], *_DRAWINGS, *_ELEMENTS],
    [*_LINKS, *_TEXTS, *_COMMENTS],
    [*_LINKS, *_CHOICES],
    [*_FIRST, *_TABLES],
    [*_FIRST[:2], *_DRAWINGS],
]
"""All that there is; and little of it, which meets the more often."""


class Target:
    def execute(self, random: Random) -> str | None:
        document = _document(random)
        found = scan(document)
        if found is None:
            return "doubtful"
        assert by_scan(found) == by_tree(document), document
        return None


def _document(random: Random) -> bytes:
    pool = random.choice(_POOLS)
    document = bytearray("".join(random.choices(pool, k=random.randrange(1, 24))).encode())
    if random.random() < 0.2:
        at = random.randrange(len(document))
        document[at : at + random.randrange(1, 4)] = random.choice((b"", b"", b"<", b">", b"\xff", b"\xc3"))
    return bytes(document)
