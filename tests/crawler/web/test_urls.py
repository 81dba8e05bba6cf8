"""The canonical form, joins, fingerprints and host keys: laws first, then the cases that bite."""

from __future__ import annotations

import tracemalloc

import pytest
from ada_url import join_url
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from client.origin import Origin
from crawler.errors import InvalidUrl
from crawler.web.urls import (
    LONGEST_URL,
    fingerprint,
    fingerprints,
    host_key,
    host_of,
    normalize,
    origin_of,
    resolve,
    robots_url,
)

HOSTS = ["example.org", "EXAMPLE.org", "127.0.0.1", "[::1]", "[2001:DB8::0:1]", "münchen.de", "a_b.example", "ex.com."]
pieces = st.lists(
    st.sampled_from([*"abZ09-._~/?#&=;:@!'\"|\\^ \t\n%<{é", "%%34%31", "%2e", "%7E", "%3a", "..", "../", "./", "//"])
    | st.characters(),
    max_size=12,
).map("".join)
urls = st.builds(
    "{}://{}{}{}/{}".format,
    st.sampled_from(["http", "https", "HTTP"]),
    st.sampled_from(["", "user@", "user:pass@", "a@b@"]),
    st.sampled_from(HOSTS),
    st.sampled_from(["", ":80", ":443", ":8080", ":"]),
    pieces,
).filter(lambda url: not any("\ud800" <= character <= "\udfff" for character in url))
plain_bases = [
    "http://h/",
    "http://h/a/b.html",
    "https://h:8080/a/b/",
    "http://h/a//b/c?d=/e/f",
    "http://[::1]/a/b/c/d/e",
]
references = st.lists(
    st.sampled_from(
        [
            "a",
            "b.html",
            "Z-_~",
            "..",
            "../",
            "../../",
            ".",
            "/",
            "//",
            "?",
            "?x=1",
            "#",
            "#f",
            "a b",
            ":",
            "%41",
            " ",
            "\t",
        ]
    ),
    max_size=6,
).map("".join)


@given(urls)
@example("http://h/%%34%31")
@example("http://h/%%%34")
def test_normal_form_is_a_fixed_point(url: str) -> None:
    once = normalize(url)
    assert normalize(once) == once


@given(urls)
def test_normal_form_is_fit_for_the_wire(url: str) -> None:
    """Whoever writes it into a request line or a text file need not look again."""
    canonical = normalize(url)
    assert canonical.isascii()
    assert not set(canonical) & set("# \t\r\n")
    assert "@" not in host_of(canonical)
    assert canonical.startswith(("http://", "https://"))


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("HTTP://Example.ORG", "http://example.org/"),
        ("https://example.org:443/", "https://example.org/"),
        ("https://example.org:80/", "https://example.org:80/"),
        ("http://example.org/a/./b/../c", "http://example.org/a/c"),
        ("http://example.org/a#part", "http://example.org/a"),
        ("http://example.org/#", "http://example.org/"),
        ("  http://example.org/a\tb\n", "http://example.org/ab"),
        ("http://user:secret@example.org/a@b", "http://example.org/a@b"),
        ("http://example.org/a b?c d", "http://example.org/a%20b?c%20d"),
        ("http://example.org/%7euser/%e9%41%2Ehtml", "http://example.org/~user/%E9A.html"),
        ("http://example.org/%2e%2E/a", "http://example.org/a"),
        ("http://example.org/%2f%3f%23", "http://example.org/%2F%3F%23"),
        ("http://example.org/100%", "http://example.org/100%"),
        ("http://example.org/%%34%31", "http://example.org/%%34%31"),
        ("http://example.org/?b=2&a=1", "http://example.org/?b=2&a=1"),
        ("http://example.org?", "http://example.org/?"),
        ("http:\\\\example.org\\a", "http://example.org/a"),
        ("http://münchen.de/ü?ü", "http://xn--mnchen-3ya.de/%C3%BC?%C3%BC"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("http://[0:0::1]:80/", "http://[::1]/"),
    ],
)
def test_canonical_form(url: str, canonical: str) -> None:
    assert normalize(url) == canonical


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("example.org/a", "does not start with http"),
        ("localhost", "does not start with http"),
        ("example.org:8080/a", "does not start with http"),
        ("", "does not start with http"),
        ("ftp://example.org/", "'ftp'"),
        ("mailto:a@example.org", "'mailto'"),
        ("javascript:void(0)", "'javascript'"),
        ("http://", "host or port"),
        ("http://example.org:99999/", "host or port"),
        ("http://exa mple.org/", "host or port"),
        ("http://[::1/", "host or port"),
        ("http://example.org/\ud800", "half of a surrogate pair"),
    ],
)
def test_invalid_url_is_named_with_its_fault(url: str, complaint: str) -> None:
    with pytest.raises(InvalidUrl) as caught:
        normalize(url)
    assert repr(url) in str(caught.value)
    assert complaint in str(caught.value)


@given(st.sampled_from(plain_bases), references)
@example("http://h/a/b", "../?x=1")
@example("http://h/a/b?c", "?")
@example("http://h/a/b", "../" * 12 + "c")
@example("http://h/a/b", "a #f")
def test_a_join_is_what_the_url_standard_says(base: str, reference: str) -> None:
    """The short cut for plain references must not be told from the parser's own answer."""
    try:
        expected = [normalize(join_url(base, reference))]
    except ValueError:
        expected = []
    assert resolve(base, [reference]) == expected


def test_links_keep_the_order_of_their_first_occurrence() -> None:
    hrefs = [
        "b.html",
        "a.html#x",
        "/c",
        " b.html ",
        "a.html",
        "./a.html#y",
        "http://EXAMPLE.org/dir/b.html",
        "",
        "#top",
    ]
    assert resolve("http://example.org/dir/page.html", hrefs) == [
        "http://example.org/dir/b.html",
        "http://example.org/dir/a.html",
        "http://example.org/c",
        "http://example.org/dir/page.html",
    ]


@pytest.mark.parametrize(
    "href",
    [
        "mailto:a@b",
        "javascript:f()",
        "data:,x",
        "tel:1",
        "ftp://h/",
        "JavaScript:f()",
        "java\nscript:f()",
        "http://[",
        "//",
        "\ud800",
    ],
)
def test_references_to_nothing_fetchable_are_left_out(href: str) -> None:
    assert resolve("http://example.org/", ["a", href, "b"]) == ["http://example.org/a", "http://example.org/b"]


@pytest.mark.parametrize(
    ("href", "url"),
    [
        ("?x", "http://example.org/dir/page?x"),
        ("//other.org", "http://other.org/"),
        ("/\\other.org", "http://other.org/"),
        ("\\a", "http://example.org/a"),
        ("a\tb\nc", "http://example.org/dir/abc"),
        ("\x00a\x1f", "http://example.org/dir/a"),
        ("a #f", "http://example.org/dir/a%20"),
        ("http:a", "http://example.org/dir/a"),
        ("https:a", "https://a/"),
        ("a%2fb%7e", "http://example.org/dir/a%2Fb~"),
        ("http://user@other.org/", "http://other.org/"),
        (".hidden", "http://example.org/dir/.hidden"),
        ("..", "http://example.org/"),
        ("a:b", None),
        ("./a:b", "http://example.org/dir/a:b"),
    ],
)
def test_odd_references(href: str, url: str | None) -> None:
    assert resolve("http://example.org/dir/page?q=/1/", [href]) == ([url] if url else [])


@pytest.mark.parametrize("start", ["", "/", "?", "./", "//h/", "http://h/", "http://H/", "é", "\t", "http:"])
def test_what_leads_to_too_long_a_url_is_left_out(start: str) -> None:
    """However it is written; what is as long as may be is not."""
    (one,) = resolve("http://example.org/", [f"{start}x"])
    fitting = "x" * (LONGEST_URL - len(one) + 1)
    assert [len(url) for url in resolve("http://example.org/", [start + fitting, f"{start}x{fitting}"])] == [
        LONGEST_URL
    ]
    assert resolve("http://example.org/", ["é" * (LONGEST_URL // 4), "x" * 60_000]) == []


def test_a_long_base_is_not_repeated_for_each_link() -> None:
    """A page of a megabyte has room for a hundred thousand links; their URLs take no thousand times as much."""
    base = f"http://example.org/{'x' * (LONGEST_URL - 100)}/"
    hrefs = [f"{number:x}" for number in range(100_000)]
    tracemalloc.start()
    try:
        urls = resolve(base, hrefs)
        _now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert urls[:2] == [f"{base}0", f"{base}1"]
    assert most < 40 << 20
    late = ["http://h/", "//i/", "late", "/late"]
    assert resolve(base, [*hrefs, *late])[-3:] == ["http://h/", "http://i/", "http://example.org/late"]
    usual = f"http://example.org/{'x' * 79}/"
    assert len(resolve(usual, [f"{number:x}" for number in range(300_000)])) == 300_000


@pytest.mark.parametrize(
    ("base", "link"),
    [
        ("https://example.org/search?" + "q" * 2100, "/item/{}"),
        ("https://example.org/search?" + "q" * 2100, "item/{}"),
        ("https://example.org/search?" + "q" * 2100, "?page={}"),
        (f"https://example.org/{'x' * 2100}/", "/item/{}"),
        (f"https://example.org/{'x' * 2100}", "item/{}"),
        (f"https://example.org/{'x' * 2100}/", "//example.org/item/{}"),
    ],
)
def test_what_links_do_not_repeat_of_a_long_base_costs_none(base: str, link: str) -> None:
    assert len(resolve(base, [link.format(number) for number in range(12_000)])) == 12_000


@pytest.mark.parametrize(
    ("base", "link"),
    [
        (f"https://example.org/{'x' * 2100}/", "item/{}"),
        (f"https://example.org/{'x' * 2100}/", "{}"),
        (f"https://example.org/{'x' * 2100}", "?page={}"),
        (f"https://{'x.' * 1050}org/", "/item/{}"),
    ],
)
def test_what_is_left_out_is_said_once(base: str, link: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "crawler.web.urls"):
        kept = resolve(base, [link.format(number) for number in range(12_000)])
    assert 8000 < len(kept) < 9000
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{12_000 - len(kept)} links of https://")
    assert len(record.getMessage()) < 200


def test_what_is_kept_of_long_folders_is_little() -> None:
    """They are as many as a site likes."""
    hrefs = [f"{number:x}" for number in range(500)]
    tracemalloc.start()
    try:
        for folder in range(128):
            resolve(f"http://example.org/{folder}/{'x' * 4000}/", hrefs)
        now, _most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert now < 4 << 20


def test_fingerprint_tells_requests_apart_by_method_and_body() -> None:
    url = "http://example.org/"
    requests: list[tuple[str, bytes | None]] = [
        ("GET", None),
        ("HEAD", None),
        ("POST", None),
        ("POST", b"a"),
        ("POST", b"\na"),
        ("GET", b"a"),
        ("GETa", None),
    ]
    prints = {fingerprint(url, method, body) for method, body in requests}
    assert len(prints) == len(requests)
    assert all(len(one) == 16 for one in prints)


def test_fingerprint_of_an_empty_body_is_that_of_none() -> None:
    assert fingerprint("http://h/", "GET", b"") == fingerprint("http://h/")
    assert fingerprint("http://h/", "POST", b"") == fingerprint("http://h/", "POST")


@given(st.lists(urls.map(normalize)))
def test_fingerprints_in_batch_equal_those_one_by_one(batch: list[str]) -> None:
    assert fingerprints(batch) == [fingerprint(url) for url in batch]


@given(urls.map(normalize))
@example("http://[2001:db8::1]:8080/")
def test_a_host_has_one_key_by_url_and_by_origin(url: str) -> None:
    """The scheduler knows URLs, the connector origins; one politeness needs one key."""
    assert host_key(Origin.of(URL(url, encoded=True))) == host_of(url)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://example.org/", "example.org"),
        ("https://example.org/a", "example.org"),
        ("https://example.org:8443/a:b", "example.org:8443"),
        ("http://example.org:443/", "example.org:443"),
        ("http://[::1]/", "[::1]"),
        ("http://[::1]:81/?//x/", "[::1]:81"),
    ],
)
def test_host_key(url: str, host: str) -> None:
    assert host_of(url) == host


def test_origin_and_its_robots_txt() -> None:
    assert origin_of("https://h:8443/a/b?c") == "https://h:8443"
    assert origin_of("http://h/") == "http://h"
    assert robots_url("http://h") == "http://h/robots.txt"
