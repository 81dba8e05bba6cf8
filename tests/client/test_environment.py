"""What the environment says: proxies, exceptions from them, netrc."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from client import BasicAuth, ClientSession, InvalidURL, request
from client.environment import Environment, NoProxy
from tests.servers.proxy import http_proxy
from tests.sites import page, redirect, serve

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def chosen(variables: Mapping[str, str], url: str) -> str | None:
    proxy = Environment(variables).proxy_for(URL(url))
    return None if proxy is None else f"{proxy.scheme}://{proxy.host}:{proxy.port}"


@pytest.mark.parametrize(
    ("variables", "url", "proxy"),
    [
        ({}, "http://a/", None),
        ({"http_proxy": "http://p:1"}, "http://a/", "http://p:1"),
        ({"http_proxy": "http://p:1"}, "https://a/", None),
        ({"https_proxy": "http://p:1"}, "https://a/", "http://p:1"),
        ({"HTTP_PROXY": "http://P:1"}, "http://a/", "http://p:1"),
        ({"http_proxy": "http://p:1", "HTTP_PROXY": "http://q:2"}, "http://a/", "http://p:1"),
        ({"http_proxy": "p:1"}, "http://a/", "http://p:1"),
        ({"http_proxy": " http://p "}, "http://a/", "http://p:80"),
        ({"http_proxy": "https://p"}, "http://a/", "https://p:443"),
        ({"http_proxy": "socks5h://p"}, "http://a/", "socks5h://p:1080"),
        ({"all_proxy": "http://p:1"}, "http://a/", "http://p:1"),
        ({"ALL_PROXY": "http://p:1"}, "wss://a/", "http://p:1"),
        ({"all_proxy": "http://p:1", "https_proxy": "http://q:2"}, "https://a/", "http://q:2"),
        ({"all_proxy": "http://p:1", "HTTPS_PROXY": "http://q:2"}, "https://a/", "http://q:2"),
        ({"ws_proxy": "http://p:1", "http_proxy": "http://q:2"}, "ws://a/", "http://p:1"),
        ({"http_proxy": "http://q:2"}, "ws://a/", "http://q:2"),
        ({"WSS_PROXY": "http://p:1"}, "wss://a/", "http://p:1"),
        ({"https_proxy": "http://q:2"}, "wss://a/", "http://q:2"),
        ({"http_proxy": "", "HTTP_PROXY": "http://p:1", "all_proxy": "http://q:2"}, "http://a/", None),
        ({"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, "http://a/", None),
        ({"HTTP_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, "ws://a/", None),
        ({"http_proxy": "http://p:1", "REQUEST_METHOD": "GET"}, "http://a/", "http://p:1"),
        ({"HTTPS_PROXY": "http://p:1", "REQUEST_METHOD": "GET"}, "https://a/", "http://p:1"),
        ({"all_proxy": "http://p:1", "no_proxy": "a"}, "http://a/", None),
        ({"all_proxy": "http://p:1", "NO_PROXY": "a"}, "http://a/", None),
        ({"all_proxy": "http://p:1", "no_proxy": "b", "NO_PROXY": "a"}, "http://a/", "http://p:1"),
    ],
)
def test_which_variable_decides(variables: dict[str, str], url: str, proxy: str | None) -> None:
    assert chosen(variables, url) == proxy


@pytest.mark.parametrize(
    ("no_proxy", "url", "is_excepted"),
    [
        ("*", "http://anything.example/", True),
        ("a.example, *", "http://anything.example/", True),
        ("example.com", "http://example.com/", True),
        ("example.com", "http://EXAMPLE.com./", True),
        ("EXAMPLE.COM.", "http://example.com/", True),
        ("example.com", "http://www.example.com/", True),
        ("example.com", "http://notexample.com/", False),
        ("example.com", "http://example.com.evil.example/", False),
        (".example.com", "http://www.example.com/", True),
        (".example.com", "http://example.com/", True),
        ("*.example.com", "http://a.b.example.com/", True),
        ("www.example.com", "http://example.com/", False),
        ("example.com:8080", "http://example.com:8080/", True),
        ("example.com:8080", "http://example.com/", False),
        ("example.com:80", "http://example.com/", True),
        ("example.com:443", "https://www.example.com/", True),
        ("a.example,,b.example c.example\td.example", "http://c.example/", True),
        ("b\u00fccher.example", "http://b\u00fccher.example/", True),
        ("localhost", "http://localhost/", True),
        ("localhost", "http://127.0.0.1/", False),
        ("127.0.0.1", "http://127.0.0.1:8080/", True),
        ("127.0.0.1:80", "http://127.0.0.1:8080/", False),
        ("27.0.0.1", "http://127.0.0.1/", False),
        ("0.0.1", "http://127.0.0.1/", False),
        ("10.0.0.0/8", "http://10.200.3.4/", True),
        ("10.0.0.0/8", "http://11.0.0.1/", False),
        ("10.1.2.3/8", "http://10.200.3.4/", True),
        ("10.0.0.0/8:81", "http://10.200.3.4/", False),
        ("10.0.0.0/8", "http://10.example/", False),
        ("::1", "http://[::1]/", True),
        ("[::1]", "http://[::1]:8080/", True),
        ("[::1]:81", "http://[::1]:8080/", False),
        ("0:0:0:0:0:0:0:1", "http://[::1]/", True),
        ("fd00::/8", "http://[fd12::3]/", True),
        ("fd00::/8", "http://[fe80::1]/", False),
        ("10.0.0.0/99, http://a.example, [, ., :80, a:b:c", "http://a.example/", False),
        ("", "http://a.example/", False),
    ],
)
def test_exceptions(no_proxy: str, url: str, is_excepted: bool) -> None:
    assert (chosen({"all_proxy": "http://p:1", "no_proxy": no_proxy}, url) is None) == is_excepted


@given(st.text(), st.text(min_size=1), st.integers(0, 65535))
def test_whatever_stands_in_no_proxy_can_be_read(text: str, host: str, port: int) -> None:
    assert NoProxy(text).matches(host, port) in (True, False)


@given(st.ip_addresses(), st.integers(0, 32), st.ip_addresses(v=4))
def test_ranges_are_those_of_ipaddress(host: object, prefix: int, network: object) -> None:
    text = f"{network}/{prefix}"
    assert NoProxy(text).matches(str(host), 80) == (ip_address(str(host)) in ip_network(text, strict=False))


def test_changes_count_from_the_next_request_on() -> None:
    variables = {"http_proxy": "http://p:1"}
    environment = Environment(variables)
    url = URL("http://a.example/")
    first = environment.proxy_for(url)
    assert first is not None
    assert environment.proxy_for(url) is first
    variables["http_proxy"] = "http://q:2"
    second = environment.proxy_for(url)
    assert second is not None
    assert second.host == "q"
    variables["no_proxy"] = "a.example"
    assert environment.proxy_for(url) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("ftp://me:secret@p:1", "not the URL of a proxy"),
        ("http://me:secret@:1", "not the URL of a proxy|has a host"),
        ("me:secret@p:port", "not the URL of a proxy"),
        ("socks4://me:secret@p", "no password"),
    ],
)
def test_a_variable_that_makes_no_sense_is_named(value: str, text: str) -> None:
    """Without the password: errors end up in logs."""
    with pytest.raises(InvalidURL, match=text) as caught:
        chosen({"all_proxy": value}, "http://a/")
    assert "all_proxy in the environment" in str(caught.value)
    assert "secret" not in f"{caught.value} {caught.value!r} {caught.value.args}"


@pytest.fixture
def netrc_file(tmp_path: Path) -> Path:
    file = tmp_path / "netrc"
    file.write_text("machine p login you password theirs\nmachine 127.0.0.1 login me password secret\n")
    return file


async def test_netrc_has_credentials_for_proxies(netrc_file: Path) -> None:
    environment = Environment({"NETRC": str(netrc_file), "http_proxy": "p:1", "https_proxy": "http://a:b@p:1"})
    await environment.load()
    netrc_file.unlink()  # it is read once
    await environment.load()
    plain, secure = (environment.proxy_for(URL(f"{scheme}://a/")) for scheme in ("http", "https"))
    assert plain is not None
    assert plain.auth == BasicAuth("you", "theirs", "utf-8")
    assert secure is not None
    assert secure.auth == BasicAuth("a", "b", "utf-8")


async def test_netrc_does_not_give_socks_4_a_password(netrc_file: Path) -> None:
    environment = Environment({"NETRC": str(netrc_file), "all_proxy": "socks4://p"})
    await environment.load()
    proxy = environment.proxy_for(URL("http://a/"))
    assert proxy is not None
    assert proxy.auth is None


# -- in a session ------------------------------------------------------------------------------------------------------


async def test_a_session_that_trusts_it_goes_through_its_proxies() -> None:
    async with serve({"/": page("Home")}) as site, http_proxy() as proxy:
        for trust, expected in ((False, 0), ({"http_proxy": proxy.url}, 1), ({}, 1)):
            async with ClientSession(trust_env=trust) as session:
                assert session.trust_env == (trust is not False)
                async with session.get(f"{site.url}/") as response:
                    assert response.status == 200
            assert len(proxy.log) == expected


async def test_true_reads_that_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve({"/": page("Home")}) as site, http_proxy() as proxy, ClientSession(trust_env=True) as session:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        async with session.get(f"{site.url}/") as response:
            assert response.status == 200
        assert [asked.target for asked in proxy.log] == [f"{site.url}/"]


async def test_a_single_request_can_trust_it() -> None:
    async with serve({"/": page("Home")}) as site, http_proxy() as proxy:
        async with request("GET", f"{site.url}/", trust_env={"http_proxy": proxy.url}) as response:
            assert response.status == 200
        assert len(proxy.log) == 1


async def test_a_redirect_is_asked_for_anew() -> None:
    """From a host that has the proxy to one that is excepted, and back."""
    async with (
        http_proxy(names={"a.example": "127.0.0.1"}) as proxy,
        serve({"/": page("End")}) as end,
        serve({"/direct": redirect(f"http://a.example:{end.port}/")}) as middle,
        serve({"/": redirect(f"{middle.url}/direct")}) as start,
        ClientSession(
            trust_env={"http_proxy": proxy.url.replace("//", "//me:secret@"), "no_proxy": "127.0.0.1"}
        ) as session,
        session.get(f"http://a.example:{start.port}/") as response,
    ):
        assert response.status == 200
        assert [asked.target for asked in proxy.log] == [str(each.url) for each in (response.history[0], response)]
        assert middle.paths == ["/direct"]
        for site in (start, middle, end):
            assert "proxy-authorization" not in site.log[0].headers


async def test_netrc_has_credentials_for_origins(netrc_file: Path) -> None:
    """For requests that bring none; and each host of a chain of redirects gets its own."""
    netrc = {"NETRC": str(netrc_file)}
    async with serve({"/": page("Home")}) as site:
        async with ClientSession(trust_env=netrc) as session:
            await session.get(f"{site.url}/")
            await session.get(f"{site.url}/", auth=BasicAuth("other", "x"))
            await session.get(f"{site.url}/", headers={"Authorization": "Mine"})
            await session.get(f"{site.url}/".replace("//", "//in:url@"))
        async with ClientSession(trust_env=netrc, headers={"Authorization": "Ours"}) as session:
            await session.get(f"{site.url}/")
        async with ClientSession() as session:
            await session.get(f"{site.url}/")
    assert [visit.headers.get("authorization") for visit in site.log] == [
        BasicAuth("me", "secret").encode(),
        BasicAuth("other", "x").encode(),
        "Mine",
        BasicAuth("in", "url").encode(),
        "Ours",
        None,
    ]


async def test_netrc_credentials_stay_with_their_host(netrc_file: Path) -> None:
    async with (
        serve({"/": page("Elsewhere"), "/back": page("Back")}) as other,
        http_proxy(names={"a.example": "127.0.0.1"}) as proxy,
        serve({"/": redirect(f"http://a.example:{other.port}/")}) as site,
        ClientSession(trust_env={"NETRC": str(netrc_file), "http_proxy": proxy.url}) as session,
    ):
        await session.get(f"{site.url}/")
        assert site.log[0].headers["authorization"] == BasicAuth("me", "secret").encode()
        assert "authorization" not in other.log[0].headers
