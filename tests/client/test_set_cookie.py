"""Set-Cookie by the letter of RFC 6265bis: tables from the standard and from what servers send."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from client.set_cookie import (
    MAX_AGE_SECONDS,
    SetCookie,
    default_path,
    domain_matches,
    is_ip_address,
    octets,
    parse_cookie_date,
    parse_set_cookie,
    path_matches,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
IN_APRIL = datetime(2026, 4, 5, 6, 7, 8, tzinfo=UTC).timestamp()
LIMIT = NOW + MAX_AGE_SECONDS


def parse(header: str) -> SetCookie | None:
    return parse_set_cookie(header, now=NOW)


@pytest.mark.parametrize(
    ("header", "name", "value"),
    [
        ("a=b", "a", "b"),
        ("a=", "a", ""),
        ("=b", "", "b"),
        ("b", "", "b"),
        ("a=b=c", "a", "b=c"),
        ("==b", "", "=b"),
        (" \ta \t=\t b c \t; Path=/", "a", "b c"),
        ("a=x\ty", "a", "x\ty"),
        ('a="b; Path=/', "a", '"b'),
        ('a="b c, d"', "a", '"b c, d"'),
        ("a b=c,d=e", "a b", "c,d=e"),
        ("Path=/x; Path=/y", "Path", "/x"),
        ("ä=ö", "ä", "ö"),
        ("a=\udcfc", "a", "\udcfc"),
        (f"a={'b' * 4095}", "a", "b" * 4095),
        (f"a={'ö' * 2047}b", "a", "ö" * 2047 + "b"),
        (f"a={chr(0xDCFC) * 4095}", "a", chr(0xDCFC) * 4095),
    ],
)
def test_names_and_values(header: str, name: str, value: str) -> None:
    cookie = parse(header)
    assert cookie is not None
    assert (cookie.name, cookie.value) == (name, value)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "=",
        " = ; Path=/",
        ";a=b",
        "a\x00=b",
        "a=\ud800",
        "a=b\x1f",
        "a=b\x7f",
        "a=b; Path=/\r\nSet-Cookie: c=d",
        f"a={'b' * 4096}",
        f"a={'ö' * 2048}",
    ],
)
def test_headers_to_ignore(header: str) -> None:
    assert parse(header) is None


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ("", {}),
        (";;; ;=;=x;unknown=y", {}),
        ("; secure", {"secure": True}),
        ("; SECURE=anything; HttpOnly=0", {"secure": True, "http_only": True}),
        ("; Domain=Example.COM", {"domain": "example.com"}),
        ("; Domain=.example.com", {"domain": "example.com"}),
        ("; Domain=..example.com", {"domain": ".example.com"}),
        ("; Domain=a.example; Domain=", {"domain": ""}),
        ("; Domain=a.example; domain=b.example", {"domain": "b.example"}),
        ("; Path=/a/b", {"path": "/a/b"}),
        ("; Path=/a; Path=b", {"path": ""}),
        ("; Path", {"path": ""}),
        ("; Path = \t /a \t", {"path": "/a"}),
        ("; SameSite=strict", {"same_site": "Strict"}),
        ("; SameSite=LAX", {"same_site": "Lax"}),
        ("; SameSite=none", {"same_site": "None"}),
        ("; SameSite=Lax; SameSite=later", {"same_site": ""}),
        ("; Max-Age=10", {"expires": NOW + 10}),
        ("; Max-Age=0", {"expires": -math.inf}),
        ("; Max-Age=-1", {"expires": -math.inf}),
        ("; Max-Age=007", {"expires": NOW + 7}),
        ("; Max-Age=+7", {}),
        ("; Max-Age=", {}),
        ("; Max-Age=-", {}),
        ("; Max-Age=1.5", {}),
        ("; Max-Age=\u0661", {}),
        ("; Max-Age=10; Max-Age=x", {"expires": NOW + 10}),
        ("; Max-Age=10; Max-Age=20", {"expires": NOW + 20}),
        (f"; Max-Age={'9' * 1024}", {"expires": LIMIT}),
        (f"; Max-Age={'9' * 1025}", {}),
        ("; Expires=Sun, 05 Apr 2026 06:07:08 GMT", {"expires": IN_APRIL}),
        ("; Expires=Sun, 05 Apr 2026 06:07:08 GMT; Expires=never", {"expires": IN_APRIL}),
        ("; Expires=Fri, 31 Dec 9999 23:59:59 GMT", {"expires": LIMIT}),
        ("; Expires=Thu, 01 Jan 1970 00:00:00 GMT", {"expires": 0.0}),
        ("; Max-Age=10; Expires=Thu, 01 Jan 1970 00:00:00 GMT", {"expires": NOW + 10}),
        ("; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=10", {"expires": NOW + 10}),
        (f"; Path=/{'a' * 1023}", {"path": "/" + "a" * 1023}),
        (f"; Path=/x; Path=/{'a' * 1024}", {"path": "/x"}),
    ],
)
def test_attributes(attributes: str, expected: dict[str, object]) -> None:
    cookie = parse(f"a=b{attributes}")
    assert cookie == SetCookie(name="a", value="b", **expected)  # type: ignore[arg-type]


@given(st.text())
@example("a=b; Expires=99:99:99 99 jan 99999; Max-Age=" + "9" * 5000)
@example("\ud800=\udfff; domain=\ud800")
def test_the_parser_never_raises(header: str) -> None:
    cookie = parse(header)
    if cookie is not None:
        assert cookie.name or cookie.value
        assert octets(cookie.name + cookie.value) <= 4096
        assert cookie.expires is None or cookie.expires <= LIMIT


# ---- dates


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 05 Apr 2026 06:07:08 GMT",  # RFC 9110
        "Sunday, 05-Apr-26 06:07:08 GMT",  # RFC 850
        "Sun Apr  5 06:07:08 2026",  # asctime
        "Sun, 5-Apr-2026 6:7:8 GMT",
        "Sun, 05-Apr-2026 06:07:08 +0200",  # zones are not looked at
        "05 April 2026 06:07:08",
        "2026 05 Apr 06:07:08",  # 20 is no day: more digits follow
        "apr 05 06:07:08 26",
        "06:07:08 5aprilish Apr 2026",  # 5 is a day, whatever follows
        "noise 06:07:08noise!05th!APRx!2026BC",
    ],
)
def test_dates_that_mean_the_same(text: str) -> None:
    assert parse_cookie_date(text) == IN_APRIL


@pytest.mark.parametrize(
    ("text", "year"), [("69", 2069), ("70", 1970), ("99", 1999), ("00", 2000), ("1601", 1601), ("9999", 9999)]
)
def test_years(text: str, year: int) -> None:
    assert parse_cookie_date(f"1 Jan {text} 00:00:00") == datetime(year, 1, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-04-05T06:07:08Z",
        "Sun, 05 Apr 2026",
        "05 Apr 06:07:08",
        "Apr 2026 06:07:08",
        "05 2026 06:07:08",
        "05 Apr 20261 06:07:08",
        "05 Apr 1600 06:07:08",
        "05 Apr 123 06:07:08",
        "00 Apr 2026 06:07:08",
        "31 Apr 2026 06:07:08",
        "29 Feb 2026 06:07:08",
        "32 Jan 2026 06:07:08",
        "05 Apr 2026 24:07:08",
        "05 Apr 2026 06:60:08",
        "05 Apr 2026 06:07:60",
        "05 Apr 2026 06:07:081",
        "05 Apr 2026 06:07",
        "\u0660\u0665 Apr 2026 06:07:08",
    ],
)
def test_what_is_no_date(text: str) -> None:
    assert parse_cookie_date(text) is None


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2069, 12, 31)),  # noqa: DTZ001  hypothesis wants naive bounds
    st.sampled_from(["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"]),
)
def test_every_instant_in_every_standard_form(instant: datetime, form: str) -> None:
    instant = instant.replace(microsecond=0, tzinfo=UTC)
    assert parse_cookie_date(instant.strftime(form)) == instant.timestamp()


# ---- hosts and paths


@pytest.mark.parametrize(
    ("host", "domain", "matches"),
    [
        ("example.com", "example.com", True),
        ("a.example.com", "example.com", True),
        ("b.a.example.com", "example.com", True),
        ("example.com", "a.example.com", False),
        ("badexample.com", "example.com", False),
        ("example.com.", "example.com", False),
        ("example.com", "", False),
        ("1.2.3.4", "1.2.3.4", True),
        ("1.2.3.4", "2.3.4", False),
        ("127.0.0.0x1", "0.0x1", False),
        ("::1", "::1", True),
    ],
)
def test_domain_matching(host: str, domain: str, matches: bool) -> None:
    assert domain_matches(host, domain) is matches


@pytest.mark.parametrize(
    ("host", "is_address"),
    [
        ("1.2.3.4", True),
        ("::1", True),
        ("1.2.3.4.", True),
        ("1.2.3.4..", False),
        ("a.1", True),
        ("a.09", True),
        ("1.a", False),
        ("127.0.0.0x1", True),
        ("0x7f000001", True),
        ("a.0xbeef.", True),
        ("a.0x", True),
        ("a.0xg", False),
        ("a.x1", False),
        ("a.1f", False),
        ("0x1.a", False),
        ("a", False),
        (".", False),
        ("", False),
    ],
)
def test_addresses_are_told_from_names(host: str, is_address: bool) -> None:
    assert is_ip_address(host) is is_address


@pytest.mark.parametrize(
    ("path", "default"),
    [("", "/"), ("x", "/"), ("/", "/"), ("/a", "/"), ("/a/", "/a"), ("/a/b", "/a"), ("/a/b/c", "/a/b"), ("//", "/")],
)
def test_default_paths(path: str, default: str) -> None:
    assert default_path(path) == default


@pytest.mark.parametrize(
    ("path", "cookie_path", "matches"),
    [
        ("/", "/", True),
        ("/a", "/", True),
        ("/a", "/a", True),
        ("/a/", "/a", True),
        ("/a/b", "/a", True),
        ("/a/b", "/a/", True),
        ("/a", "/a/", False),
        ("/ab", "/a", False),
        ("/A", "/a", False),
        ("/%61", "/a", False),
        ("/", "/a", False),
    ],
)
def test_path_matching(path: str, cookie_path: str, matches: bool) -> None:
    assert path_matches(path, cookie_path) is matches
