"""The jar: the storage model of RFC 6265bis rule by rule, then aiohttp's interface, then files."""

import json
import pickle
import stat
import time
from http.cookies import BaseCookie, Morsel, SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from client.abc import AbstractCookieJar, LooseCookies
from client.cookies import MAX_HEADER_BYTES, CookieJar, DummyCookieJar

SITE = URL("https://www.example.com/dir/page")
PLAIN = URL("http://www.example.com/dir/page")


class Clock:
    """UTC time that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def jar_with(*headers: str, url: URL = SITE) -> CookieJar:
    jar = CookieJar()
    jar.store(headers, url)
    return jar


def sent(jar: CookieJar, url: str | URL) -> str | None:
    return jar.cookie_header(URL(url))


# ---- which cookies are kept


@pytest.mark.parametrize(
    ("header", "url", "is_kept"),
    [
        # Domain, steps 8 to 10
        ("a=1", "https://www.example.com/", True),
        ("a=1; Domain=www.example.com", "https://www.example.com/", True),
        ("a=1; Domain=.EXAMPLE.com", "https://www.example.com/", True),
        ("a=1; Domain=other.com", "https://www.example.com/", False),
        ("a=1; Domain=m.www.example.com", "https://www.example.com/", False),
        ("a=1; Domain=example.com.", "https://www.example.com/", False),
        ("a=1; Domain=ex\u00e4mple.com", "https://www.ex\u00e4mple.com/", False),
        ("a=1; Domain=xn--exmple-cua.com", "https://www.ex\u00e4mple.com/", True),
        # public suffixes
        ("a=1; Domain=com", "https://www.example.com/", False),
        ("a=1; Domain=co.uk", "https://www.example.co.uk/", False),
        ("a=1; Domain=example.co.uk", "https://www.example.co.uk/", True),
        ("a=1; Domain=github.io", "https://me.github.io/", False),
        ("a=1; Domain=github.io", "https://github.io/", True),
        ("a=1; Domain=internal", "https://wiki.internal/", False),
        ("a=1; Domain=localhost", "https://localhost/", True),
        # Secure, steps 13 and 19
        ("a=1; Secure", "https://www.example.com/", True),
        ("a=1; Secure", "wss://www.example.com/", True),
        ("a=1; Secure", "http://www.example.com/", False),
        ("a=1; SameSite=None", "https://www.example.com/", False),
        ("a=1; SameSite=None; Secure", "https://www.example.com/", True),
        ("a=1; SameSite=Strict", "http://www.example.com/", True),
        # prefixes, steps 20 to 22
        ("__Secure-a=1", "https://www.example.com/", False),
        ("__Secure-a=1; Secure", "https://www.example.com/", True),
        ("__sEcUrE-a=1", "https://www.example.com/", False),
        ("__Host-a=1; Secure; Path=/", "https://www.example.com/dir/page", True),
        ("__hOsT-a=1; Secure; Path=/", "https://www.example.com/", True),
        ("__Host-a=1; Secure", "https://www.example.com/", False),
        ("__Host-a=1; Secure; Path", "https://www.example.com/", True),
        ("__Host-a=1; Secure; Path=/dir", "https://www.example.com/", False),
        ("__Host-a=1; Path=/", "https://www.example.com/", False),
        ("__Host-a=1; Secure; Path=/; Domain=www.example.com", "https://www.example.com/", False),
        ("__Host-a=1; Secure; Path=/; Domain=localhost", "https://localhost/", True),
        ("__Secure-a; Secure", "https://www.example.com/", False),
        ("=__Secure-a=1; Secure", "https://www.example.com/", False),
        ("=__HOST-a=1; Secure; Path=/", "https://www.example.com/", False),
        # addresses
        ("a=1", "http://127.0.0.1/", False),
        ("a=1", "http://[::1]/", False),
        # expired on arrival
        ("a=1; Max-Age=0", "https://www.example.com/", False),
        ("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "https://www.example.com/", False),
        # no cookie at all
        ("", "https://www.example.com/", False),
        ("a=\x01", "https://www.example.com/", False),
        ("a=1", "", False),
    ],
)
def test_what_is_kept(header: str, url: str, is_kept: bool) -> None:
    assert len(jar_with(header, url=URL(url))) == is_kept


def test_a_domain_that_is_a_public_suffix_and_the_host_means_the_host_alone() -> None:
    jar = jar_with("a=1; Domain=github.io", url=URL("https://github.io/"))
    assert sent(jar, "https://github.io/") == "a=1"
    assert sent(jar, "https://me.github.io/") is None


@pytest.mark.parametrize(
    ("secure", "header", "url", "is_kept"),
    [
        ("a=1; Secure; Path=/login", "a=2; Path=/login", PLAIN, False),
        ("a=1; Secure; Path=/login", "a=2; Path=/login/en", PLAIN, False),
        ("a=1; Secure; Path=/login", "a=2; Path=/", PLAIN, True),
        ("a=1; Secure; Path=/login", "a=2; Path=/login", SITE, True),
        ("a=1; Secure; Path=/", "b=2; Path=/", PLAIN, True),
        ("a=1; Secure; Path=/", "a=2; Path=/; Domain=example.com", PLAIN, False),
        ("a=1; Secure; Path=/; Domain=example.com", "a=2; Path=/", PLAIN, False),
        ("a=1; Secure; Path=/", "a=2; Path=/", URL("http://example.com/"), False),
        ("a=1; Secure; Path=/", "a=2; Path=/", URL("http://m.www.example.com/"), False),
        ("a=1; Secure; Path=/", "a=2; Path=/", URL("http://m.example.com/"), True),
        ("a=1; Path=/", "a=2; Path=/", PLAIN, True),
    ],
)
def test_an_insecure_origin_leaves_secure_cookies_alone(secure: str, header: str, url: URL, is_kept: bool) -> None:
    """Step 16: whoever sits on the wire of http:// must not shadow the cookies of https://."""
    jar = jar_with(secure)
    jar.store([header], url)
    assert ("2" in {morsel.value for morsel in jar}) is is_kept


def test_a_cookie_replaces_the_one_of_its_name_domain_scope_and_path() -> None:
    jar = jar_with("a=1; Path=/", "b=1; Path=/", "a=2; Path=/", "a=3; Path=/x", "a=4; Path=/; Domain=www.example.com")
    assert sent(jar, SITE) == "a=2; b=1; a=4"  # the second a inherits the first one's age


def test_a_cookie_that_has_expired_on_arrival_removes_its_predecessor() -> None:
    jar = jar_with("a=1; Path=/", "b=1; Path=/", "a=; Path=/; Max-Age=0")
    assert sent(jar, SITE) == "b=1"


# ---- which cookies are sent


@pytest.mark.parametrize(
    ("header", "url", "is_sent"),
    [
        ("a=1", "https://www.example.com/dir", True),
        ("a=1", "https://www.example.com/dir/other", True),
        ("a=1", "https://www.example.com/other", False),
        ("a=1; Path=/", "https://www.example.com", True),
        ("a=1; Path=/", "https://m.www.example.com/", False),
        ("a=1; Path=/", "https://example.com/", False),
        ("a=1; Path=/", "https://WWW.EXAMPLE.COM:8443/?q", True),
        ("a=1; Path=/", "http://www.example.com/", True),
        ("a=1; Path=/; Secure", "http://www.example.com/", False),
        ("a=1; Path=/; Secure", "wss://www.example.com/", True),
        ("a=1; Path=/; HttpOnly; SameSite=Strict", "https://www.example.com/", True),
        ("a=1; Path=/; Domain=example.com", "https://example.com/", True),
        ("a=1; Path=/; Domain=example.com", "https://m.www.example.com/", True),
        ("a=1; Path=/; Domain=example.com", "https://badexample.com/", False),
        ("a=1; Path=/; Domain=example.com", "https://1.2.3.4/", False),
        ("a=1; Path=/; Domain=example.com", "", False),
    ],
)
def test_what_is_sent(header: str, url: str, is_sent: bool) -> None:
    assert (sent(jar_with(header), url) is not None) is is_sent


def test_longer_paths_come_first_then_older_cookies() -> None:
    jar = jar_with(
        "a=1; Path=/", "b=1; Path=/dir", "c=1; Path=/; Domain=example.com", "d=1; Path=/dir/page", "e=1; Path=/dir"
    )
    assert sent(jar, SITE) == "d=1; b=1; e=1; a=1; c=1"


@pytest.mark.parametrize(
    "pair", ['a="quoted; or not"', "a b=c, d", "a=\u00e4\udcff", "nameless", "=x=y", "a=", "a=\t1\t2"]
)
def test_pairs_are_returned_as_they_came(pair: str) -> None:
    header = pair.partition(";")[0].removeprefix("=")
    assert sent(jar_with(pair), SITE) == header.replace("\t1", "1")


def test_a_header_is_not_longer_than_servers_read() -> None:
    jar = jar_with(*(f"c{index}={'x' * 996}; Path=/" for index in range(9)), "small=1; Path=/", "deep=1")
    header = sent(jar, SITE)
    assert header is not None
    assert len(header) <= MAX_HEADER_BYTES
    assert [pair.partition("=")[0] for pair in header.split("; ")] == ["deep", *(f"c{n}" for n in range(8)), "small"]
    assert list(jar.filter_cookies(SITE)) == ["deep", *(f"c{n}" for n in range(8)), "small"]


def test_cookies_expire_by_the_clock() -> None:
    clock = Clock()
    jar = CookieJar(clock=clock)
    jar.store(["a=1; Max-Age=10", "b=1; Max-Age=20", "c=1"], SITE)
    clock.now += 9.9
    assert sent(jar, SITE) == "a=1; b=1; c=1"
    clock.now += 0.1
    assert sent(jar, SITE) == "b=1; c=1"
    jar.store(["b=2; Max-Age=20"], SITE)
    clock.now += 10
    assert len(jar) == 2
    clock.now += 10
    assert [morsel.key for morsel in jar] == ["c"]
    clock.now += 400 * 24 * 3600
    assert [record["name"] for record in jar.dump()] == ["c"]


def test_cookies_expire_by_a_clock_that_a_test_has_put_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of those who try their programs at another time, few give each jar a clock."""
    jar = jar_with("a=1; Max-Age=10", "b=2")
    at = time.time() + 11
    monkeypatch.setattr(time, "time", lambda: at)
    assert sent(jar, SITE) == "b=2"


def test_cookies_expire_before_they_are_read_by_any_way() -> None:
    for read in (len, list, CookieJar.dump, lambda jar: jar.filter_cookies(SITE)):
        clock = Clock()
        jar = CookieJar(clock=clock)
        jar.store(["a=1; Max-Age=10"], SITE)
        clock.now += 10
        assert not read(jar)


def test_a_secure_cookie_that_has_expired_protects_nothing() -> None:
    clock = Clock()
    jar = CookieJar(clock=clock)
    jar.store(["a=1; Secure; Max-Age=10"], SITE)
    clock.now += 10
    jar.store(["a=2"], PLAIN)
    assert sent(jar, PLAIN) == "a=2"


# ---- origins and addresses


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "10.0.0.1:8080"])
def test_an_unsafe_jar_accepts_addresses_for_themselves_alone(host: str) -> None:
    jar = CookieJar(unsafe=True)
    assert jar.unsafe
    url = URL(f"http://{host}/")
    jar.store(["a=1", f"b=1; Domain={url.host}", "c=1; Domain=0.0.1"], url)
    assert sent(jar, url) == "a=1; b=1"
    assert sent(jar, "http://1.127.0.0.1/") is None


@pytest.mark.parametrize(
    "origin",
    [
        "http://www.example.com",
        URL("http://www.example.com/any/path"),
        ["http://a.example", URL("http://www.example.com")],
    ],
)
def test_an_origin_can_be_treated_as_secure(origin: str | URL | list[str | URL]) -> None:
    jar = CookieJar(treat_as_secure_origin=origin)
    jar.store(["a=1; Secure"], PLAIN)
    assert sent(jar, PLAIN) == "a=1"
    assert sent(jar, "http://www.example.com:8080/dir/page") is None
    assert sent(jar, "") is None
    assert URL("http://www.example.com") in jar.treat_as_secure_origin


# ---- limits


def test_a_domain_keeps_its_secure_and_most_recently_used_cookies() -> None:
    jar = CookieJar(max_per_domain=3)
    jar.store(["old=1; Path=/z", "used=1; Path=/x", "safe=1; Path=/y; Secure"], SITE)
    assert sent(jar, "https://www.example.com/x") is not None
    jar.store(["new=1; Path=/"], SITE)
    assert [morsel.key for morsel in jar] == ["used", "safe", "new"]
    jar.store(["newer=1; Path=/", "newest=1; Path=/"], SITE)
    assert [morsel.key for morsel in jar] == ["safe", "newer", "newest"]


def test_secure_cookies_give_way_to_each_other_only() -> None:
    jar = CookieJar(max_per_domain=2)
    jar.store(["a=1; Secure", "b=1; Secure", "c=1"], SITE)
    assert [morsel.key for morsel in jar] == ["a", "b"]
    jar.store(["d=1; Secure"], SITE)
    assert [morsel.key for morsel in jar] == ["b", "d"]


def test_expired_cookies_are_evicted_first() -> None:
    clock = Clock()
    jar = CookieJar(max_per_domain=2, clock=clock)
    jar.store(["a=1", "b=1; Max-Age=10"], SITE)
    clock.now += 10
    jar.store(["c=1"], SITE)
    assert [morsel.key for morsel in jar] == ["a", "c"]


def test_a_full_jar_drops_what_was_not_used_for_longest() -> None:
    jar = CookieJar(max_total=20)
    hosts = [URL(f"https://h{number}.example/") for number in range(21)]
    for host in hosts[:20]:
        jar.store(["a=1"], host)
    assert sent(jar, hosts[0]) == "a=1"
    jar.store(["a=1"], hosts[20])
    assert [morsel["domain"] for morsel in jar] == ["h0.example", *(f"h{n}.example" for n in range(4, 21))]


@pytest.mark.parametrize("limits", [{"max_per_domain": 0}, {"max_total": 0}])
def test_limits_must_be_positive(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        CookieJar(**limits)  # type: ignore[arg-type]


# ---- aiohttp's interface


def test_the_users_cookies_go_to_every_host() -> None:
    jar = CookieJar()
    jar.update_cookies({"a": "1"})
    jar.update_cookies([("b", "2")])
    for url in ("https://www.example.com/x", "http://other.org", "http://127.0.0.1:8080/", ""):
        assert sent(jar, url) == "a=1; b=2"
        assert {name: morsel.value for name, morsel in jar.filter_cookies(URL(url)).items()} == {"a": "1", "b": "2"}


def test_the_users_cookies_for_a_domain() -> None:
    jar = CookieJar()
    cookies: SimpleCookie = SimpleCookie()
    cookies["a"] = "1"
    cookies["a"]["domain"] = ".example.com"
    cookies["a"]["max-age"] = 100
    jar.update_cookies(cookies)
    assert sent(jar, "http://www.example.com/") == "a=1"
    assert sent(jar, "http://other.org/") is None


def test_cookies_given_for_a_url_follow_its_rules() -> None:
    jar = CookieJar()
    jar.update_cookies({"a": "1"}, SITE)
    assert sent(jar, "http://www.example.com/dir/x") == "a=1"
    assert sent(jar, "http://www.example.com/") is None
    jar.update_cookies(SimpleCookie("b=1; Domain=other.org"), SITE)
    jar.update_cookies({"c": "1"}, URL("http://127.0.0.1/"))
    assert len(jar) == 1


def test_every_kind_of_loose_cookies() -> None:
    morsel: Morsel[str] = Morsel()
    morsel.set("m", "1", "1")
    simple = SimpleCookie('s="a b"; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=10')
    mixed: dict[str, str | BaseCookie[str] | Morsel[str]] = {"m": "1", "s": simple["s"]}
    every_kind: list[LooseCookies] = [
        mixed,
        [("m", morsel), ("s", simple)],
        BaseCookie({"m": morsel, "s": simple["s"]}),
    ]
    for cookies in every_kind:
        jar = CookieJar()
        jar.update_cookies(cookies, SITE)
        assert sent(jar, SITE) == 'm=1; s="a b"'
    kept = {cookie.key: cookie for cookie in jar}["s"]
    assert (kept.key, kept.value, kept.coded_value) == ("s", "a b", '"a b"')
    assert kept["secure"] is True
    assert kept["httponly"] is True
    assert (kept["samesite"], kept["path"], kept["domain"]) == ("Lax", "/", "www.example.com")
    assert kept["expires"].endswith(" GMT")


def test_cookies_for_a_request_are_written_as_it_carries_them() -> None:
    """Programs make a header of their output."""
    jar = CookieJar()
    jar.update_cookies_from_headers(["a=1; Path=/; Max-Age=9", 's="b c"; Domain=example.com; Secure; HttpOnly'], SITE)
    cookies = jar.filter_cookies(SITE)
    assert cookies.output(header="", sep=";").strip() == 'a=1; s="b c"'
    assert cookies["s"].value == "b c"
    assert {cookie.key: cookie["httponly"] for cookie in jar} == {"a": "", "s": True}


def test_the_users_values_are_quoted_where_they_need_it() -> None:
    jar = CookieJar()
    jar.update_cookies({"a": "plain", "b": "x y; z", "c": "\u00e4", "d": "line\nline"}, SITE)
    assert sent(jar, SITE) == r'a=plain; b="x y\073 z"; c="\344"; d="line\012line"'
    assert {name: morsel.value for name, morsel in jar.filter_cookies(SITE).items()}["b"] == "x y; z"
    assert jar.quote_cookie


def test_quoting_can_be_switched_off() -> None:
    jar = CookieJar(quote_cookie=False)
    jar.update_cookies({"a": "x y", "b": '"z"'}, SITE)
    jar.store(['c="q r"'], SITE)
    assert sent(jar, SITE) == 'a=x y; b="z"; c="q r"'
    assert [morsel.value for morsel in jar] == ["x y", '"z"', '"q r"']


def test_a_morsel_that_is_too_long_is_ignored_like_any_other_cookie() -> None:
    jar = CookieJar()
    morsel: Morsel[str] = Morsel()
    morsel.set("a", "x" * 4096, "x" * 4096)
    jar.update_cookies({"a": morsel}, SITE)
    assert len(jar) == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("a=b", "c"), ("a;b", "c"), ("a", "b;c"), ("a", "b\r\nc"), ("a\n", "b"), ("", ""), ("a", "\ud800\udcff")],
)
@pytest.mark.parametrize("url", [URL(), SITE])
def test_what_cannot_be_sent_is_refused(name: str, value: str, url: URL) -> None:
    """It would be another cookie, or another header."""
    jar = CookieJar(quote_cookie=False)
    with pytest.raises(ValueError, match="cannot be sent as a cookie"):
        jar.update_cookies({name: value}, url)
    assert len(jar) == 0


def test_the_first_cookie_of_a_name_is_the_one_in_a_mapping() -> None:
    jar = jar_with("a=general; Path=/", "a=special; Path=/dir")
    assert sent(jar, SITE) == "a=special; a=general"
    assert jar.filter_cookies(SITE)["a"].value == "special"


def test_names_that_the_standard_library_reserves() -> None:
    jar = jar_with("path=1; Path=/", "expires=2; Path=/")
    assert {name: morsel.value for name, morsel in jar.filter_cookies(SITE).items()} == {"path": "1", "expires": "2"}


def test_clearing() -> None:
    jar = CookieJar()
    for host in ("www.example.com", "example.com", "badexample.com", "m.www.example.com"):
        jar.store(["a=1; Path=/", "b=1; Path=/"], URL(f"https://{host}/"))
    jar.clear(lambda morsel: morsel.key == "a" and morsel["domain"] == "example.com")
    assert sent(jar, "https://example.com/") == "b=1"
    jar.clear_domain("www.example.com")
    assert {morsel["domain"] for morsel in jar} == {"example.com", "badexample.com"}
    jar.clear_domain(".Example.com")
    assert {morsel["domain"] for morsel in jar} == {"badexample.com"}
    jar.clear()
    assert len(jar) == 0
    assert sent(jar, "https://badexample.com/") is None


def test_a_tab_passes_through_though_some_versions_have_no_morsel_for_it() -> None:
    jar = jar_with("a=1\t2")
    assert sent(jar, SITE) == "a=1\t2"
    assert [morsel.coded_value for morsel in jar] in ([], ["1\t2"])


def test_loop_is_deprecated() -> None:
    for kind in (CookieJar, DummyCookieJar):
        with pytest.warns(DeprecationWarning, match="loop"):
            kind(loop=object())


def test_a_dummy_jar_keeps_nothing() -> None:
    jar = DummyCookieJar()
    assert isinstance(jar, AbstractCookieJar)
    jar.store(["a=1"], SITE)
    jar.update_cookies({"a": "1"})
    jar.update_cookies_from_headers(["a=1"], SITE)
    jar.clear()
    jar.clear_domain("example.com")
    assert len(jar) == 0
    assert not list(jar)
    assert not jar.filter_cookies(SITE)
    assert jar.cookie_header(SITE) is None


def test_the_interface_of_jars_works_for_a_jar_that_has_only_the_abstract_methods() -> None:
    """`cookie_header` and `store` of the base class, on top of ours."""
    jar = CookieJar()
    AbstractCookieJar.store(jar, ["a=1; Path=/; Secure", 'b="2 3"'], SITE)
    assert AbstractCookieJar.cookie_header(jar, SITE) == 'b="2 3"; a=1'
    assert AbstractCookieJar.cookie_header(jar, PLAIN) == 'b="2 3"'
    assert AbstractCookieJar.cookie_header(jar, URL("http://other.org")) is None


def test_set_cookie_headers_by_the_name_that_aiohttp_has_for_them() -> None:
    """`update_cookies_from_headers` keeps what `store` keeps, as it came."""
    jar = CookieJar()
    jar.update_cookies_from_headers(['a="1'], SITE)
    AbstractCookieJar.update_cookies_from_headers(jar, ["b=2", ""], SITE)
    assert jar.cookie_header(SITE) == 'a="1; b=2'


class AskedWhatIsKept(CookieJar):
    """A jar whose override changes nothing."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock=clock)
        self.given: list[Morsel[str]] = []

    def update_cookies(self, cookies: LooseCookies, response_url: URL = URL()) -> None:  # noqa: B008
        assert isinstance(cookies, SimpleCookie)
        self.given += cookies.values()
        super().update_cookies(cookies, response_url)


attributes = [
    *("Path=/", "path=x", "Max-Age=100", "Max-Age=x", "Max-Age=0", "Domain=example.com", "Domain=com", "Secure"),
    *("Expires=Wed, 09-Jun-2027 10:18:14 GMT", "Expires=never", "HttpOnly", "SameSite=None", "SameSite=odd"),
    *("Partitioned", "Priority=High", "Comment=a", f"Path=/{'p' * 1024}"),
]
odd_headers = st.lists(
    st.sampled_from(
        [*'ab=;, "\\[]{}:\t\u00e4\udcff', "a=b", "__Host-", *(f"; {attribute}" for attribute in attributes)]
    ),
    max_size=10,
).map("".join)


@given(odd_headers)
@example("a=b; Path=/; Partitioned; Priority=High")
@example('a={"x": 1}')
@example("a[b]=c")
@example("path=1; path=/")
@example("nameless")
@example("na\u00efve=\u00e9\udcff")
def test_an_override_gets_each_cookie_that_is_kept_without_it(header: str) -> None:
    clock = Clock()
    plain = CookieJar(clock=clock)
    plain.store([header], SITE)
    asked = AskedWhatIsKept(clock)
    asked.store([header], SITE)
    assert asked.dump() == plain.dump()
    assert asked.given or not plain.dump()


def test_an_override_gets_the_attributes_as_they_were_sent() -> None:
    jar = AskedWhatIsKept(Clock())
    jar.store(
        ['a="q w"; Path=/; Max-Age=60; Max-Age=soon; Secure; SameSite=Odd; Priority=High', "b=; HttpOnly=1"], SITE
    )
    first, second = jar.given
    assert (first.key, first.value, first.coded_value) == ("a", "q w", '"q w"')
    given = {"path": "/", "max-age": "60", "secure": True, "samesite": "Odd"}
    assert {key: value for key, value in first.items() if value} == given
    assert {key: value for key, value in second.items() if value} == {"httponly": True}


def test_one_name_for_several_paths_reaches_an_override_each_time() -> None:
    jar = AskedWhatIsKept(Clock())
    jar.store(["a=1; Path=/", "a=2; Path=/dir"], SITE)
    assert jar.cookie_header(SITE) == "a=2; a=1"


def test_what_a_mixin_overrides_is_asked() -> None:
    """But not before what is still closer to the jar's own class."""

    class Mixin:
        def update_cookies(self, cookies: LooseCookies, response_url: URL) -> None:
            kept = {name: value for name, value in dict(cookies).items() if name != "tracking"}
            super().update_cookies(kept, response_url)  # type: ignore[misc]

        def filter_cookies(self, request_url: URL) -> SimpleCookie:
            return SimpleCookie({**super().filter_cookies(request_url), "added": "1"})  # type: ignore[misc]

    class Jar(Mixin, CookieJar):  # type: ignore[misc]
        pass

    class Faster(Jar):
        def cookie_header(self, url: URL) -> str:
            return "fast=1"

    class Slower(Faster):
        def filter_cookies(self, request_url: URL = URL()) -> SimpleCookie:  # noqa: B008
            return SimpleCookie({"slow": "1"})

    expected: dict[type[CookieJar], str] = {Jar: "set=1; added=1", Faster: "fast=1", Slower: "slow=1"}
    for kind, header in expected.items():
        jar = kind()
        jar.store(["set=1", "tracking=1"], SITE)
        assert jar.cookie_header(SITE) == header
        assert [morsel.key for morsel in jar] == ["set"]


def test_options_of_a_subclass_reach_its_mixins() -> None:
    class Named:
        name = ""

        def __init_subclass__(cls, name: str = "", **options: object) -> None:
            super().__init_subclass__(**options)
            cls.name = name

    class Jar(CookieJar, Named, name="mine"):
        pass

    assert Jar.name == "mine"


def test_a_url_may_be_text_or_none() -> None:
    """As aiohttp's documentation has it for both methods."""
    jar = CookieJar()
    url: Any = str(SITE)
    nowhere: Any = None
    jar.update_cookies({"a": "1"}, url)
    jar.update_cookies({"b": "2"}, nowhere)
    assert set(jar.filter_cookies(url)) == {"a", "b"}
    assert jar.cookie_header(URL("http://other.org")) == "b=2"


# ---- plain data and files


@pytest.fixture
def full_jar() -> CookieJar:
    jar = jar_with(
        "a=1; Max-Age=1000; Secure; HttpOnly; SameSite=Strict",
        'b="\u00e4\udcff"; Domain=example.com; Path=/',
        "nameless",
    )
    jar.update_cookies({"everywhere": "1"})
    return jar


def test_a_jar_survives_a_file(full_jar: CookieJar, tmp_path: Path) -> None:
    path = tmp_path / "cookies.json"
    full_jar.save(path)
    other = jar_with("gone=1")
    other.load(str(path))
    assert other.dump() == full_jar.dump()
    assert sent(other, SITE) == sent(full_jar, SITE)
    other.store(["new=1; Path=/"], SITE)
    assert other.dump()[-1]["name"] == "new"


def test_a_saved_file_is_private_json_alone_in_its_folder(full_jar: CookieJar, tmp_path: Path) -> None:
    path = tmp_path / "cookies.json"
    for _ in range(2):
        full_jar.save(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["cookies.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [record["name"] for record in json.loads(path.read_bytes())["cookies"]] == ["a", "b", "", "everywhere"]


def test_a_failed_save_leaves_the_old_file(full_jar: CookieJar, tmp_path: Path) -> None:
    path = tmp_path / "cookies.json"
    path.mkdir()
    with pytest.raises(OSError):  # noqa: PT011  which one is the system's choice
        full_jar.save(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["cookies.json"]
    with pytest.raises(FileNotFoundError):
        full_jar.save(tmp_path / "missing" / "cookies.json")


def test_what_has_expired_is_not_restored(full_jar: CookieJar) -> None:
    clock = Clock()
    clock.now = 9e9
    jar = CookieJar(clock=clock)
    jar.restore(full_jar.dump())
    assert [morsel.key for morsel in jar] == ["b", "", "everywhere"]


RECORD = {
    "name": "a",
    "value": "1",
    "domain": "example.com",
    "path": "/",
    "host_only": True,
    "expires": None,
    "secure": False,
    "http_only": False,
    "same_site": "",
}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "Expecting value"),
        (pickle.dumps({"a": "1"}), "is not a cookie file"),
        (b"[]", "no list of cookies"),
        (b"[" * 100_000, "recursion"),
        (b'{"version": 1, "cookies": ' + b"[" * 100_000, "recursion"),
        (b'{"version": 2, "cookies": []}', "version 2"),
        (b'{"version": 1, "cookies": {}}', "no list of cookies"),
        *(
            (json.dumps({"version": 1, "cookies": [RECORD, record]}).encode(), complaint)
            for record, complaint in [
                (1, "has the fields"),
                ({}, "has the fields name, value"),
                ({**RECORD, "extra": 1}, "has the fields"),
                ({**RECORD, "name": 1}, "field name of a cookie must be a str"),
                ({**RECORD, "secure": 1}, "field secure of a cookie must be a bool"),
                ({**RECORD, "expires": "x"}, "field expires"),
                ({**RECORD, "expires": True}, "field expires"),
                ({**RECORD, "expires": float("nan")}, "field expires"),
                ({**RECORD, "expires": 1e300}, "field expires"),
                ({**RECORD, "value": "1\r\nHost: x"}, "cannot be sent"),
                ({**RECORD, "path": "x"}, "cannot be sent"),
                ({**RECORD, "same_site": "strict"}, "field same_site"),
            ]
        ),
    ],
)
def test_a_bad_file_is_named_and_changes_nothing(content: bytes, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "cookies.json"
    path.write_bytes(content)
    jar = jar_with("a=1")
    with pytest.raises(ValueError, match=complaint) as caught:
        jar.load(path)
    assert str(path) in str(caught.value)
    assert sent(jar, SITE) == "a=1"


@given(st.lists(st.text(), max_size=10))
def test_whatever_servers_send_can_be_saved_and_restored(headers: list[str]) -> None:
    jar = jar_with(*headers)
    other = CookieJar()
    other.restore(json.loads(json.dumps(jar.dump())))
    assert other.dump() == jar.dump()
    assert sent(other, SITE) == sent(jar, SITE)
