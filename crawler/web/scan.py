"""The links, the base and the title of an HTML document, found without building its tree.

A spider that only follows links has no use for most of what a parser does. This module tokenizes the document as the HTML
Standard does (§13.2.5), and reads the attributes of only a few tags. It gives either the same answer as the tree would, or
none: where the meaning of a tag depends on its place in the tree, `scan` gives up, and the tree has to be built.

* `<template>`, `<frameset>`, `<plaintext>`, `<math>`: their content is not part of the document, or means something else.
* `<svg>` and `<select>`: other tags inside are ignored, or end them; only shapes and options may be inside.
* A second `<title>` or `<base>`: a misplaced element in a table moves before the table, so it is not known which one comes
  first in the tree.
* A script that contains `<!--` and `<script` may not end where it seems to (§13.2.5.20).
* NUL bytes, bytes that are not UTF-8, and character references that are not what they seem to be (§13.2.5.73).

Misnested tags do no harm: they move elements in the tree, and repeat some, but no link appears or disappears.

This module is compiled, with the C types in `scan.pxd`. It also works without that, but then building the tree is faster, so
callers check `IS_COMPILED` first. Indices are checked in C, too: no document can make it read outside its own bytes.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from crawler.web.characters import NoCharacter, in_text, in_value
from crawler.web.urls import without_fragment

IS_COMPILED: Final = not __file__.endswith(".py")


class Scan(NamedTuple):
    """What was found."""

    references: dict[str, bool]
    """Where the `a[href]` lead, in the order of the source: each href as `crawler.web.urls.join_all` takes it, without the
    blanks around it and without its fragment, so it is often empty; and whether any link to it may be followed, because its
    `rel` does not say nofollow."""
    base: str | None
    """The href of the `base[href]`, as it is written."""
    title: str | None
    """The text of the `<title>`; those of drawings do not count."""


class Doubt(Exception):
    """Only the tree can tell."""


def scan(document: bytes) -> Scan | None:
    """The links, base and title of a document, which is in UTF-8 and without a byte order mark; None if only the tree can tell."""
    if b"\0" in document:
        return None
    scanner = Scanner(document)
    try:
        scanner.run()
        references = _references(scanner.links)
    except (Doubt, NoCharacter, UnicodeDecodeError):
        return None
    return Scan(references, scanner.base, scanner.title)


def says_nofollow(rel: str) -> bool:
    """Whether this `rel` says nofollow: its words are separated by blanks or, as search engines read it, by commas."""
    rel = rel.lower()
    return "nofollow" in rel and "nofollow" in rel.replace(",", " ").split()


# A name is identified by its length and its first eight letters, in lower case, as the bytes of one number (`a` is 0x61).


def _packed(name: str) -> int:
    return int.from_bytes(name.encode(), "big")


_A = _packed("a")
_BASE = _packed("base")
_FRAMESET = _packed("frameset")
_IFRAME = _packed("iframe")
_MATH = _packed("math")
_NOEMBED = _packed("noembed")
_NOFRAMES = _packed("noframes")
_PLAINTEXT = _packed("plaintex")
_SCRIPT = _packed("script")
_SELECT = _packed("select")
_STYLE = _packed("style")
_SVG = _packed("svg")
_TEMPLATE = _packed("template")
_TEXTAREA = _packed("textarea")
_TITLE = _packed("title")
_XMP = _packed("xmp")
_HREF = _packed("href")
_REL = _packed("rel")

_CHOICES = frozenset({b"option", b"optgroup", b"hr"})
_SHAPES = frozenset(
    b"animate circle clippath defs ellipse fegaussianblur feoffset filter g image line lineargradient mask path pattern "
    b"polygon polyline radialgradient rect stop svg symbol text tspan use".split()
)
_TEXTS = frozenset({b"desc", b"style", b"title"})
"""Elements inside `<svg>` that may contain only text."""
_DEEPEST = 100
"""Shapes within shapes. Deeper ones are left to the tree, because each end tag is searched for among all open elements."""


class Scanner:
    """A document, and how far it has been read: `_at`. The bounds of what was read last are fields, to save making objects."""

    links: dict[bytes, bool]
    base: str | None
    title: str | None
    _document: bytes
    _size: int
    _at: int
    _name: int
    _name_start: int
    _name_end: int
    _value_start: int
    _value_end: int
    _is_cut: bool
    _closes_itself: bool
    _comment_end: int

    def __init__(self, document: bytes) -> None:
        self.links = {}
        self.base = None
        self.title = None
        self._document = document
        self._size = len(document)
        self._at = 0
        self._name = 0
        self._name_start = self._name_end = 0
        self._value_start = self._value_end = -1
        self._is_cut = False
        self._closes_itself = False
        self._comment_end = -1  # the `-->` that was found last; the document's end, if there are no more

    def run(self) -> None:
        """Read the document to its end (§13.2.5.1, data state; §13.2.5.6, tag open state)."""
        while self._to_markup():
            kind = self._document[self._at]
            if _is_letter(kind):
                self._start_tag()
            elif kind == ord("/"):
                self._end_tag()
            elif kind == ord("!"):
                self._declaration()
            elif kind == ord("?"):
                self._to_after(ord(">"))

    # -- tags -----------------------------------------------------------------------------------------------------

    def _start_tag(self) -> None:
        self._read_name()
        name = self._name
        length = self._name_end - self._name_start
        if length == 1 and name == _A:
            self._link()
        elif length == 4 and name == _BASE:
            self._only_base()
        elif length == 5 and name == _TITLE:
            self._only_title()
        elif length == 6 and name == _SELECT:
            self._choices()
        elif length == 3 and name == _SVG:
            self._drawing()
        elif _holds_text(name, length):
            self._to_tag_end()
            self._text(name, length)
        elif _is_doubtful(name, length):
            raise Doubt
        else:
            self._to_tag_end()

    def _end_tag(self) -> None:
        """Pass over an end tag, or what only looks like one: `</>` is nothing, `</ …>` a comment (§13.2.5.7)."""
        self._at += 1
        if self._at < self._size and _is_letter(self._document[self._at]):
            self._read_name()
            self._to_tag_end()
        else:
            self._to_after(ord(">"))

    def _link(self) -> None:
        href_start = href_end = rel_start = rel_end = -1
        while self._attribute():
            if href_start < 0 and self._is_named(_HREF, 4):
                href_start, href_end = self._value_start, self._value_end
            elif rel_start < 0 and self._is_named(_REL, 3):
                rel_start, rel_end = self._value_start, self._value_end
        if href_start < 0 or self._is_cut:
            return
        href = self._reference(href_start, href_end)
        if rel_start < rel_end and says_nofollow(_value(self._document[rel_start:rel_end])):
            self.links.setdefault(href, False)
        elif not self.links.get(href):
            self.links.pop(href, None)  # it takes the place of the first link to it that may be followed
            self.links[href] = True

    def _reference(self, start: int, end: int) -> bytes:
        """A value without the blanks around it and without its fragment, unless character references may hide these."""
        document = self._document
        while start < end and document[start] <= ord(" "):
            start += 1
        while start < end and document[end - 1] <= ord(" "):
            end -= 1
        at = start
        while at < end and document[at] != ord("#") and document[at] != ord("&"):
            at += 1
        if at < end and document[at] == ord("#"):
            end = at + 1 if at > start and document[at - 1] <= ord(" ") else at  # as `without_fragment` has it
        return document[start:end]

    def _only_base(self) -> None:
        href_start = href_end = -1
        while self._attribute():
            if href_start < 0 and self._is_named(_HREF, 4):
                href_start, href_end = self._value_start, self._value_end
        if href_start < 0 or self._is_cut:
            return
        if self.base is not None:
            raise Doubt
        self.base = _value(self._document[href_start:href_end])

    def _only_title(self) -> None:
        self._to_tag_end()
        start = self._at
        end = self._text(_TITLE, 5)
        if self._is_cut or self.title is not None:
            raise Doubt
        self.title = _plain_text(self._document[start:end])

    def _text(self, name: int, length: int) -> int:
        """Pass over text in which only the end tag with this name counts (§13.2.5.2 to §13.2.5.4); returns where it ends."""
        start = self._at
        while self._to_markup():
            end = self._at - 1
            if self._document[self._at] != ord("/"):
                continue
            self._at += 1
            start_of_name = self._at
            self._read_name()
            if self._is_named(name, length) and self._at < self._size:
                if name == _SCRIPT and _may_go_on(self._document[start:end]):
                    raise Doubt
                self._to_tag_end()
                return end
            self._at = start_of_name
        self._is_cut = True
        return self._size

    def _choices(self) -> None:
        """Pass over a `<select>`. Anything but options may end it."""
        self._to_tag_end()
        while (name := self._name_inside()) != b"/select":
            if name.removeprefix(b"/") not in _CHOICES:
                raise Doubt

    def _drawing(self) -> None:
        """Pass over an `<svg>`. Anything but shapes may end it, and so may the end tag of an element around it (§13.2.6.5)."""
        self._to_tag_end()
        inside = [] if self._closes_itself else [b"svg"]
        while inside:
            name = self._name_inside()
            if name.startswith(b"/"):
                ended = name[1:]
                if ended not in inside:
                    raise Doubt
                while inside.pop() != ended:
                    continue
            elif name in _TEXTS:
                if not self._closes_itself and self._name_inside() != b"/" + name:
                    raise Doubt
            elif name not in _SHAPES or len(inside) == _DEEPEST:
                raise Doubt
            elif not self._closes_itself:
                inside.append(name)

    def _name_inside(self) -> bytes:
        """Move to the end of the next tag; returns its name in lower case, with the slash of an end tag."""
        while self._to_markup():
            start = self._at
            if self._document[start : start + 3] == b"!--":
                self._declaration()
                continue
            if self._document[start] == ord("/"):
                self._at += 1
            self._read_name()
            name = self._document[start : self._name_end].lower()
            self._to_tag_end()
            return name
        raise Doubt

    # -- what is not a tag ----------------------------------------------------------------------------------------

    def _declaration(self) -> None:
        """Pass over a comment, or a doctype or the like, which ends with the first `>` (§13.2.5.42 to §13.2.5.67)."""
        start = self._at
        document = self._document
        if document[start : start + 3] != b"!--":
            self._to_after(ord(">"))
        elif document[start + 3 : start + 4] == b">":
            self._at = start + 4
        elif document[start + 3 : start + 5] == b"->":
            self._at = start + 5
        else:
            if self._comment_end < start + 3:  # otherwise the one found before lies ahead, or there is none
                self._comment_end = _index(document, b"-->", start + 3, self._size)
            end = self._comment_end
            other = _index(document, b"--!>", start + 3, end)
            self._at = other + 4 if other < end else end + 3

    # -- names, attributes and their ends -------------------------------------------------------------------------

    def _to_markup(self) -> bool:
        """Move to what follows the next `<`; returns whether there is anything."""
        self._to_after(ord("<"))
        return self._at < self._size

    def _to_after(self, byte: int) -> None:
        document = self._document
        size = self._size
        at = self._at
        while at < size and document[at] != byte:
            at += 1
        self._at = at + 1

    def _to_tag_end(self) -> None:
        while self._attribute():
            continue

    def _read_name(self) -> None:
        """Read a tag's name (§13.2.5.8)."""
        document = self._document
        size = self._size
        at = self._at
        name = 0
        start = at
        while at < size:
            byte = document[at]
            if byte in (ord(">"), ord("/")) or _is_space(byte):
                break
            if at < start + 8:
                name = name << 8 | _lower(byte)
            at += 1
        self._name = name
        self._name_start, self._name_end, self._at = start, at, at

    def _is_named(self, name: int, length: int) -> bool:
        return self._name == name and self._name_end - self._name_start == length

    def _attribute(self) -> bool:
        """Read the next attribute of a tag (§13.2.5.32 to §13.2.5.40). At the end of the tag, move past it and return False.
        A tag that is cut off by the end of the document does not count.
        """
        document = self._document
        size = self._size
        at = self._at
        byte = 0
        name = 0
        while at < size:
            byte = document[at]
            if byte == ord(">"):
                self._closes_itself = document[at - 1] == ord("/") and at - 1 >= self._at
                self._at = at + 1
                return False
            if byte != ord("/") and not _is_space(byte):
                break
            at += 1
        start = at
        while at < size:
            byte = document[at]
            if byte in (ord(">"), ord("/")) or _is_space(byte) or (byte == ord("=") and at > start):
                break
            if at < start + 8:
                name = name << 8 | _lower(byte)
            at += 1
        self._name, self._name_start, self._name_end = name, start, at
        while at < size and _is_space(document[at]):
            at += 1
        self._value_start = self._value_end = self._at = at
        if at < size and document[at] == ord("="):
            self._at = at + 1
            self._read_value()
        self._is_cut = self._at >= size
        return not self._is_cut

    def _read_value(self) -> None:
        document = self._document
        size = self._size
        at = self._at
        while at < size and _is_space(document[at]):
            at += 1
        quote = document[at] if at < size else 0
        if quote in (ord('"'), ord("'")):
            at += 1
            self._value_start = at
            while at < size and document[at] != quote:
                at += 1
            self._value_end = at
            self._at = at + 1
        else:
            self._value_start = at
            while at < size and document[at] != ord(">") and not _is_space(document[at]):
                at += 1
            self._value_end = self._at = at


def _is_letter(byte: int) -> bool:
    return ord("a") <= (byte | 0x20) <= ord("z")


def _is_space(byte: int) -> bool:
    return byte == ord(" ") or (ord("\t") <= byte <= ord("\r") and byte != ord("\v"))


def _lower(byte: int) -> int:
    return byte | 0x20 if ord("A") <= byte <= ord("Z") else byte


def _holds_text(name: int, length: int) -> bool:
    """Whether this element contains text in which tags do not count (§13.2.5.2 to §13.2.5.4); `title` is handled apart."""
    return (
        (name == _SCRIPT and length == 6)
        or (name == _STYLE and length == 5)
        or (name == _IFRAME and length == 6)
        or (name == _TEXTAREA and length == 8)
        or (name == _NOFRAMES and length == 8)
        or (name == _NOEMBED and length == 7)
        or (name == _XMP and length == 3)
    )


def _is_doubtful(name: int, length: int) -> bool:
    return (
        (name == _MATH and length == 4)
        or (name == _TEMPLATE and length == 8)
        or (name == _FRAMESET and length == 8)
        or (name == _PLAINTEXT and length == 9)
    )


def _index(document: bytes, wanted: bytes, start: int, end: int) -> int:
    """Where `wanted` begins; `end` if it does not occur."""
    found: int = document.find(wanted, start, end)
    return found if found >= 0 else end


def _may_go_on(script: bytes) -> bool:
    """Whether the next end tag may end a script inside this script, and not the script itself."""
    return b"<!--" in script and b"<script" in script.lower()


def _references(links: dict[bytes, bool]) -> dict[str, bool]:
    references: dict[str, bool] = {}
    for raw, may_follow in links.items():
        reference = raw.decode()
        if "&" in reference:
            reference = without_fragment(_value(raw))
        if may_follow and not references.get(reference):
            references.pop(reference, None)
        references[reference] = may_follow or references.get(reference, False)
    return references


def _value(raw: bytes) -> str:
    """The value of an attribute, with character references resolved. Line ends are not normalized (§13.2.3.5): in URLs and
    between words this makes no difference.
    """
    text = raw.decode()
    return in_value(text) if "&" in text else text


def _plain_text(raw: bytes) -> str:
    text = raw.decode()
    return in_text(text) if "&" in text else text
