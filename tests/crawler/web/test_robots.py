"""RFC 9309, clause by clause, and what is made of files that do not keep to it."""

from __future__ import annotations

import sys
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.web.product import product_token
from crawler.web.robots import MAX_BYTES, Robots

if TYPE_CHECKING:
    from collections.abc import Callable

AGENT = "nephila/0.1 (+https://nephila.example/)"


def robots(text: str, agent: str = AGENT) -> Robots:
    return Robots.parse(text.encode(), user_agent=agent)


def allows(text: str, path: str, agent: str = AGENT) -> bool:
    return robots(text, agent).allows(f"https://example.org{path}")


@pytest.mark.parametrize(
    ("agent", "token"),
    [
        (AGENT, "nephila"),
        ("Nephila", "nephila"),
        ("ExampleBot-News/2.1", "examplebot-news"),
        ("Mozilla/5.0 (compatible; Foobot/1.0; +http://foo.example/)", "foobot"),
        ("Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; Foobot/1.0; +http://foo.example/)", "foobot"),
        ("archive.org_bot", "archive.org_bot"),
        ("(nameless)", ""),
        ("", ""),
    ],
)
def test_product_token(agent: str, token: str) -> None:
    assert product_token(agent) == token


SIMPLE = """
User-Agent: *
Disallow: *.gif$
Disallow: /example/
Allow: /publications/

User-Agent: foobot
Disallow:/
Allow:/example/page.html
Allow:/example/allowed.gif

User-Agent: barbot
User-Agent: bazbot
Disallow: /example/page.html

User-Agent: quxbot
"""
"""RFC 9309 §5.1, with its outcomes below."""


@pytest.mark.parametrize(
    ("agent", "path", "allowed"),
    [
        ("anybot", "/publications/a", True),
        ("anybot", "/example/a", False),
        ("anybot", "/a.gif", False),
        ("foobot", "/example/page.html", True),
        ("foobot", "/example/allowed.gif", True),
        ("foobot", "/other", False),
        ("barbot", "/example/page.html", False),
        ("bazbot", "/example/page.html", False),
        ("bazbot", "/example/a.gif", True),
        ("quxbot", "/example/page.html", True),
    ],
)
def test_simple_example(agent: str, path: str, allowed: bool) -> None:
    assert allows(SIMPLE, path, agent) is allowed


def test_the_longest_match_decides() -> None:
    """RFC 9309 §5.2."""
    text = "User-Agent: foobot\nAllow: /example/page/\nDisallow: /example/page/disallowed.gif\n"
    assert not allows(text, "/example/page/disallowed.gif", "foobot")
    assert allows(text, "/example/page/", "foobot")


@pytest.mark.parametrize("rules", ["Allow: /page\nDisallow: /page", "Disallow: /page\nAllow: /page"])
def test_allow_wins_ties(rules: str) -> None:
    assert allows(f"User-agent: *\n{rules}", "/page")


@pytest.mark.parametrize(
    ("rule", "path", "matches"),
    [
        ("/foo/bar?baz=quz", "/foo/bar?baz=quz", True),
        ("/foo/bar/ツ", "/foo/bar/%E3%83%84", True),
        ("/foo/bar/%E3%83%84", "/foo/bar/%E3%83%84", True),
        ("/foo/bar/%62%61%7A", "/foo/bar/baz", True),
        ("/%7euser", "/~user", True),
        ("/a%2fb", "/a%2Fb", True),
        ("/a%2fb", "/a/b", False),
        ("/path/file-with-a-%2A.html", "/path/file-with-a-*.html", True),
        ("/path/file-with-a-%2A.html", "/path/file-with-a-b.html", False),
        ("/path/foo-%24", "/path/foo-$", True),
        ("/fish", "/fishheads", True),
        ("/fish", "/Fish", False),
        ("/fish/", "/fish", False),
        ("/*.php", "/folder/any.php.file", True),
        ("/*.php$", "/a/b.php", True),
        ("/*.php$", "/b.php?x", False),
        ("/fish*.php", "/fishheads/catfish.php?id", True),
        ("/$", "/", True),
        ("/$", "/a", False),
        ("*", "/", True),
        ("/a\fb", "/a", False),
        ("/a\u2028b", "/a", False),
        ("/a # comment", "/a", True),
        ("", "/a", False),
    ],
)
def test_path_matching(rule: str, path: str, matches: bool) -> None:
    assert allows(f"User-agent: *\nDisallow: {rule}\n", path) is not matches


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("User-agent: NEPHILA\nDisallow: /a", False),
        ("User-agent: nephila/2.0\nDisallow: /a", False),
        ("User-agent: nephila*\nDisallow: /a", False),
        ("User-agent: neph\nDisallow: /a", True),
        ("User-agent: nephilax\nDisallow: /a", True),
        ("User-agent: https\nDisallow: /a", True),
        ("User-agent: * # all\nDisallow: /a", False),
        ("User-agent: *bot\nDisallow: /a", True),
        ("User-agent:\nDisallow: /a", True),
        ("User-agent: *\nDisallow: /a\nUser-agent: nephila\nDisallow: /b", True),
        ("User-agent: *\nDisallow: /a\nUser-agent: nephila", True),
        ("User-agent: *\nDisallow: /a\nUser-agent: nephila\nDisallow:", True),
        ("User-agent: nephila\nDisallow: /b\nUser-agent: *\nDisallow: /c\nUser-agent: nephila\nDisallow: /a", False),
        ("User-agent: *\nDisallow: /b\nUser-agent: *\nDisallow: /a", False),
        ("User-agent: x\nUser-agent: nephila\nDisallow: /a", False),
        ("User-agent: nephila\nUser-agent: *\nDisallow: /a", False),
        ("User-agent: nephila\n\n\nDisallow: /a", False),
        ("User-agent: nephila\nunknown: x\nUser-agent: y\nDisallow: /a", False),
        ("User-agent: nephila\nSitemap: https://h/s\nDisallow: /a", False),
        ("User-agent: nephila\nCrawl-delay: 2\nUser-agent: y\nDisallow: /a", False),
        ("User-agent: nephila\nDisallow: /b\nUser-agent: y\nDisallow: /a", True),
        ("Disallow: /a\nUser-agent: nephila", True),
        ("Disallow: /a", True),
        ("", True),
        ("<html><title>Not found</title>", True),
    ],
)
def test_whose_rules_they_are(text: str, allowed: bool) -> None:
    assert allows(text, "/a") is allowed


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\n\r\n"])
def test_line_ends(end: str) -> None:
    assert not allows(f"User-agent: *{end}Allow: /{end}Disallow: /a{end}", "/a")


@pytest.mark.parametrize(
    "text",
    [
        "user-agent : *\n disallow : /a ",
        "USER-AGENT:*\nDISALLOW:/a",
        "useragent: *\ndissallow: /a",
        "User agent: *\nDisalow: /a",
        "User-agent *\nDisallow /a",
        "User-agent:\t*\t\nDisallow:\t/a\t",
        "\ufeffUser-agent: *\nDisallow: /a",
    ],
)
def test_sloppy_files(text: str) -> None:
    assert not allows(text, "/a")


def test_bytes_that_are_no_text_spoil_only_their_line() -> None:
    one = Robots.parse(b"User-agent: *\nDisallow: /\xff\xfe\nDisallow: /\x00b\nDisallow: /a\n", user_agent=AGENT)
    assert not one.allows("https://example.org/a")
    assert one.allows("https://example.org/c")


def test_the_limit_cuts_no_rule_short() -> None:
    """Half of `Disallow: /private` would close the whole site."""
    head = b"User-agent: *\nDisallow: /a\n"
    filling = b"#" * (MAX_BYTES - len(head) - len(b"\nDisallow: /"))
    one = Robots.parse(head + filling + b"\nDisallow: /private\nDisallow: /late\n", user_agent=AGENT)
    assert not one.allows("https://example.org/a")
    assert one.allows("https://example.org/private")
    assert one.allows("https://example.org/late")


def test_robots_txt_itself_is_always_allowed() -> None:
    one = robots("User-agent: *\nDisallow: /")
    assert one.allows("https://example.org/robots.txt")
    assert one.rule_for("https://example.org/robots.txt") is None
    assert not one.allows("https://example.org/a/robots.txt")
    assert not one.allows("https://example.org/?/robots.txt")


def test_crawl_delay_is_that_of_our_group() -> None:
    text = "User-agent: *\nCrawl-delay: 5\nDisallow: /x\nUser-agent: nephila\nCrawl-delay: 0.5\nDisallow: /a"
    assert robots(text).crawl_delay == 0.5
    assert robots(text, "other").crawl_delay == 5.0
    assert robots("User-agent: *\nDisallow: /").crawl_delay is None
    assert robots("User-agent: *\nCrawl-delay: soon").crawl_delay is None
    assert robots("User-agent: *\nCrawl-delay: inf\nCrawl delay 3\ncrawl-delay: -1").crawl_delay == 3.0
    assert robots("User-agent: x\nCrawl-delay: 9\nUser-agent: nephila\nDisallow: /a").crawl_delay is None


def test_sitemaps_are_for_everyone_wherever_they_stand() -> None:
    text = "Sitemap: https://h/1.xml\nUser-agent: x\nSitemap: https://h/2.xml\nDisallow: /\nsite-map: /3.xml\nSitemap:"
    assert robots(text).sitemaps == ["https://h/1.xml", "https://h/2.xml", "/3.xml"]


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("/private/a", "Disallow: /private"),
        ("/private/open/a", "allow:/private/open"),
        ("/x.gif", "Disallow: *.gif$"),
        ("/elsewhere", None),
    ],
)
def test_the_deciding_rule_is_told(path: str, rule: str | None) -> None:
    text = (
        "User-agent: *\nDisallow: /private # not yours\nallow:/private/open\nDisallow: /p\nDisallow: *.gif$\nDisallow:"
    )
    assert robots(text).rule_for(f"https://example.org{path}") == rule


def test_a_dollar_is_the_end_and_no_character() -> None:
    assert allows("User-agent: *\nDisallow: /a$", "/a$")
    assert allows("User-agent: *\nDisallow: /a$", "/a$b")
    assert not allows("User-agent: *\nDisallow: /a$b", "/a$b")
    assert not allows("User-agent: *\nDisallow: /a%24", "/a$b")


def calls_of(work: Callable[[], object]) -> int:
    """How many functions are called, of Python or of C."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize(
    ("pattern", "most"), [("/{:x}", 50), ("/{:x}$", 50), ("/private/{:06}/", 50), ("/*/{:x}*y$", 50_000)]
)
def test_a_rule_is_found_among_ten_thousand(pattern: str, most: int) -> None:
    """For each page that is refused, its rule is told: so rules without `*` are looked up, others tried once and not made anew."""
    rules = "".join(f"Disallow: {pattern.format(number)}\n" for number in range(10_000))
    one = robots(f"User-agent: *\n{rules}Disallow: /z")
    assert one.rule_for("https://example.org/z/x/y") == "Disallow: /z"
    assert calls_of(lambda: one.rule_for("https://example.org/z/x/y")) < most


@pytest.mark.parametrize("pattern", ["/*zq{}", "/*zz*y{}z*z"])
def test_a_long_path_is_not_searched_for_each_rule(pattern: str) -> None:
    """That takes microseconds each; a host that has such rules may have long URLs that go with them."""
    rules = "".join(f"Disallow: {pattern.format(number)}\n" for number in range(700))
    one = robots(f"User-agent: *\n{rules}Disallow: /*zy")
    url = f"https://example.org/{2000 * 'z'}y"
    searched = 0

    def count(_frame: object, event: str, argument: object) -> None:
        nonlocal searched
        searched += event == "c_call" and getattr(argument, "__name__", "") == "find"

    sys.setprofile(count)
    try:
        rule = one.rule_for(url)
    finally:
        sys.setprofile(None)
    assert rule == "Disallow: /*zy"
    assert searched < 10


@given(st.lists(st.text("ab*$", max_size=12), max_size=8), st.text("ab", max_size=20))
def test_a_rule_is_the_same_whether_a_path_is_long_or_not(patterns: list[str], path: str) -> None:
    one = robots("User-agent: *\n" + "".join(f"Disallow: /{pattern}\n" for pattern in patterns))
    url = f"https://example.org/{path}"
    expected = one.rule_for(url)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("crawler.web.robots._MANY_SHAPES", 0)
        patch.setattr("crawler.web.robots._STRETCH", 3)
        assert one.rule_for(url) == expected


@pytest.mark.parametrize(
    "pattern",
    ["/{:x}", "/private/of/many/{}/$", "*{:x}", "/*{:x}*y*z$", "/" + 2000 * "x" + "{}", "*ab*cd*ef*gh" * 40 + "{}"],
)
def test_its_size_is_about_what_it_takes(pattern: str) -> None:
    """So that the memory of a crawl can be bounded by it."""
    lines = (f"Disallow: {pattern.format(number)}\n" for number in range(100_000 // (len(pattern) + 14)))
    body = f"User-agent: *\n{''.join(lines)}".encode()
    tracemalloc.start()
    try:
        one = Robots.parse(body, user_agent=AGENT)
        taken, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken / 2 < one.size_bytes < 3 * taken


pieces = st.sampled_from(["/", "a", "b", "*", "$", "%61", "%2F", "?", "ü", ".gif", " ", "#"])
lines = st.lists(
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["Allow: ", "Disallow: ", "User-agent: ", "Crawl-delay: ", "X: "]),
        st.just("/"),
        st.lists(pieces).map("".join),
    )
    | st.sampled_from(["User-agent: *", "User-agent: nephila", "User-agent: other", ""])
    | st.text(max_size=20)
)


@given(lines, st.lists(st.sampled_from(["a", "b", "%C3%BC", "/", ".gif", "?"]), max_size=6).map("".join))
def test_a_refusal_always_has_its_rule(text: list[str], path: str) -> None:
    one = robots("\n".join(text).encode("utf-8", "replace").decode())
    url = f"https://example.org/{path}"
    if not one.allows(url):
        assert one.rule_for(url) is not None


@given(st.binary(max_size=200))
def test_no_file_is_too_broken_to_read(body: bytes) -> None:
    one = Robots.parse(body, user_agent=AGENT)
    assert one.allows("https://example.org/robots.txt")
