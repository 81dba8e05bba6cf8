"""What is found without a tree is what the tree holds, in the scanner as it is compiled and as it is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from crawler.web import scan as installed
from crawler.web.links import by_rel, hrefs_by_rel
from crawler.web.scan import Scan
from crawler.web.urls import resolve, without_fragment
from tests.as_written import as_written
from tests.fuzz.links import PIECES
from tests.trees import by_scan, by_tree

URL = "http://h/folder/page"

Scanning: TypeAlias = Callable[[bytes], Scan | None]


written = as_written(installed)
needs_compiled = pytest.mark.skipif(
    not installed.IS_COMPILED, reason="crawler/web/scan.py is not compiled here: no C compiler when it was installed"
)


@pytest.fixture(scope="module", params=["as written", pytest.param("compiled", marks=needs_compiled)])
def scan(request: pytest.FixtureRequest) -> Scanning:
    answer: Scanning = installed.scan if request.param == "compiled" else written.scan
    return answer


def found(scan: Scanning, html: str | bytes) -> Scan:
    """What a scan tells, which is what the tree tells as well."""
    document = html.encode() if isinstance(html, str) else html
    scanned = scan(document)
    assert scanned is not None
    assert by_scan(scanned) == by_tree(document)
    return scanned


def references(scanned: Scan) -> list[str]:
    return list(scanned.references)


def test_what_is_written_is_not_what_is_compiled() -> None:
    assert not written.IS_COMPILED


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("", []),
        ("no markup, 1 < 2", []),
        ("<a href=1>x</a><A HREF='2'>y</A><a hREF=\"3\">", ["1", "2", "3"]),
        ("<a href=1><a href=2><a href=1>", ["1", "2"]),
        ("<a href>", [""]),
        ("<a href=><a href=1>", ["", "1"]),
        ("<a href=''><a href=1>", ["", "1"]),
        ("<a href ><a href=1>", ["", "1"]),
        ("<a>no</a><a name=x>no</a>", []),
        ("<a href=1 href=2 HREF=3>", ["1"]),
        ("<a href = 1><a\nhref\n=\n'2'\n><a\thref\f=\r3>", ["1", "2", "3"]),
        ("<a/href=1><a / href=2 /><a href='3'/>", ["1", "2", "3"]),
        ("<a href=1/><a href=/>", ["1/", "/"]),
        ("<a\vhref=no><a href\v=no>", []),
        ("<a title=''href=1 x=''><a href=\"2\"rel=x>", ["1", "2"]),
        ("<a =href=no><a = href=1><a x==href=no>", ["1"]),
        ("<a title='<a href=no>' href=1><a href='a>b'><a href=\"it's\">", ["1", "a>b", "it's"]),
        ("<a href=un'quo\"ted><a href=x=y><a href=<a>", ["un'quo\"ted", "x=y", "<a"]),
        ("<a href=' a b '><a href='é'><a href='\x01\tc\n'>", ["a b", "é", "c"]),
        ("<a href=1#2><a href=#3><a href='4#&amp;5'><a href='6 #7'><a href='&#35;8'>", ["1", "", "4", "6 #"]),
        ("<a href='1&amp;2#3'><a href='4&#35;5'><a href=' &#32;6'>", ["1&2", "4", "6"]),
        ("<a href='1\r\n2\r3\n4'>", ["1\r\n2\r3\n4"]),
        ("<a<b href=no><abbr href=no><a:b href=no><area href=no><xa href=no><p href=no><area1234a href=no>", []),
        ("<hrefs hrefs=no><a hrefs=no xhref=no data-href=no>", []),
        ("< a href=no></a href=no></ a href=no><3 href=no>", []),
        ("<<a href=1><p<a href=no>", ["1"]),
        ("<a href=1></", ["1"]),
        ("<a href=1><", ["1"]),
        ("<a href=1>open<a href=2>open<p><a href=3></div></a></p>", ["1", "2", "3"]),
        ("<noscript><a href=1></noscript>", ["1"]),
        ("</html><a href=1>", ["1"]),
    ],
)
def test_hrefs(scan: Scanning, html: str, expected: list[str]) -> None:
    assert references(found(scan, html)) == expected


def test_links_stand_in_the_order_of_the_source(scan: Scanning) -> None:
    """The tree puts what is misplaced in a table before it."""
    assert references(found(scan, "<table><tr><td><a href=1></td><a href=2></table>")) == ["1", "2"]


@pytest.mark.parametrize(
    ("attributes", "is_forbidden"),
    [
        ("rel=nofollow", True),
        ("REL='NoFollow'", True),
        ("rel='me\nnofollow noopener'", True),
        ("rel='no&#102;ollow'", True),
        ("rel=nofollow rel=me", True),
        ("rel=me rel=nofollow", False),
        ("rel rel=nofollow", False),
        ("rel=''", False),
        ("rel='noopener,nofollow'", True),
        ("rel='NOFOLLOW, me'", True),
        ("rel='nofollow;me'", False),
        ("rel='nofollows unnofollow'", False),
        ("rev=nofollow", False),
        ("", False),
    ],
)
def test_nofollow(scan: Scanning, attributes: str, is_forbidden: bool) -> None:
    html = f"<a href=0><a href=1 {attributes}><a {attributes} href=2><a {attributes}>"
    assert found(scan, html).references == {"0": True, "1": not is_forbidden, "2": not is_forbidden}


def test_one_link_that_may_be_followed_is_enough_and_gives_the_place(scan: Scanning) -> None:
    html = "<a rel=nofollow href=1><a href=2><a rel=nofollow href=2#x><a href=1><a rel=nofollow href='&#49;'><a rel=nofollow href=3>"
    assert list(found(scan, html).references.items()) == [("2", True), ("1", True), ("3", False)]
    html = "<a rel=nofollow href='&#49;'><a href='2&#35;'><a href=1>"
    assert list(found(scan, html).references.items()) == [("2", True), ("1", True)]


@pytest.mark.parametrize(
    ("html", "base"),
    [
        ("<p>", None),
        ("<base>", None),
        ("<base target=_top><base href=/1/>", "/1/"),
        ("<BASE HREF='/a&amp;b/' href=2>", "/a&b/"),
        ("<base href>", ""),
        ("<body><p><base href=late>", "late"),
        ("<basefont href=no><!-- <base href=no> -->", None),
        ("<base href=cut", None),
    ],
)
def test_base(scan: Scanning, html: str, base: str | None) -> None:
    assert found(scan, html).base == base


@pytest.mark.parametrize(
    ("html", "title"),
    [
        ("<p>", None),
        ("<title></title>", ""),
        ("<title> a\n b </title>", " a\n b "),
        ("<TITLE lang='>'>1</Title\n x='>'>", "1"),
        ("<title/>1</title/>", "1"),
        ("<title>1 <b> & </titles> <!-- </title> -->", "1 <b> & </titles> <!-- "),
        ("<body><p><title>late</title>", "late"),
        ("<titles>no</titles><svg><title>no</title></svg>", None),
        ("<svg><title>no</title></svg><title>yes</title>", "yes"),
    ],
)
def test_title(scan: Scanning, html: str, title: str | None) -> None:
    assert found(scan, html).title == title


@pytest.mark.parametrize(
    ("written", "in_value", "in_text"),
    [
        ("&amp;&AMP;&lt;", "&&<", "&&<"),
        ("&amp &lt", "& <", "& <"),
        ("&copy=1", "&copy=1", "©=1"),
        ("&copya", "&copya", "©a"),
        ("&copy;a &copy. &copyé", "©a ©. ©é", "©a ©. ©é"),
        ("&notit; &notin; &not", "&notit; ∉ ¬", "¬it; ∉ ¬"),
        ("&hearts &hearts; &nGt;", "&hearts ♥ ≫⃒", "&hearts ♥ ≫⃒"),
        ("&none; &none &; & &&amp;", "&none; &none &; & &&", "&none; &none &; & &&"),
        ("&#65;&#x42;&#X43;&#68 &#x45", "ABCD E", "ABCD E"),
        ("&#x20AC;&#8364;&#128512;&#x10FFFF;", "€€😀\U0010ffff", "€€😀\U0010ffff"),
        ("&# &#; &#x &#x; &#xg;", "&# &#; &#x &#x; &#xg;", "&# &#; &#x &#x; &#xg;"),
        ("&#9;&#10;&#32;", "\t\n ", "\t\n "),
        ("&CounterClockwiseContourIntegral;", "∳", "∳"),
    ],
)
def test_character_references(scan: Scanning, written: str, in_value: str, in_text: str) -> None:
    """HTML Standard §13.2.5.73: in an attribute, a name without its semicolon stands for itself before `=` or a letter."""
    assert references(found(scan, f"<a href='{written}'>")) == [without_fragment(in_value)]
    assert found(scan, f"<title>{written}</title>").title == in_text


@pytest.mark.parametrize(
    "number", ["0", "13", "128", "150", "x80", "xD800", "xDFFF", "x110000", "99999999", "12", "x7f"]
)
def test_numbers_that_are_no_characters_are_doubtful(scan: Scanning, number: str) -> None:
    """Some stand for other characters, in ways that are the parser's business."""
    assert scan(f"<a href='&#{number};'>".encode()) is None
    assert scan(f"<title>&#{number};</title>".encode()) is None
    assert references(found(scan, f"<p title='&#{number};'>&#{number};<a href=1>")) == ["1"]


@pytest.mark.parametrize(
    "comment",
    [
        *("<!-- {} -->", "<!--{}-->", "<!---{}--->", "<!-- {} --!>", "<!-- <!-- {} -->", "<!-- > {} -->", "<!--- > {} -->"),
        *("<!-- -- > {} -->", "<!-- --!{} -->", "<!-- -!> {} -->", "<!---!> {} -->", "<!-- <!-{}->-->"),
        *("<!--{} --!-->", "<!--!> {} -->", "<!-- {}"),
    ],
)  # fmt: skip
def test_what_is_in_a_comment_is_not_there(scan: Scanning, comment: str) -> None:
    html = comment.format("<a href=no><title>no</title>")
    is_open = comment == "<!-- {}"
    assert references(found(scan, f"<a href=1>{html}<a href=2>")) == (["1"] if is_open else ["1", "2"])


@pytest.mark.parametrize(
    "ended",
    [
        *("<!-->", "<!--->", "<!---->", "<!----!>", "<!-- --!>", "<!>", "<!->", "<!- -->", "<!doctype html>", "<!x '>"),
        '<!doctype x "<!-->',
        *("<?>", "<?php '>", "<? -->", "</>", "</ >", "</3>", "</!-->", "</?x>", "<![CDATA[ >"),
    ],
)  # fmt: skip
def test_what_ends_sooner_than_it_seems(scan: Scanning, ended: str) -> None:
    assert references(found(scan, f"{ended}<a href=1>--><a href=2>")) == ["1", "2"]


@pytest.mark.parametrize("name", ["script", "style", "textarea", "iframe", "xmp", "noembed", "noframes", "title"])
def test_text_holds_no_tags(scan: Scanning, name: str) -> None:
    for end in (f"</{name}>", f"</{name.upper()}\n>", f"</{name}/>", f"</{name} href='>'>"):
        inside = f"<a href=no></a></{name}s></ {name}><!-- <base href=no> </{name}<"
        assert references(found(scan, f"<{name} src='>'>{inside}{end}<a href=1>")) == ["1"]
    assert references(found(scan, f"<{name}s><a href=1>")) == ["1"]
    if name != "title":
        for cut in (f"<{name}><a href=no>", f"<{name}><a href=no></{name}", f"<{name}", f"<{name}><"):
            assert references(found(scan, cut)) == []


@pytest.mark.parametrize(
    ("script", "is_doubtful"),
    [
        ("'<a href=no>'", False),
        ("<!-- '<a href=no>'", False),
        ("<!-- //-->", False),
        ("'<script>'", False),
        ("<!-- <script>", True),
        ("<!--<SCRIPT >x", True),
        ("<!-- <script> -->", True),
    ],
)
def test_a_script_within_a_script(scan: Scanning, script: str, is_doubtful: bool) -> None:
    html = f"<script>{script}</script><a href=1>"
    if is_doubtful:
        assert scan(html.encode()) is None
    else:
        assert references(found(scan, html)) == ["1"]


@pytest.mark.parametrize(
    "svg",
    [
        *("<svg></svg>", "<svg/>", "<svg />", "<SVG viewBox='0 0 1 1'><Path d='>'/></SVG>", "<svg><path></svg>"),
        *("<svg><g><path></g><text>x</text></svg>", "<svg><g><g></svg>", "<svg><svg></svg><rect></svg>", "<svg><!-- <p> --></svg>"),
        *("<svg><title>x</title></svg>", "<svg><title>x<!-- y --></title><desc></desc></svg>", "<svg><style>p{}</style></svg>"),
        *("<svg><title/><path/></svg>", "<svg><linearGradient><stop></stop></linearGradient></svg\n>"),
    ],
)  # fmt: skip
def test_drawings_are_passed_over(scan: Scanning, svg: str) -> None:
    scanned = found(scan, f"<a href=1>{svg}</a><a href=2><title>page</title>")
    assert (references(scanned), scanned.title) == (["1", "2"], "page")


@pytest.mark.parametrize(
    "html",
    [
        *("<svg>", "<svg/x>", "<svg x=1/>", "<svg><path", "<svg><", "<svg></", "<svg><p>", "<svg></p>", "<svg></br>"),
        "<svg><a href=1>",
        *("<svg><title><b></b></title></svg>", "<svg><title></svg>", "<svg><style><a href=1></style></svg>", "<svg><title></g></title>"),
        *("<svg><foreignObject></foreignObject></svg>", "<svg><script></script></svg>", "<svg><![CDATA[ <a href=no> ]]></svg>"),
        *("<mask><svg></mask><title>x</title></svg>", "<svg></g></svg>", "<svg><title/></title></svg>", "<svg><3></svg>"),
        "<svg>" + "<g>" * 100 + "</svg>",
    ],
)  # fmt: skip
def test_drawings_that_may_end_elsewhere_are_doubtful(scan: Scanning, html: str) -> None:
    assert scan(html.encode()) is None


@pytest.mark.parametrize(
    "select",
    [
        *("<select></select>", "<SELECT><option value='>'>a<OPTION>b</select>", "<select><optgroup></optgroup><hr></select >"),
        *("<select><!-- <p> --></select>", "<select/></select>", "<option><select></option></select>"),
    ],
)  # fmt: skip
def test_choices_are_passed_over(scan: Scanning, select: str) -> None:
    assert references(found(scan, f"<a href=1>{select}<a href=2>")) == ["1", "2"]


@pytest.mark.parametrize(
    "html",
    [
        *("<select>", "<select/>", "<select><option", "<select><a href=1></select>", "<select><input></select>"),
        *("<select><select>", "<select></table></select>", "<select><script></script></select>", "<select></></select>"),
        *("<template><a href=no></template>", "<frameset>", "<plaintext><a href=no>", "<math>", "<MATH/>"),
        *("<title>cut", "<title", "<title>cut</title", "<a href=1 \0>", "\0"),
        *("<title>1</title><title>2</title>", "<base href=1><base href=2>", "<table><td><title>2</title><tr><title>1</title>"),
    ],
)  # fmt: skip
def test_what_only_the_tree_can_tell(scan: Scanning, html: str) -> None:
    assert scan(html.encode()) is None


@pytest.mark.parametrize(
    "name", ["templates", "xtemplate", "mat", "frames", "plaintex", "plaintexts", "selects", "svgs"]
)
def test_names_that_only_look_like_doubtful_ones(scan: Scanning, name: str) -> None:
    assert references(found(scan, f"<{name}><a href=1></{name}>")) == ["1"]


@pytest.mark.parametrize(
    "html", ["<a href='1' rel=nofollow>", "<a x=1 href=12 y>", '<a title="x"href="1"/>', "<a href>"]
)
def test_a_tag_that_is_cut_off_is_none(scan: Scanning, html: str) -> None:
    for end in range(len(html)):
        assert references(found(scan, html[:end])) == []
    assert len(found(scan, html).references) == 1


def test_bytes_that_are_no_utf_8_are_doubtful_where_they_matter(scan: Scanning) -> None:
    assert scan(b"<a href='\xff'>") is None
    assert scan(b"<a href=1 rel='\xff'>") is None
    assert scan(b"<base href='\xff'>") is None
    assert scan(b"<title>\xc3</title>") is None
    assert references(
        found(scan, b"<p title='\xff'>\xc3<!-- \xfe --><\xe9 href=no><a\xff href=no><a href=1 \xff=\xff>")
    ) == ["1"]


documents = st.lists(
    st.sampled_from(PIECES) | st.text("<>/='\"&;-!?ahref \n", max_size=4) | st.characters(codec="utf-8"), max_size=20
).map(lambda pieces: "".join(pieces).encode())


@given(document=documents)
def test_what_a_scan_finds_the_tree_holds(scan: Scanning, document: bytes) -> None:
    scanned = scan(document)
    if scanned is None:
        return
    assert by_scan(scanned) == by_tree(document)
    if b"<table" not in document.lower():
        assert resolve(URL, by_rel(scanned)[0]) == resolve(URL, hrefs_by_rel(LexborHTMLParser(document))[0])


@needs_compiled
@given(documents | st.binary(max_size=100))
def test_both_forms_agree(document: bytes) -> None:
    assert installed.scan(document) == written.scan(document)


class Counted(bytes):
    """Counts how many of its bytes are read."""

    reads = 0

    def __getitem__(self, key: Any) -> Any:
        self.reads += len(range(*key.indices(len(self)))) if isinstance(key, slice) else 1
        return super().__getitem__(key)

    def find(self, wanted: Any, start: Any = 0, end: Any = None) -> int:
        at = super().find(wanted, start, end)
        self.reads += (len(self) if end is None else end) - start if at < 0 else at - start
        return at


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        *(("", piece) for piece in ("<", "</", "<a", "<a ", "<a/", "<!", "<!--", "<!-->", "<!-- --!", "<!--->-")),
        *(("", piece) for piece in ("<?", "</a", "</a ", "<a href='", "<p>", "&amp;")),
        *(("", piece) for piece in ("<!--x--!>", "<!----!>", "<!--x-->", "<!--x--!", "<!--x-- >", "<![CDATA[", "<![CDATA[x]]>")),
        *(("<!-- x --> ", piece) for piece in ("<!--x--!>", "<!--->", "<!---")),
        *(("<a ", piece) for piece in ("href ", "href=", "href='", "'", "=", "/", "rel=nofollow ", "\n")),
        *(("<script>", piece) for piece in ("<", "</", "</script", "<!--", "<script", "</script><script>", "<!-- </script><script>")),
        *(("<svg>", piece) for piece in ("<!--x--!>", "<![CDATA[", "<path>", "</path>", "<title><!--x--!>")),
        *(("<select>", piece) for piece in ("<!--x--!>", "<option x='")),
        *((f"<{name}>", f"</{name[:-1]}") for name in ("script", "style", "textarea", "iframe", "xmp", "noembed", "noframes")),
        *((f"<{name}>", "<!--x--!>") for name in ("script", "style", "textarea", "iframe", "xmp", "noembed", "noframes")),
        *(("<svg>", piece) for piece in ("<path/>", "<g></g>", "<svg/>", "<!--", "<!---->", "<title></title>", "<style>", "x")),
        *(("<select>", piece) for piece in ("<option>", "</option>", "<!-->", "x")),
        *(("<title>", piece) for piece in ("<", "</title", "&", "&amp", "</titl>")),
    ],
)  # fmt: skip
def test_no_document_is_read_over_and_over(start: str, piece: str) -> None:
    document = Counted((start + piece * (20_000 // len(piece))).encode())
    written.scan(document)
    assert document.reads < 10 * len(document)


@settings(max_examples=150)
@given(
    start=st.lists(st.sampled_from(PIECES), max_size=2),
    pieces=st.lists(st.sampled_from(PIECES), min_size=1, max_size=3),
)
def test_no_repetition_is_read_over_and_over(start: list[str], pieces: list[str]) -> None:
    """Whatever ends nothing, and is not ended, again and again."""
    repeated = "".join(pieces)
    document = Counted(("".join(start) + repeated * (1 + 4_000 // len(repeated))).encode())
    written.scan(document)
    assert document.reads < 20 * len(document)


def test_what_seems_to_be_a_name_may_be_of_any_length(scan: Scanning) -> None:
    """To try a million letters at every length would take hours."""
    name = "a" * 1_000_000
    scanned = found(scan, f"<title>&{name}</title><a href='&{name}'>")
    assert (scanned.title, references(scanned)) == (f"&{name}", [f"&{name}"])
