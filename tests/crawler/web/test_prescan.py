"""What a document declares its encoding to be, beside the HTML Standard's own steps (§13.2.3.2), taken one by one."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from crawler.web.encoding import _CODECS, encoding_of

SPACES = b"\t\n\f\r "
LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
UNDECLARED = "utf-8"
"""What everything below is that declares nothing: it is ASCII."""


class Prescan:
    """The standard's steps; bytes that run out are an IndexError."""

    def __init__(self, stream: bytes) -> None:
        self._stream = stream[:1024]
        self._position = 0

    def encoding(self) -> str | None:
        try:
            return self._prescan()
        except IndexError:
            return self._of_xml()

    def _prescan(self) -> str:
        while True:
            rest = self._stream[self._position :]
            if rest.startswith(b"<!--"):
                end = self._stream.find(b"-->", self._position + 2)
                self._position = end + 2 if end >= 0 else len(self._stream)
            elif re.match(rb"<meta[\t\n\f\r /]", rest, re.IGNORECASE):
                self._position += 5
                if encoding := self._meta():
                    return encoding
            elif re.match(rb"</?[A-Za-z]", rest):
                while self._byte() not in SPACES + b">":
                    self._position += 1
                while self._attribute():
                    pass
            elif rest.startswith((b"<!", b"</", b"<?")):
                while self._byte() != ord(">"):
                    self._position += 1
            self._byte()
            self._position += 1

    def _meta(self) -> str | None:
        seen = set()
        got_pragma = False
        need_pragma: bool | None = None
        label: bytes | None = None
        while attribute := self._attribute():
            name, value = attribute
            if name in seen:
                continue
            seen.add(name)
            if name == b"http-equiv":
                got_pragma = value == b"content-type"
            elif name == b"content" and label is None:
                label = self._extracted(value)
                need_pragma = label is not None or need_pragma
            elif name == b"charset":
                label, need_pragma = value, False
        if need_pragma is None or (need_pragma and not got_pragma):
            return None
        assert label is not None
        return self._named(label)

    def _attribute(self) -> tuple[bytes, bytes] | None:
        while self._byte() in SPACES + b"/":
            self._position += 1
        if self._byte() == ord(">"):
            return None
        name = bytearray()
        while not (self._byte() == ord("=") and name):
            if self._byte() in SPACES:
                while self._byte() in SPACES:
                    self._position += 1
                if self._byte() != ord("="):
                    return bytes(name), b""
                break
            if self._byte() in b"/>":
                return bytes(name), b""
            name += bytes([self._byte()]).lower()
            self._position += 1
        self._position += 1
        return bytes(name), self._value()

    def _value(self) -> bytes:
        while self._byte() in SPACES:
            self._position += 1
        value = bytearray()
        quote = self._byte()
        if quote in b"\"'":
            self._position += 1
            while self._byte() != quote:
                value += bytes([self._byte()]).lower()
                self._position += 1
            self._position += 1
            return bytes(value)
        while self._byte() not in SPACES + b">":
            value += bytes([self._byte()]).lower()
            self._position += 1
        return bytes(value)

    def _byte(self) -> int:
        return self._stream[self._position]

    @classmethod
    def _extracted(cls, content: bytes) -> bytes | None:
        """Extracting a character encoding from a meta element; None where it is no encoding."""
        at = 0
        while True:
            at = content.find(b"charset", at)
            if at < 0:
                return None
            at += len(b"charset")
            rest = content[at:].lstrip(SPACES)
            if rest.startswith(b"="):
                break
        rest = rest[1:].lstrip(SPACES)
        if rest[:1] in (b"'", b'"') and rest:
            label, closed, _ = rest[1:].partition(rest[:1])
            return label if closed and cls._named(label) else None
        label = re.split(rb"[\t\n\f\r ;]", rest)[0]
        return label if cls._named(label) else None

    @staticmethod
    def _named(label: bytes) -> str | None:
        encoding = _CODECS.get(label.decode("latin-1").strip("\t\n\f\r ").lower())
        return "utf-8" if encoding and encoding.startswith("utf-16") else encoding

    def _of_xml(self) -> str | None:
        stream = self._stream
        if not stream.startswith(b"<?xml") or b">" not in stream:
            return None
        declaration = stream[: stream.index(b">")]
        found = re.match(rb"""[\0- ]*=[\0- ]*(["'])(.*?)\1""", declaration.partition(b"encoding")[2], re.DOTALL)
        return self._named(found[2]) if found and not re.search(rb"[\0- ]", found[2]) else None


labels = st.sampled_from(["koi8-r", " CP866 ", "utf-16", "nonsense", "", "big5/"])
pieces = st.sampled_from(
    [
        *("<meta", "<META", "<metal", "<a", "</a", "<!", "<?", "</", "<3", "<", "<!--", "-->", "<!-->", "<!--->", ">", "/>", " / ", "text"),
        *(" ", "\n", "\f", "\v", "=", "'", '"', "'x'", '"x"', " = ", " x ", " x=", " x='a>b' ", " charset ", " charset=", " Charset = ", "/charset="),
        *(" http-equiv=content-type", " HTTP-EQUIV='Content-Type'", " http-equiv=refresh", " content=", " content='", " content=text/html;charset="),
        *("text/html; charset = ", "charset", "charset=charset=", ";", "<?xml encoding=", "<?xml version='1.0' encoding='", " " * 980),
    ]
)  # fmt: skip
whole = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["<meta charset=", "<meta http-equiv=content-type content='x;charset=", "<?xml encoding='", "<meta content=charset="]),
    labels,
    st.sampled_from(["", "'", '"']),
    st.sampled_from(["", " ", " http-equiv=content-type", "?"]),
    st.sampled_from(["", ">", "/>"]),
)  # fmt: skip
documents = st.lists(pieces | labels | whole, max_size=14).map("".join)


@given(documents)
@example("<?xml encoding='koi8-r'?>")
@example("<?xml encoding='koi8-r<?xml encoding='koi8-r'>")
@example("<meta content='charset=koi8-r' http-equiv=content-type charset=>")
@example("<?xml version='1.0' encoding='koi8-r'?><meta charset=cp866>")
@example(f"{' ' * 1003}<meta charset=koi8-r>")
def test_the_standard_s_steps_lead_to_the_same_encoding(document: str) -> None:
    body = document.encode()
    assert encoding_of(body, "text/html") == (Prescan(body).encoding() or UNDECLARED)
