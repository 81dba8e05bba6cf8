"""Which proxy is meant, and what may be said to it."""

from __future__ import annotations

import pytest
from yarl import URL

from client import BasicAuth, InvalidURL
from client.proxies import Proxy, always, by_scheme, first_of, schemes_for, telling, without_credentials

AUTH = BasicAuth("me", "secret")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://p", ("http", "p", 80)),
        ("http://P:3128/", ("http", "p", 3128)),
        ("https://p", ("https", "p", 443)),
        ("socks4://p", ("socks4", "p", 1080)),
        ("socks4a://p", ("socks4a", "p", 1080)),
        ("socks5://p", ("socks5", "p", 1080)),
        ("SOCKS5h://p:9050", ("socks5h", "p", 9050)),
        ("http://[2001:db8::1]:1", ("http", "2001:db8::1", 1)),
        ("http://b\u00fccher.example", ("http", "xn--bcher-kva.example", 80)),
    ],
)
def test_where_a_proxy_is(url: str, expected: tuple[str, str, int]) -> None:
    assert Proxy.of(url)[:3] == expected
    assert Proxy.of(URL(url)) == Proxy.of(url)


@pytest.mark.parametrize(
    ("url", "given", "expected"),
    [
        ("http://p", None, None),
        ("http://p", AUTH, AUTH),
        ("http://me:s%65cret%40@p", None, BasicAuth("me", "secret@", "utf-8")),
        ("http://me@p", None, BasicAuth("me", "", "utf-8")),
        ("http://%C3%BC:%C3%9F@p", None, BasicAuth("\u00fc", "\u00df", "utf-8")),
        ("http://you:theirs@p", AUTH, AUTH),
        ("socks4://me@p", None, BasicAuth("me", "", "utf-8")),
        ("socks5://me:secret@p", None, BasicAuth("me", "secret", "utf-8")),
    ],
)
def test_who_we_are(url: str, given: BasicAuth | None, expected: BasicAuth | None) -> None:
    assert Proxy.of(url, given).auth == expected


@pytest.mark.parametrize(
    "url", ["", "p", "p:80", "//p", "ftp://p:21", "http://", "http://p:port", "http:p", "socks://p"]
)
def test_what_is_no_proxy(url: str) -> None:
    with pytest.raises(InvalidURL, match=r"the URL of a proxy"):
        Proxy.of(url)


@pytest.mark.parametrize("url", ["proxy:3128", "proxy.example", "me:secret@192.0.2.1:3128"])
def test_a_proxy_without_a_scheme_is_told_what_to_write(url: str) -> None:
    host = url.rpartition("@")[2]
    with pytest.raises(InvalidURL) as caught:
        Proxy.of(url)
    assert f"; write http://{host} " in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "auth", "headers", "text"),
    [
        ("http://p", AUTH, {"proxy-authorization": "Mine"}, "not both"),
        ("http://a:b@p", None, {"Proxy-Authorization": "Mine"}, "not both"),
        ("http://p", None, {"X": "a\r\nb"}, "a line break"),
        ("http://p", None, {"X y": "z"}, "not a header name"),
        ("http://p", None, {"host": "other"}, "not only for the proxy"),
        ("http://p", None, {"Content-Length": "5"}, "not only for the proxy"),
        ("http://p", None, {"transfer-encoding": "chunked"}, "not only for the proxy"),
        ("socks5://p", None, {"X": "y"}, "no headers"),
        ("socks4://p", AUTH, {}, "no password"),
        ("socks4a://a%00b@p", None, {}, "without NUL"),
        ("socks5://p", BasicAuth("", "x"), {}, "at most 255 bytes"),
        ("socks5://p", BasicAuth("x" * 256), {}, "at most 255 bytes"),
        ("socks5://p", BasicAuth("x", "\u00fc" * 128, "utf-8"), {}, "at most 255 bytes"),
        ("http://p", BasicAuth("\u2603"), {}, "latin-1"),
    ],
)
def test_what_a_proxy_cannot_be_told(url: str, auth: BasicAuth | None, headers: dict[str, str], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Proxy.of(url, auth, headers)


def test_what_an_http_proxy_is_told() -> None:
    proxy = Proxy.of("http://p", AUTH, [("X", "1"), ("X", "2")])
    assert proxy.header_lines() == f"X: 1\r\nX: 2\r\nProxy-Authorization: {AUTH.encode()}\r\n"
    assert Proxy.of("http://p").header_lines() == ""


def test_secrets_are_not_shown() -> None:
    """Errors quote keys of connections, and those hold proxies."""
    proxy = Proxy.of("http://me:secret@p", headers={"X-Token": "hidden"})
    assert repr(proxy) == "<Proxy http://p:80>"
    for url in (
        URL("http://me:secret@p:port", encoded=True),
        "http://me:secret@[]]@",
        "http://me:secret@p:port",
        "me:secret@p",
        "ftp://me:secret@p",
        "http://me:sec/ret@p:x",
    ):
        with pytest.raises(InvalidURL) as caught:
            Proxy.of(url)
        assert "ret" not in f"{caught.value} {caught.value!r} {caught.value.args}", url
    assert without_credentials("http://p:1/x") == "http://p:1/x"


@pytest.mark.parametrize(
    ("scheme", "forwards", "resolves"),
    [
        ("http", True, True),
        ("https", True, True),
        ("socks4", False, False),
        ("socks4a", False, True),
        ("socks5", False, False),
        ("socks5h", False, True),
    ],
)
def test_who_asks_the_origin_and_who_resolves_its_name(scheme: str, forwards: bool, resolves: bool) -> None:
    proxy = Proxy.of(f"{scheme}://p")
    assert proxy.forwards("http") == forwards
    assert not any(proxy.forwards(each) for each in ("https", "ws", "wss"))
    assert proxy.resolves_names == resolves
    assert proxy.is_ssl == (scheme == "https")


# -- choosing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://a", ("http", "all")),
        ("https://a", ("https", "all")),
        ("ws://a", ("ws", "http", "all")),
        ("wss://a", ("wss", "https", "all")),
    ],
)
def test_the_words_for_a_url(url: str, words: tuple[str, ...]) -> None:
    assert schemes_for(URL(url)) == words


def test_choosing_by_scheme() -> None:
    choose = by_scheme({"http": "http://p", "wss": URL("http://q")})
    hosts = {
        url: proxy and proxy.host
        for url in ("http://a", "https://a", "ws://a", "wss://a")
        for proxy in [choose(URL(url))]
    }
    assert hosts == {"http://a": "p", "https://a": None, "ws://a": "p", "wss://a": "q"}


def test_a_scheme_that_nobody_will_look_for() -> None:
    with pytest.raises(ValueError, match="not https://"):
        by_scheme({"https://": "http://p"})


def test_the_first_choice_that_is_made_counts() -> None:
    first, second = by_scheme({"http": "http://p"}), always(Proxy.of("http://q"))
    choose = first_of([first, second])
    assert choose is not None
    assert [choose(URL(url)) for url in ("http://a", "https://a")] == [Proxy.of("http://p"), Proxy.of("http://q")]
    assert first_of([]) is None


def test_telling_the_chosen_one_more() -> None:
    given = Proxy.of("http://you:theirs@p", headers={"X": "1"})
    for auth, headers, expected in (
        (AUTH, {}, Proxy.of("http://p", AUTH, {"X": "1"})),
        (None, {"X": "2"}, Proxy.of("http://you:theirs@p", headers={"X": "2"})),
        (None, None, given),
    ):
        choose = telling(always(given), auth, headers)
        assert choose is not None
        assert choose(URL("http://a")) == expected
    assert telling(None, AUTH, None) is None
    nothing = telling(by_scheme({}), AUTH, None)
    assert nothing is not None
    assert nothing(URL("http://a")) is None
