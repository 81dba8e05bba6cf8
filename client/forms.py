"""Forms: fields as ``application/x-www-form-urlencoded``, or as ``multipart/form-data`` if one of them is a file.

Departures from browsers: line breaks in values are sent as they are, not as CRLF, since a program means what it says.
Departures from aiohttp: names and file names are escaped as browsers do (only quotes and line breaks, as in ``%22``), not
percent-encoded; fields of plain text have no Content-Type unless a charset or a type was asked for.
"""

from collections.abc import AsyncIterable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from client.body import Body, BytesBody, name_of
from client.deprecation import deprecated
from client.disposition import format_content_disposition
from client.media_type import parse_media_type
from client.multipart_writer import TRANSFER_ENCODINGS, MultipartWriter

__all__ = ["FormData"]


class FormData:
    """Form fields in order, for `data=`.

    `fields` is a mapping, a list or tuple of (name, value) pairs, an open file, or a list of these. `charset` is the encoding
    of text, UTF-8 by default. With `default_to_multipart`, the form is sent as ``multipart/form-data`` even without a file.
    With `quote_fields`, names and file names are escaped as browsers do; else quotes in them are escaped with a backslash.
    """

    def __init__(
        self,
        fields: Mapping[str, Any] | Iterable[Any] | Any = (),
        quote_fields: bool = True,
        charset: str | None = None,
        *,
        default_to_multipart: bool = False,
    ) -> None:
        self._is_multipart = default_to_multipart
        self._quote_fields = quote_fields
        self._charset = charset
        self._fields: list[tuple[str, Any, dict[str, str]]] = []  # name, value, headers
        self._body: Body | None = None
        if isinstance(fields, (list, tuple)):
            self.add_fields(*fields)
        else:
            self.add_fields(fields)

    @property
    def is_multipart(self) -> bool:
        """Whether the form will be sent as ``multipart/form-data``."""
        return self._is_multipart

    def add_field(
        self,
        name: str,
        value: Any,
        *,
        content_type: str | None = None,
        filename: str | None = None,
        content_transfer_encoding: str | None = None,
    ) -> None:
        """Add a field. Files, bodies, bytes, and anything with a `content_type` or `filename` make the form multipart.

        A file is sent with its own name unless `filename` is given, and with the type that the name suggests unless
        `content_type` is. Bytes without a `filename` are sent as a file named like the field; that is deprecated.
        `content_transfer_encoding` encodes the value; it is deprecated, as in RFC 7578 §4.7.
        Raises TypeError for names and types that are not text, ValueError for those that would break a header, and for an
        unknown transfer encoding.
        """
        for given in (name, filename, content_type, content_transfer_encoding):
            if given is not None and not isinstance(given, str):
                raise TypeError(f"names and types must be text, not {given!r}")
        if content_transfer_encoding is not None:
            if content_transfer_encoding.lower() not in TRANSFER_ENCODINGS:
                raise ValueError(f"unknown content_transfer_encoding {content_transfer_encoding!r}")
            deprecated("content_transfer_encoding is deprecated: forms are sent in binary")
        elif filename is None and isinstance(value, (bytes, bytearray, memoryview)):
            deprecated("give bytes a filename, or they are sent as a file named like the field")
            filename = name
        if filename is None and _is_file(value):
            filename = name_of(value) or name
        self._add(name, value, content_type, filename, content_transfer_encoding)

    def add_fields(self, *fields: Any) -> None:
        """Add each of `fields`: a mapping, a (name, value) pair, or a file, whose field is named like the file."""
        for field in fields:
            if isinstance(field, Mapping):
                self.add_fields(*field.items())
            elif _is_file(field):
                self.add_field(name_of(field) or "unknown", field)
            elif isinstance(field, (list, tuple)) and len(field) == 2:
                self.add_field(field[0], field[1])
            else:
                raise TypeError(f"a form takes mappings, pairs of name and value, and files, not {field!r}")

    def __call__(self) -> Body:
        """Return `body()`, as aiohttp's forms do."""
        return self.body()

    def body(self) -> Body:
        """Return the form as a request body: the same object until a field is added, so that a redirect can send it again."""
        if self._body is None:
            self._body = self._multipart() if self._is_multipart else self._urlencoded()
        return self._body

    def _add(
        self, name: str, value: Any, content_type: str | None, filename: str | None, transfer_encoding: str | None
    ) -> None:
        parameters = {"name": name} if filename is None else {"name": name, "filename": filename}
        disposition = format_content_disposition("form-data", parameters, quote_fields=self._quote_fields)
        headers = {"Content-Disposition": disposition}
        if filename is not None and content_type is None and not isinstance(value, Body):
            from mimetypes import guess_type

            content_type = guess_type(filename)[0] or "application/octet-stream"
        if content_type is not None:
            headers["Content-Type"] = content_type
        if transfer_encoding is not None:
            headers["Content-Transfer-Encoding"] = transfer_encoding
        if len(headers) > 1 or filename is not None or isinstance(value, (Body, AsyncIterable)):
            self._is_multipart = True
        self._fields.append((name, value, headers))
        self._body = None

    def _urlencoded(self) -> Body:
        charset = self._charset or "utf-8"
        text = urlencode([(name, value) for name, value, _ in self._fields], doseq=True, encoding=charset)
        content_type = "application/x-www-form-urlencoded"
        if charset.lower() != "utf-8":
            content_type += f"; charset={charset}"
        return BytesBody(text.encode("ascii"), content_type)

    def _multipart(self) -> Body:
        writer = MultipartWriter("form-data")
        for _, value, headers in self._fields:
            writer.append(self._text(value, headers) if isinstance(value, (str, int, float)) else value, headers)
        return writer

    def _text(self, value: str | float, headers: Mapping[str, str]) -> Body:
        """Return a text field, in the charset that its type names, or else in the form's."""
        named = parse_media_type(headers.get("Content-Type", "")).charset
        text_type = f"text/plain; charset={self._charset}" if self._charset else None
        return BytesBody(str(value).encode(named or self._charset or "utf-8"), text_type)


def _is_file(value: Any) -> bool:
    """Whether a value is a file. `io.IOBase` is not enough: what `tempfile` returns wraps a file without being one."""
    return callable(getattr(value, "read", None)) and not isinstance(value, Body)
