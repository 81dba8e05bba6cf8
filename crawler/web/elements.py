"""Untrusted XML, read as a stream of elements and text, in bounded memory.

Reading stops at XML that is not well formed, is nested absurdly deep, or has a tag without end, and at the first entity declaration:
entities are never expanded, and nothing is fetched for a document. What was read before remains valid.
"""

from __future__ import annotations

from xml.parsers import expat

_MAX_TOKEN = 1024 * 1024
"""Bytes of a tag or comment. Before version 2.6, Expat reads an incomplete one from its start again with each part of the file."""


class Refused(Exception):
    """Reading has to stop; the text says why."""


class Elements:
    """Reads one document, and calls `began`, `ended` and `text` of a subclass for what is in it."""

    def __init__(self, *, max_depth: int, encoding: str | None = None, knows_namespaces: bool = True) -> None:
        """`encoding` overrides what the document says. Unless it `knows_namespaces`, prefixes need not be declared."""
        self.path: list[str] = []
        """The elements that are open, by the names that `named` gives them."""
        self._max_depth = max_depth
        self._bytes = 0
        self._parser = parser = expat.ParserCreate(encoding, " " if knows_namespaces else None)
        parser.buffer_text = True
        parser.StartElementHandler = self._on_start
        parser.EndElementHandler = self._on_end
        parser.CharacterDataHandler = self.text
        parser.EntityDeclHandler = self._on_entity

    def parse(self, data: bytes, *, is_last: bool) -> None:
        """Read a part of the document. Raises Refused."""
        try:
            self._parser.Parse(data, is_last)
        except (expat.ExpatError, LookupError, ValueError) as error:  # the latter two for encodings expat cannot read
            raise Refused(f"it is no XML that can be read: {error}") from None
        self._bytes += len(data)
        if self._bytes - self._parser.CurrentByteIndex > _MAX_TOKEN:
            raise Refused(f"it has a tag or a comment longer than {_MAX_TOKEN} bytes")

    def named(self, name: str) -> str:
        """The name to use for an element, from its namespace, a space and its name; by default only the name."""
        return name.rpartition(" ")[2]

    def began(self, name: str, attributes: dict[str, str]) -> None:
        """Called when an element begins, which is the last of `path`."""

    def ended(self, name: str) -> None:
        """Called when an element has ended; its parent is the last of `path`."""

    def text(self, text: str) -> None:
        """Called for text, which may be only a part of the text of an element."""

    def _on_start(self, name: str, attributes: dict[str, str]) -> None:
        name = self.named(name)
        self.path.append(name)
        if len(self.path) > self._max_depth:
            raise Refused(f"its elements are nested deeper than {self._max_depth}")
        self.began(name, attributes)

    def _on_end(self, _name: str) -> None:
        self.ended(self.path.pop())

    def _on_entity(self, name: str, *_declaration: object) -> None:
        raise Refused(f"it declares an entity, {name!r}")
