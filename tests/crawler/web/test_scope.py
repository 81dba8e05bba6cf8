"""Which URLs a crawl follows, and the words for those it does not."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crawler.errors import SettingError
from crawler.web.robots import Robots
from crawler.web.scope import Scope
from crawler.web.urls import normalize

SEED = "https://example.org/start"


def test_by_default_the_hosts_of_the_seeds() -> None:
    scope = Scope.of([SEED, "http://127.0.0.1:8000/"])
    assert scope.admits("https://example.org/a?b")
    assert scope.admits("http://example.org/")
    assert scope.admits("https://www.example.org/")
    assert scope.admits("http://127.0.0.1:8000/a")
    assert not scope.admits("http://127.0.0.1:8001/a")
    assert not scope.admits("http://127.0.0.1/a")
    assert not scope.admits("https://blog.example.org/")
    assert not scope.admits("https://example.org:8443/")
    assert not scope.admits("https://notexample.org/")
    assert not scope.admits("https://other.org/https://example.org/")


@pytest.mark.parametrize(
    ("seed", "twin", "admitted"),
    [
        ("http://www.example.org/", "http://example.org/", True),
        ("http://example.org:81/", "http://www.example.org:81/", True),
        ("http://localhost/", "http://www.localhost/", False),
        ("http://127.0.0.1/", "http://www.127.0.0.1/", False),
        ("http://[::1]:8000/", "http://www.[::1]:8000/", False),
    ],
)
def test_www_is_the_same_site(seed: str, twin: str, admitted: bool) -> None:
    """A site's front page often redirects from the one to the other; a crawl that stops there surprises."""
    assert Scope.of([seed]).admits(seed)
    assert Scope.of([seed]).admits(twin) is admitted


def test_domains_include_what_is_below_them() -> None:
    scope = Scope.of([SEED], domains=["Example.NET", "*.münchen.de", "ports.org:8080"])
    assert scope.admits("http://example.net/")
    assert scope.admits("http://a.b.example.net:8080/")
    assert scope.admits("http://www.xn--mnchen-3ya.de/")
    assert scope.admits("http://a.ports.org:8080/")
    assert scope.admits(SEED)
    assert not scope.admits("http://ports.org/")
    assert not scope.admits("http://badexample.net/")
    assert not scope.admits("http://net/")
    assert not scope.admits("http://[::1]/")


def test_explicit_hosts_are_exact() -> None:
    scope = Scope.of(hosts=["Static.Example.org", "h:81", "[0::1]"])
    assert scope.admits("https://static.example.org/a.css")
    assert scope.admits("http://h:81/")
    assert scope.admits("http://[::1]/")
    assert not scope.admits("http://h/")
    assert not scope.admits("https://www.static.example.org/")


def test_allow_and_deny() -> None:
    scope = Scope.of([SEED], allow=["/docs/", re.compile(r"\.PDF$", re.IGNORECASE)], deny=["/docs/old", r"[?&]print=1"])
    assert scope.admits("https://example.org/docs/a")
    assert scope.admits("https://example.org/x.pdf")
    assert not scope.admits("https://example.org/")
    assert not scope.admits("https://example.org/x/docs/")
    assert not scope.admits("https://example.org/docs/older.pdf")
    assert not scope.admits("https://example.org/docs/a?print=1")
    assert not scope.admits("https://other.org/docs/a")


def test_prefixes_are_brought_to_canonical_form() -> None:
    scope = Scope.of([SEED], allow=["/ü", "/%7euser", "/search?q=a b"])
    assert scope.admits("https://example.org/%C3%BC/x")
    assert scope.admits("https://example.org/~user/")
    assert scope.admits("https://example.org/search?q=a%20b&p=2")


@given(
    st.builds("/{}{}".format, st.text("ab/*.$", max_size=6), st.sampled_from(["", "$", "?a=*"])),
    st.builds("/{}{}".format, st.text("ab/.$", max_size=6), st.sampled_from(["", "?", "?a=b"])),
)
@example("/a/*.b$", "/a/a.b")
@example("/*", "/")
@example("/a$", "/a?a=b")
def test_prefixes_are_those_of_robots_txt(pattern: str, path: str) -> None:
    pattern = normalize(f"http://h{pattern}").removeprefix("http://h")  # no robots.txt has its dots resolved
    url = normalize(f"https://example.org{path}")
    rules = Robots.parse(f"User-agent: *\nDisallow: {pattern}".encode(), user_agent="x")
    for scope in (Scope.of([SEED], deny=[pattern]), Scope.of(**Scope.of([SEED], deny=[pattern]).described())):
        assert scope.admits(url) == rules.allows(url)
    assert Scope.of([SEED], allow=[pattern]).admits(url) != rules.allows(url)
    assert (Scope.of([SEED], deny=[pattern]).why_not(url) is None) == rules.allows(url)


@pytest.mark.parametrize("end", ["b", "b$", "$", ""])
def test_stars_are_matched_in_one_go(end: str) -> None:
    """To try each place of each star would take longer than anybody lives, and a site may write any URL."""
    pattern, url = f"/{'*a' * 40}*{end}", f"https://example.org/{'a' * 10_000}"
    scope = Scope.of([SEED], deny=[f"{pattern}", f"/{'*a/*' * 40}c"])
    assert scope.admits(url) is end.startswith("b")
    assert not scope.admits(f"{url}b")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://example.org/docs/a", None),
        ("https://other.org/", "other.org is not of the hosts example.org, www.example.org or the domains example.net"),
        ("https://example.org/docs/old", "it matches what is denied: /docs/old"),
        ("https://a.example.net/", "it matches nothing of what is allowed: /docs, \\.pdf$"),
    ],
)
def test_why_not(url: str, words: str | None) -> None:
    scope = Scope.of([SEED], domains=["example.net"], allow=["/docs", r"\.pdf$"], deny=["/docs/old"])
    assert scope.why_not(url) == words


@given(
    st.sampled_from(["https://example.org", "http://www.example.org:80", "http://a.example.net", "http://b.org:81"]),
    st.sampled_from(["/", "/a", "/a/b?c", "/b", "/b.pdf"]),
    st.sets(st.sampled_from(["/a", "/b", r"\.pdf$", "b"])),
    st.sets(st.sampled_from(["/a/b", "/b", r"\?"])),
)
def test_a_reason_is_given_just_when_a_url_is_left_out(host: str, path: str, allow: set[str], deny: set[str]) -> None:
    scope = Scope.of([SEED], domains=["example.net"], allow=allow, deny=deny)
    assert (scope.why_not(host + path) is None) is scope.admits(host + path)


def test_a_scope_can_be_made_again_from_its_description() -> None:
    scope = Scope.of(
        [SEED],
        hosts=["a.example:8000"],
        domains=["b.example"],
        allow=["/docs/", "x+", re.compile("Y", re.IGNORECASE), re.compile("/z")],
        deny=[r"\.pdf$"],
    )
    again = Scope.of(**json.loads(json.dumps(scope.described())))
    for url in (
        f"http://{host}{path}"
        for host in ("example.org", "www.example.org", "a.example:8000", "b.example", "c.b.example", "d.example")
        for path in ("/", "/docs/a", "/xx", "/y", "/a/z", "/docs/a.pdf", "/Docs/")
    ):
        assert again.admits(url) == scope.admits(url), url


def test_what_a_spider_may_say() -> None:
    assert Scope.parse(None) == Scope.of()
    assert Scope.parse("any").admits("http://[::1]:99/")
    assert Scope.parse(["example.net"]) == Scope.of(domains=["example.net"])
    own = Scope.of([SEED], allow=["/docs"])
    assert Scope.parse(own) is own


@pytest.mark.parametrize(
    "value", ["example.org", 3, True, [3], b"example.org", ["https://example.org/"], ["a b"], [""]]
)
def test_what_a_spider_may_not_say(value: Any) -> None:
    with pytest.raises(SettingError):
        Scope.parse(value)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"allow": ["("]}, r"allow: '\(' is not a regular expression"),
        ({"deny": ["/a", "*"]}, r"deny: '\*' is not a regular expression"),
        ({"allow": "/docs"}, r"allow = '/docs': write a list"),
        ({"domains": "example.org"}, "domains = 'example.org': write a list"),
        ({"domains": ["https://example.org"]}, "write the host alone"),
        ({"hosts": ["a b"]}, "'a b' is not a host name"),
    ],
)
def test_a_bad_value_is_named(arguments: dict[str, Any], fault: str) -> None:
    with pytest.raises(SettingError, match=fault):
        Scope.of([SEED], **arguments)
