"""Our reading of robots.txt beside three others: RFC 9309 taken literally, Protego's, and the standard library's, where those
are right."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.robotparser import RobotFileParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from protego import Protego

from crawler.web.robots import Robots
from crawler.web.urls import normalize

SITE = "https://example.org"


class Rule(NamedTuple):
    allows: bool
    pattern: str


def allows(rules: list[Rule], path: str) -> bool:
    text = "".join(f"{'Allow' if rule.allows else 'Disallow'}: {rule.pattern}\n" for rule in rules)
    return Robots.parse(f"User-agent: *\n{text}".encode(), user_agent="nephila").allows(normalize(SITE + path))


# -- the RFC, taken literally -----------------------------------------------------------------------------------------


def literal(rules: list[Rule], path: str) -> bool:
    """RFC 9309 §2.2.2 and §2.2.3: of the rules that match, the longest decides; allow wins ties; no match allows."""
    matching = [(len(rule.pattern.encode()), rule.allows) for rule in rules if matches(rule.pattern, path)]
    return max(matching)[1] if matching else True


def matches(pattern: str, path: str) -> bool:
    """`*`: any characters; `$` at the end: the end."""
    anchor = "$" if pattern.endswith("$") else ""
    parts = pattern.removesuffix("$").split("*")
    return re.match(".*".join(map(re.escape, parts)) + anchor, path, re.DOTALL) is not None


pieces = st.sampled_from(["/", "a", "b", "ab", "?", "=", ".gif", "-", "_"])
paths = st.lists(pieces, max_size=6).map(lambda found: "/" + "".join(found))
patterns = st.builds(
    "{}{}{}".format,
    paths,
    st.lists(st.sampled_from(["*", "a", "/", "b", ".gif"]), max_size=4).map("".join),
    st.sampled_from(["", "$"]),
)
rules = st.lists(st.builds(Rule, st.booleans(), patterns), max_size=6)


@given(rules, paths)
@example([Rule(True, "/p"), Rule(False, "/")], "/page")
@example([Rule(True, "/folder"), Rule(False, "/folder")], "/folder/page")
@example([Rule(True, "/page"), Rule(False, "/*.htm")], "/page.htm")
@example([Rule(True, "/$"), Rule(False, "/")], "/")
@example([Rule(True, "/$"), Rule(False, "/")], "/page.htm")
def test_the_rfc_taken_literally_agrees(rules: list[Rule], path: str) -> None:
    assert allows(rules, path) is literal(rules, path)


ESCAPES = [
    ("/foo/bar?baz=quz", "/foo/bar?baz=quz", True),
    ("/foo/bar?baz=https://foo.bar", "/foo/bar?baz=https%3A%2F%2Ffoo.bar", False),
    ("/foo/bar?baz=https%3A%2F%2Ffoo.bar", "/foo/bar?baz=https%3A%2F%2Ffoo.bar", True),
    ("/foo/bar/ツ", "/foo/bar/%E3%83%84", True),
    ("/foo/bar/%E3%83%84", "/foo/bar/ツ", True),
    ("/foo/bar/%62%61%7A", "/foo/bar/baz", True),
    ("/foo/bar/baz", "/foo/bar/%62%61%7A", True),
    ("/path/file-with-a-%2A.html", "/path/file-with-a-*.html", True),
    ("/path/foo-%24", "/path/foo-$", True),
]
"""The table of RFC 9309 §2.2.2 and §2.2.3: what is written, what is asked for, whether they are the same."""


@pytest.mark.parametrize(("pattern", "path", "is_same"), ESCAPES)
def test_escapes_are_compared_as_the_rfc_s_table_has_it(pattern: str, path: str, is_same: bool) -> None:
    assert allows([Rule(False, pattern)], path) is not is_same


# -- Protego ----------------------------------------------------------------------------------------------------------

written = st.sampled_from(
    ["/", "a", "b", ".gif", "?", "=", "&", ":", "%61", "%2F", "%2f", "%25", "%3D", "%3f", "ü", "%C3%BC", " ", "~", "+"]
)  # fmt: skip
paths_as_written = st.lists(written | st.sampled_from(["%2A", "*", "%", "%4"]), max_size=6).map(
    lambda found: "/" + "".join(found)
)
patterns_as_written = st.builds(
    "{}{}{}".format,
    st.sampled_from(["/", "*", "/*", "", "/a"]),
    st.lists(written | st.sampled_from(["*", "**", "%2A", "$x"]), max_size=6).map("".join),
    st.sampled_from(["", "$", "*$"]),
)


def by_protego(rules: list[Rule], path: str) -> bool:
    text = "".join(f"{'Allow' if rule.allows else 'Disallow'}: {rule.pattern}\n" for rule in rules)
    return bool(Protego.parse(f"User-agent: *\n{text}").can_fetch(normalize(SITE + path), "nephila"))


@given(patterns_as_written, paths_as_written)
@example("/a*b$", "/ab/ab")
@example("/a*ab$", "/ab")
@example("/%2A", "/*")
def test_protego_agrees_on_what_a_rule_matches(pattern: str, path: str) -> None:
    assert allows([Rule(False, pattern)], path) is by_protego([Rule(False, pattern)], path)


@given(rules, paths)
def test_protego_agrees_on_which_rule_decides(rules: list[Rule], path: str) -> None:
    """Of what it does not escape: see below."""
    rules, path = [rule._replace(pattern=rule.pattern.replace("?", "c")) for rule in rules], path.replace("?", "c")
    assert allows(rules, path) is by_protego(rules, path)


OTHER_RULES = {
    "a dollar at the end is the end, and a character too": ([Rule(False, "/a$")], "/a$b", True),
    "an index file that is allowed allows its folder": ([Rule(False, "/"), Rule(True, "/index.html")], "/", False),
    "bytes that are no UTF-8 are all alike": ([Rule(False, "/%FF")], "/%FE", True),
    "a percent alone is the start of any escape": ([Rule(False, "/%")], "/?", True),
    "half a character is not the start of a whole one": ([Rule(False, "/%C3")], "/ü", False),
    "octets are counted with their escapes": ([Rule(False, "/a?"), Rule(True, "/a*b")], "/a?b", True),
}
"""Where Protego departs from the RFC: rules, a path, and whether the RFC allows it."""


@pytest.mark.parametrize(("rules", "path", "allowed"), OTHER_RULES.values(), ids=OTHER_RULES)
def test_where_protego_is_not_right(rules: list[Rule], path: str, allowed: bool) -> None:
    assert allows(rules, path) is allowed
    assert by_protego(rules, path) is not allowed


# -- the standard library ---------------------------------------------------------------------------------------------

WORDS = st.sampled_from(["/", "/a", "/a/b", "/b", "/a/b/c.gif", "/c"])


def library(text: str, agent: str, path: str) -> bool:
    parser = RobotFileParser()
    parser.parse(text.splitlines())
    return parser.can_fetch(agent, SITE + path)


@given(
    st.lists(
        st.tuples(st.sampled_from(["nephila", "other", "*"]), st.booleans(), WORDS),
        max_size=4,
        unique_by=lambda g: g[0],
    ),
    WORDS,
)
def test_the_standard_library_agrees_where_it_is_right(groups: list[tuple[str, bool, str]], path: str) -> None:
    """Groups of one rule each, no two for one name."""
    text = "".join(
        f"User-agent: {agent}\n{'Allow' if allow else 'Disallow'}: {pattern}\n\n" for agent, allow, pattern in groups
    )
    ours = Robots.parse(text.encode(), user_agent="nephila").allows(SITE + path)
    assert ours is library(text, "nephila", path)


DIFFERENCES = {
    "the first rule decides, not the longest": ("User-agent: *\nDisallow: /a\nAllow: /a/b", "/a/b", True),
    "there are no wildcards": ("User-agent: *\nDisallow: /*.gif", "/a.gif", False),
    "there is no end": ("User-agent: *\nDisallow: /a$", "/a", False),
    "groups for one name are not put together": (
        "User-agent: nephila\nDisallow: /b\n\nUser-agent: nephila\nDisallow: /a",
        "/a",
        False,
    ),
    "part of a name will do": ("User-agent: neph\nDisallow: /a", "/a", True),
    "an empty line ends a group": ("User-agent: *\n\nDisallow: /a", "/a", False),
}
"""Where the library departs from the RFC: the file, a path, and whether the RFC allows it."""


@pytest.mark.parametrize(("text", "path", "allowed"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_where_the_standard_library_is_not_right(text: str, path: str, allowed: bool) -> None:
    assert Robots.parse(text.encode(), user_agent="nephila").allows(SITE + path) is allowed
    assert library(text, "nephila", path) is not allowed
