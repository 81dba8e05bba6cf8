"""Content-Type headers as servers write them, and bodies without one."""

from __future__ import annotations

import pytest

from crawler.web.media_type import charset, essence, is_html


@pytest.mark.parametrize(
    ("header", "kind", "label"),
    [
        ("text/html", "text/html", None),
        ("Text/HTML; Charset=UTF-8", "text/html", "UTF-8"),
        ('text/html;charset="utf-8"', "text/html", "utf-8"),
        ("text/html; boundary=x; charset = koi8-r ; q=1", "text/html", "koi8-r"),
        ("text/html; charset=", "text/html", None),
        ('text/html; charset=""', "text/html", None),
        ('text/html; charset="utf-8', "text/html", "utf-8"),
        ("text/html; charset", "text/html", None),
        ("text/html; xcharset=utf-8", "text/html", None),
        ("", "", None),
        (";", "", None),
        ("text/html,text/html", "text/html", None),
        ("text/plain, text/html; charset=koi8-r", "text/html", "koi8-r"),
        ("text/html; charset=koi8-r, text/html", "text/html", "koi8-r"),
        ("text/html; charset=utf-8, Text/HTML;charset=koi8-r", "text/html", "koi8-r"),
        ("text/html, */*", "text/html", None),
        ("text/html, nonsense", "text/html", None),
        ('multipart/mixed; boundary="a,b"', "multipart/mixed", None),
        ("nonsense", "nonsense", None),
    ],
)
def test_header_parts(header: str, kind: str, label: str | None) -> None:
    assert essence(header) == kind
    assert charset(header) == label


@pytest.mark.parametrize(
    ("header", "body", "expected"),
    [
        ("text/html; charset=utf-8", b"", True),
        ("application/xhtml+xml", b"", True),
        ("text/plain", b"<html>", False),
        ("application/octet-stream", b"<!doctype html>", False),
        ("", b"<!DOCTYPE html><p>", True),
        ("", b"\xef\xbb\xbf \r\n\t<HtMl>", True),
        ("", b"<!-- a comment", True),
        ("", b"<p>", True),
        ("", b"<p", False),
        ("", b"<pre>", False),
        *(
            (header, b"<!doctype html>", True)
            for header in ("html", "text", "*/*", "unknown/unknown", "text/html charset=x", "; charset=x")
        ),
        ("text", b"a,b", False),
        ("text/plain, text/html", b"", True),
        ("text/html, text/plain", b"<!doctype html>", False),
        ("", b"plain <html>", False),
        ("", b'{"a": 1}', False),
        ("", b"%PDF-1.7", False),
        ("", b"", False),
    ],
)
def test_html_is_known_by_its_header_else_by_its_start(header: str, body: bytes, expected: bool) -> None:
    assert is_html(header, body) is expected
