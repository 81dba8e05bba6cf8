"""Cookie jars, filled by httpbin."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from yarl import URL

from client import AbstractCookieJar, ClientSession, CookieJar, DummyCookieJar
from tests.client.reference.seen import seen
from tests.client.reference.table import exercises

if TYPE_CHECKING:
    from pathlib import Path


def _named(url: str) -> str:
    """The same server, by name: hosts that have only addresses get no cookies."""
    return url.replace("127.0.0.1", "localhost")


async def _receive(jar: AbstractCookieJar, httpbin: str, *cookies: str) -> None:
    """Have a server set cookies."""
    async with ClientSession(cookie_jar=jar) as session:
        for cookie in cookies:
            async with session.get(f"{_named(httpbin)}response-headers", params={"Set-Cookie": cookie}) as response:
                await response.read()


async def _sent(jar: AbstractCookieJar, asgi: str) -> str | None:
    """What the jar has for another port of that host."""
    async with ClientSession(cookie_jar=jar) as session, session.get(f"{_named(asgi)}echo") as response:
        return (await seen(response)).headers.get("Cookie")


def _names(jar: AbstractCookieJar) -> set[str]:
    return {cookie.key for cookie in jar}


@exercises("CookieJar", "AbstractCookieJar", "CookieJar.filter_cookies")
async def test_cookies_are_received_and_sent(httpbin: str, asgi: str) -> None:
    jar = CookieJar()
    assert isinstance(jar, AbstractCookieJar)
    await _receive(jar, httpbin, "a=1; Path=/", "b=2; Path=/elsewhere", "c=3; Max-Age=0")
    assert await _sent(jar, asgi) == "a=1"
    assert set(jar.filter_cookies(URL("http://localhost/elsewhere"))) == {"a", "b"}
    assert len(jar) == 2


@exercises("CookieJar(unsafe)", "CookieJar.unsafe")
@pytest.mark.parametrize("unsafe", [True, False])
async def test_hosts_without_a_name_get_no_cookies(httpbin: str, unsafe: bool) -> None:
    jar = CookieJar(unsafe=unsafe)
    assert jar.unsafe is unsafe
    async with ClientSession(cookie_jar=jar) as session, session.get(f"{httpbin}cookies/set?a=1") as response:
        assert (await response.json())["cookies"] == ({"a": "1"} if unsafe else {})


@exercises("CookieJar(quote_cookie)", "CookieJar.quote_cookie", "CookieJar.update_cookies")
@pytest.mark.parametrize(("quotes", "sent"), [(True, 'a="b c"'), (False, "a=b c")])
async def test_values_of_the_users_are_quoted(asgi: str, quotes: bool, sent: str) -> None:
    jar = CookieJar(quote_cookie=quotes)
    assert jar.quote_cookie is quotes
    jar.update_cookies({"a": "b c"}, URL("http://localhost/"))
    assert await _sent(jar, asgi) == sent


@exercises("CookieJar(treat_as_secure_origin)", "CookieJar.treat_as_secure_origin")
async def test_an_origin_can_be_declared_secure(httpbin: str) -> None:
    origin = URL(_named(httpbin)).origin()
    trusting, usual = CookieJar(treat_as_secure_origin=origin), CookieJar()
    assert trusting.treat_as_secure_origin == {origin}
    for jar in (trusting, usual):
        await _receive(jar, httpbin, "a=1; Secure")
    assert (len(trusting), len(usual)) == (1, 0)


@exercises("CookieJar(max_per_domain)", "CookieJar(max_total)")
@pytest.mark.parametrize("jar", [CookieJar(max_per_domain=2), CookieJar(max_total=2)], ids=["domain", "total"])
async def test_so_many_cookies_are_kept(httpbin: str, jar: CookieJar) -> None:
    await _receive(jar, httpbin, "a=1", "b=2", "c=3")
    assert len(jar) <= 2
    assert "c" in _names(jar)


@exercises("CookieJar(clock)")
async def test_cookies_expire_by_the_given_clock(httpbin: str) -> None:
    now = 1_000_000.0
    jar = CookieJar(clock=lambda: now)
    await _receive(jar, httpbin, "a=1; Max-Age=60")
    assert len(jar) == 1
    now += 60
    assert len(jar) == 0


@exercises("CookieJar(loop)")
async def test_a_jar_needs_no_loop() -> None:
    with pytest.warns(DeprecationWarning, match="loop"):
        assert len(CookieJar(loop=asyncio.get_running_loop())) == 0


@exercises("CookieJar.clear", "CookieJar.clear_domain")
async def test_cookies_can_be_removed(httpbin: str) -> None:
    jar = CookieJar()
    await _receive(jar, httpbin, "a=1", "b=2")
    jar.update_cookies({"c": "3"}, URL("http://site.example/"))
    jar.clear(lambda cookie: cookie.key == "a")
    assert _names(jar) == {"b", "c"}
    jar.clear_domain("localhost")
    assert _names(jar) == {"c"}
    jar.clear()
    assert not _names(jar)


@exercises("CookieJar.save", "CookieJar.load")
async def test_cookies_can_be_saved_and_loaded(httpbin: str, asgi: str, tmp_path: Path) -> None:
    jar, other = CookieJar(), CookieJar()
    await _receive(jar, httpbin, "a=1; Path=/")
    jar.save(tmp_path / "cookies.json")
    other.load(tmp_path / "cookies.json")
    assert await _sent(other, asgi) == "a=1"


@exercises("DummyCookieJar")
async def test_a_jar_may_keep_nothing(httpbin: str, asgi: str) -> None:
    jar = DummyCookieJar()
    await _receive(jar, httpbin, "a=1; Path=/")
    assert await _sent(jar, asgi) is None
