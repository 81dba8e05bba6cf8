"""RFC 9110 §13 and RFC 9111 §3.2, §4.3: what is asked of a stored response, and what becomes of it."""

from __future__ import annotations

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from crawler.web.validators import conditions_of, is_of, updated

OLD, NEW, LATER = (f"Sun, 06 Nov 1994 08:49:{second} GMT" for second in (37, 38, 39))


def fields(*lines: str) -> CIMultiDictProxy[str]:
    """Header lines."""
    pairs = (line.partition(": ") for line in lines)
    return CIMultiDictProxy(CIMultiDict([(name, value) for name, _, value in pairs]))


@pytest.mark.parametrize(
    ("headers", "conditions"),
    [
        (['ETag: "a"'], {"If-None-Match": '"a"'}),
        (['etag: W/"a"'], {"If-None-Match": 'W/"a"'}),
        (['ETag: "a"', 'ETag: "b"'], {"If-None-Match": '"a"'}),
        (['ETag: ""'], {"If-None-Match": '""'}),
        ([f"Last-Modified: {OLD}", f"Date: {NEW}"], {"If-Modified-Since": OLD}),
        (['ETag: "a"', f"Last-Modified: {OLD}", f"Date: {LATER}"], {"If-None-Match": '"a"', "If-Modified-Since": OLD}),
        # It may have changed again within the second, or nobody knows when it was sent.
        ([f"Last-Modified: {OLD}", f"Date: {OLD}"], {}),
        ([f"Last-Modified: {NEW}", f"Date: {OLD}"], {}),
        ([f"Last-Modified: {OLD}"], {}),
        (['ETag: "a"', f"Last-Modified: {OLD}"], {"If-None-Match": '"a"'}),
        # What varies has to be told apart by its tag.
        ([f"Last-Modified: {OLD}", f"Date: {NEW}", "Vary: Accept-Encoding"], {"If-Modified-Since": OLD}),
        ([f"Last-Modified: {OLD}", f"Date: {NEW}", "Vary: accept-encoding, Cookie"], {}),
        ([f"Last-Modified: {OLD}", f"Date: {NEW}", "Vary: Accept-Encoding", "Vary: User-Agent"], {}),
        ([f"Last-Modified: {OLD}", f"Date: {NEW}", "Vary: *"], {}),
        (['ETag: "a"', f"Last-Modified: {OLD}", f"Date: {NEW}", "Vary: Cookie"], {"If-None-Match": '"a"'}),
        # What is none: an asterisk would fit whatever there is.
        (["ETag: *"], {}),
        (["ETag: a"], {}),
        ([f'ETag: "{"a" * 1024}"'], {"If-None-Match": f'"{"a" * 1024}"'}),
        ([f'ETag: "{"a" * 1025}"'], {}),
        (['ETag: "a", "b"'], {}),
        (['ETag: w/"a"'], {}),
        (['ETag: "\xe9"'], {}),
        (['ETag: "a b"'], {}),
        (["Last-Modified: yesterday", f"Date: {NEW}"], {}),
        ([f"Last-Modified: {OLD}", "Date: now"], {}),
        ([], {}),
    ],
)
def test_conditions_are_of_what_the_response_said(headers: list[str], conditions: dict[str, str]) -> None:
    assert conditions_of(fields(*headers)) == conditions


def test_another_request_is_asked_about_by_the_tag_alone() -> None:
    headers = fields('ETag: "a"', f"Last-Modified: {OLD}", f"Date: {NEW}")
    assert conditions_of(headers, same_request=False) == {"If-None-Match": '"a"'}


@pytest.mark.parametrize(
    ("stored", "came", "speaks_of_it"),
    [
        (['ETag: "a"'], ['ETag: "a"'], True),
        (['ETag: W/"a"'], ['ETag: "a"'], True),
        (['ETag: "a"'], ['ETag: "b"'], False),
        (['ETag: "a"'], [], True),
        ([f"Last-Modified: {OLD}"], ['ETag: "a"'], True),
    ],
)
def test_a_304_speaks_of_the_version_that_it_names(stored: list[str], came: list[str], speaks_of_it: bool) -> None:
    assert is_of(fields(*came), fields(*stored)) == speaks_of_it


def test_what_a_304_says_replaces_what_was_said() -> None:
    stored = fields(
        "Content-Type: text/html", "Content-Encoding: gzip", "Link: <a>", "Link: <b>", "Set-Cookie: a=1", 'ETag: W/"a"', "X: 1"
    )  # fmt: skip
    came = fields(
        "Date: now", "link: <c>", "link: <d>", 'ETag: "a"', "Set-Cookie: b=2", "Set-Cookie: c=3",
        "Content-Type: text/plain", "Content-Encoding: br", "Content-Length: 0", "Connection: close, X", "X: 2",
    )  # fmt: skip
    assert list(updated(stored, came).items()) == [
        ("Content-Type", "text/html"),
        ("Content-Encoding", "gzip"),
        ("X", "1"),
        ("Date", "now"),
        ("link", "<c>"),
        ("link", "<d>"),
        ("ETag", '"a"'),
        ("Set-Cookie", "b=2"),
        ("Set-Cookie", "c=3"),
    ]
