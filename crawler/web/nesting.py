"""What makes the tree of a document too costly to build, found before it is built.

Parsers of HTML follow a standard under which some documents take time, or memory, that grows with the square of their length, or
worse. Lexbor, ours, bounds none of it (https://github.com/lexbor/lexbor/issues/340; html5ever and Gumbo have the same,
https://github.com/whatwg/html/issues/3732), and cannot be stopped. With lexbor as of selectolax 1.0.2:

* Elements within each other: each `<div>`, each `<p>` looks through all that are open for a paragraph to close, and each end tag for
  what it ends. 80,000 nested `<div>`, 400 KB, take 18 s; in 2,000, a selector such as `x div div` takes 11 s.
* Formatting elements (`<b id=1><b id=2>…`) that are open where a paragraph ends are made again in the next: 2,000 `<p><font …>`, 30 KB,
  make two million elements, in 700 MB.
* Attributes of one tag are each looked for among those before: 40,000 take 6 s. So are options of one `<select>`.

So this reads the tags of a document that is large enough to matter, keeps a stack of what is open, by the rules of the HTML Standard
(§13.2.6) so far as they bear on depth, and counts. It is meant to be right about documents as they are written, valid or not. One
that is made to deceive it, by end tags that the parser ignores, may: it is given up after a minute (crawler/callbacks.py).
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH: Final = 1000
"""So many elements within each other: browsers allow 512 (`kMaximumHTMLParserDOMTreeDepth` in Blink, the same in WebKit), and make
siblings of deeper ones. Of 5,500 pages of documentation none has more."""
MAX_COPIES: Final = 500_000
"""So many elements that no tag stands for, of 360 bytes each."""
MAX_STEPS: Final = 200_000_000
"""So many comparisons of attributes and options, of up to 5 ns each: 14,000 attributes of one tag, as many options."""

_WALK = 10
"""What a look at one element costs here, in such steps."""
_MUCH = 64
"""Bytes of attributes that are counted."""
_SHORT = 32_768
"""Bytes. A shorter document takes half a second and 800 MB at worst, and most are: they are not looked into."""
_SLICE_BYTES = 4096
_GAPS = 3
"""So many slices without a tag may be one tag that is long."""

_TOKEN = re.compile(
    rb"<(?:(/?)([a-z][^ \t\n\r\f/>]*+)"
    rb"((?:[ \t\n\r\f/]++|(?:=[^ \t\n\r\f/>=]*+|[^ \t\n\r\f/>=]++)"
    rb"(?:[ \t\n\r\f]*+=[ \t\n\r\f]*+(?:\"[^\"]*+\"|'[^']*+'|[^ \t\n\r\f>]*+))?+)*+)>?+"
    rb"|!--(?:-?>|.*?--!?>|.*)|[!?/][^>]*+)",
    re.IGNORECASE | re.DOTALL,
)
"""Tags (§13.2.5.6 to §13.2.5.40), with all that stands in them, up to the end of the document if nothing ends them before; comments, and what is taken for one."""
_ATTRIBUTE = re.compile(
    rb"[ \t\n\r\f/]*+(?:=[^ \t\n\r\f/>=]*+|[^ \t\n\r\f/>=]++)"
    rb"(?:[ \t\n\r\f]*+=[ \t\n\r\f]*+(?:\"[^\"]*+\"|'[^']*+'|[^ \t\n\r\f>]*+))?+"
)


def _names(text: bytes) -> frozenset[bytes]:
    return frozenset(text.split())


_NEVER_OPEN = _names(
    b"area base basefont bgsound body br col embed frame frameset head hr html image img input keygen link meta param source "
    b"track wbr"
)
_ROOTS = _names(b"body html")
_TEXTS = _names(b"iframe noembed noframes script style textarea title xmp")
_FORMATTING = _names(b"a b big code em font i nobr s small strike strike strong tt u")
_CLOSES_ITSELF = _names(b"a button nobr")
_MARKERS = _names(b"applet caption marquee object td template th")
"""What formatting does not reach out of (§13.2.4.3)."""
_FOREIGN = _names(b"math svg")
_FOREIGN_TEXT = _names(b"annotation-xml desc foreignobject mi mn mo ms mtext")
_BREAKS_OUT = _names(
    b"b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing menu meta nobr ol p "
    b"pre ruby s small span strike strong sub sup table tt u ul var"
)
"""What ends a drawing or a formula (§13.2.6.5)."""
_CELLS = _names(b"caption td template th")
_HEADINGS = _names(b"h1 h2 h3 h4 h5 h6")
_CLOSES_P = _HEADINGS | _names(
    b"address article aside blockquote center dd details dialog dir div dl dt fieldset figcaption figure footer form header hgroup "
    b"hr li listing main menu nav ol p plaintext pre search section summary table ul xmp"
)
_TABLE = _names(b"table template")
_SCOPE = _MARKERS | _names(b"table foreignobject desc title annotation-xml mi mn mo ms mtext")
_P_SCOPE = _SCOPE | {b"button"}
_LI_SCOPE = _SCOPE | {b"ol", b"ul"}
_SPECIAL = _SCOPE | _CLOSES_P | _names(b"button colgroup noscript select tbody tfoot thead tr")
_ROWS = {
    b"tr": _names(b"tbody tfoot thead table template"),
    b"td": _names(b"tr template"),
    b"th": _names(b"tr template"),
}
_ROWS.update(dict.fromkeys([b"tbody", b"thead", b"tfoot", b"caption", b"colgroup"], _TABLE))
_ITEMS = {b"li": _names(b"li"), b"dd": _names(b"dd dt"), b"dt": _names(b"dd dt")}
_STOPS_ITEM = {name: _SPECIAL - _ITEMS[name] - {b"address", b"div", b"p"} for name in _ITEMS}
_SCOPES = {b"p": _P_SCOPE, b"li": _LI_SCOPE, b"table": frozenset({b"template"}), b"template": frozenset[bytes]()}
_SCOPES.update(dict.fromkeys([*_ROWS], _TABLE))


_PLAIN, _BLOCK, _FORMATS, _LINKS, _PECULIAR = range(5)
_KINDS = dict.fromkeys(_SCOPE | _SPECIAL | _NEVER_OPEN | _TEXTS | _FOREIGN, _PECULIAR)
_KINDS.update(dict.fromkeys([b"option", b"optgroup", b"form", b"button"], _PECULIAR))
_KINDS.update(
    dict.fromkeys(_CLOSES_P - _HEADINGS - _NEVER_OPEN - _TEXTS - {b"dd", b"dt", b"form", b"li", b"table"}, _BLOCK)
)
_KINDS.update(dict.fromkeys(_FORMATTING, _FORMATS))
_KINDS.update(dict.fromkeys([b"a", b"nobr"], _LINKS))
"""What there is to mind where such an element begins: nothing, open paragraphs, how often there are equal ones, whether it is open; or
much."""


def too_costly(document: bytes) -> str | None:
    """What makes the tree of a document, in an encoding that has ASCII as it is, too costly; None if nothing does."""
    return look_into(document) if len(document) >= _SHORT and _is_suspect(document) else None


def look_into(document: bytes) -> str | None:
    """The same, of any document, and without a first sight that may deceive."""
    return _Reading().read(document)


def _is_suspect(document: bytes) -> bool:
    """Whether, at first sight, many more elements have begun somewhere than have ended, or a tag is very long. To look closer takes
    some times as long as the parser does, and hardly any document that somebody wrote need be.
    """
    surplus = gaps = 0
    for start in range(0, len(document), _SLICE_BYTES):
        end = start + _SLICE_BYTES
        ends = document.count(b"</", start, end)
        begins = document.count(b"<", start, end) - ends
        surplus += begins
        gaps = 0 if begins or ends else gaps + 1
        if surplus > MAX_DEPTH // 2 or gaps == _GAPS:
            return True
        surplus = max(0, surplus - ends)
    return False


class _Reading:
    """How far a document has been read: the elements that are open, those that are to be opened again, and what it has cost."""

    def __init__(self) -> None:
        self._open: list[bytes] = []
        self._attributes: list[bytes] = []
        """Of each that is open."""
        self._numbers: Counter[bytes] = Counter()
        self._lost: list[tuple[bytes, bytes]] = []
        """The formatting elements that ended with what is around them."""
        self._depth = 0
        """Of these, the ones that are no formatting."""
        self._copies = self._steps = self._options = self._of_root = 0

    def read(self, document: bytes) -> str | None:
        at = 0
        while token := _TOKEN.search(document, at):
            if self._lost and token.start() > at:  # there is text
                self._open_again()
            at = token.end()
            if not token[2]:
                continue
            name = token[2].lower()
            if self._is_simple(name, token):
                pass
            elif token[1]:
                self._end(name)
            else:
                self._start(name, token[3])
                if name in _TEXTS and not self._is_foreign() and not self._numbers[b"select"]:
                    at = _end_of_text(document, at, name)
            if self._depth > MAX_DEPTH:
                return f"more than {MAX_DEPTH:,} elements within each other"
            if self._copies > MAX_COPIES:
                return f"formatting that is never closed, and repeated more than {MAX_COPIES:,} times"
            if self._steps > MAX_STEPS:
                return "more misplaced tags, attributes of one tag or options of one choice than can be borne"
        return None

    def _is_simple(self, name: bytes, token: re.Match[bytes]) -> bool:
        """Whether this begins, or ends, an element and does nothing else, as nearly all tags do; then it is done."""
        kind = _KINDS.get(name, _PLAIN)
        if kind == _PECULIAR:
            return False
        if token[1]:
            if not self._open or self._open[-1] != name:
                return False
            del self._open[-1], self._attributes[-1]
            self._numbers[name] -= 1
            self._depth -= kind < _FORMATS
            return True
        attributes = token[3]
        numbers = self._numbers
        if self._lost or len(attributes) > _MUCH or numbers[b"svg"] or numbers[b"math"]:
            return False
        if numbers[b"p" if kind == _BLOCK else name] and kind in (_BLOCK, _LINKS):
            return False
        if kind == _BLOCK:
            self._steps += len(self._open)
        self._push(name, attributes)
        return True

    def _start(self, name: bytes, attributes: bytes) -> None:
        if len(attributes) > _MUCH or name in _ROOTS:
            self._compare(name, attributes)
        if self._is_foreign():
            if name not in _BREAKS_OUT:
                if not attributes.endswith(b"/"):
                    self._push(name, attributes)
                return
            self._close_nearest(_FOREIGN, _FOREIGN_TEXT)
        if name in _CLOSES_P:
            self._steps += len(self._open)
            if self._numbers[b"p"]:
                self._close_nearest((b"p",), _P_SCOPE)
        if name in _NEVER_OPEN:
            return
        if name == b"option" and self._numbers[b"select"]:
            self._options += 1
            self._steps += 2 * self._options
        elif name == b"select":
            self._options = 0
        if self._makes_room(name) and not self._is_empty(name, attributes):
            if self._lost and name not in _SPECIAL:
                self._open_again()
            self._push(name, attributes)

    def _makes_room(self, name: bytes) -> bool:
        """Close what ends where an element of this name begins; whether it may begin there."""
        if name in _ROWS:
            return self._clear_back_to(_ROWS[name])
        if name in _ITEMS:
            self._close_nearest(_ITEMS[name], _STOPS_ITEM[name])
        elif name in _HEADINGS or name == b"option":
            if self._open and self._open[-1] in (_HEADINGS if name in _HEADINGS else (name,)):
                self._close(len(self._open) - 1)
        elif name in _CLOSES_ITSELF:
            self._end(name)
        elif name == b"table" and self._numbers[name]:  # one right within another ends it
            self._close_nearest((name,), _CELLS)
        return True

    def _is_empty(self, name: bytes, attributes: bytes) -> bool:
        """Whether it holds nothing: a form within another, a shape that says so."""
        if name == b"form":
            return self._numbers[name] > 0
        return name in _FOREIGN and attributes.endswith(b"/")

    def _end(self, name: bytes) -> None:
        if self._open and self._open[-1] == name:
            self._close(len(self._open) - 1)
        elif name in _FORMATTING:
            self._end_formatting(name)
        elif not self._numbers[name]:
            return
        elif name == b"form":  # alone: what is open within stays so
            self._remove(len(self._open) - 1 - self._open[::-1].index(name))
        elif name in _HEADINGS:
            self._close_nearest(_HEADINGS, _SCOPE)
        else:
            self._close_nearest((name,), _SCOPES.get(name, _SCOPE if name in _SPECIAL else _SPECIAL))

    def _end_formatting(self, name: bytes) -> None:
        """By the adoption agency (§13.2.6.4.7): what is below a formatting element stays open, unless it is all formatting."""
        for at in range(len(self._lost) - 1, -1, -1):
            if self._lost[at][0] == name:
                del self._lost[at]
                return
        if not self._numbers[name]:
            return
        holds_block = False
        for at in self._inside_out():
            one = self._open[at]
            if one == name:
                if holds_block:
                    self._copies += 1
                    self._remove(at)
                else:
                    self._close(at)
                return
            if one in _MARKERS:
                return
            holds_block = holds_block or one in _SPECIAL

    def _close_nearest(self, names: frozenset[bytes] | tuple[bytes, ...], scope: frozenset[bytes]) -> None:
        """Close the innermost element of these names, and what is open within, if nothing of the scope is around it."""
        for at in self._inside_out():
            one = self._open[at]
            if one in names:
                self._close(at)
                return
            if one in scope:
                return

    def _clear_back_to(self, context: frozenset[bytes]) -> bool:
        """Close what is open within the innermost row, group or table; whether there is one."""
        for at in self._inside_out():
            one = self._open[at]
            if one in context:
                self._close(at + 1)
                return True
            if one in _TABLE:
                self._close(at + 1)
                return True  # the row, or the group, that is left out: one more
        return False

    def _inside_out(self) -> Iterator[int]:
        """Where the open elements are, the innermost first."""
        for at in range(len(self._open) - 1, -1, -1):
            self._steps += _WALK
            yield at

    def _close(self, at: int) -> None:
        """Close all from this one on; of the formatting within, what no marker holds is to be opened again, thrice at most."""
        lost: list[tuple[bytes, bytes]] = []
        for position in range(len(self._open) - 1, at - 1, -1):
            name = self._open[position]
            self._numbers[name] -= 1
            self._depth -= name not in _FORMATTING
            if name in _MARKERS:
                lost.clear()
                self._lost.clear()
            elif name in _FORMATTING and position > at:
                lost.append((name, self._attributes[position]))
        del self._open[at:], self._attributes[at:]
        if lost:
            self._lost = _thrice([*self._lost, *reversed(lost)])

    def _remove(self, at: int) -> None:
        self._numbers[self._open[at]] -= 1
        self._depth -= self._open[at] not in _FORMATTING
        del self._open[at], self._attributes[at]

    def _open_again(self) -> None:
        again, self._lost = self._lost, []
        self._copies += len(again)
        for name, attributes in again:
            self._push(name, attributes)

    def _push(self, name: bytes, attributes: bytes) -> None:
        self._open.append(name)
        self._attributes.append(attributes)
        self._numbers[name] += 1
        if name not in _FORMATTING:
            self._depth += 1
        elif attributes:  # it is compared with others of its name
            self._steps += 4 * len(self._open)

    def _compare(self, name: bytes, attributes: bytes) -> None:
        number = sum(1 for _ in _ATTRIBUTE.finditer(attributes))
        if name in _ROOTS:  # all of them add theirs to one
            self._of_root += number
            number = self._of_root
        self._steps += number * number

    def _is_foreign(self) -> bool:
        numbers = self._numbers
        return any(numbers[name] for name in _FOREIGN) and sum(numbers[one] for one in _FOREIGN) > sum(
            numbers[one] for one in _FOREIGN_TEXT
        )


def _thrice(elements: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Of equal ones, the last three ("Noah's Ark", §13.2.4.3)."""
    numbers: Counter[tuple[bytes, bytes]] = Counter()
    kept = []
    for element in reversed(elements):
        numbers[element] += 1
        if numbers[element] <= 3:
            kept.append(element)
    return kept[::-1]


def _end_of_text(document: bytes, at: int, name: bytes) -> int:
    """Where the end tag is of an element that holds text alone; there, or never, it ends."""
    end = re.compile(rb"</" + name + rb"(?=[ \t\n\r\f/>])", re.IGNORECASE).search(document, at)
    return end.start() if end else len(document)
