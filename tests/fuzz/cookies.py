"""Set-Cookie headers into one jar for the whole run, and Cookie headers out of it."""

import json
from random import Random

from yarl import URL

from client.cookies import MAX_HEADER_BYTES, CookieJar
from client.set_cookie import MAX_AGE_SECONDS, MAX_PAIR_BYTES, octets, parse_set_cookie
from tests.fuzz.text import header

_WORDS = [
    *("a=", "b=1", "=", ";", "; ", ",", '"', " ", "\t", "__Host-x=1", "__Secure-", "name", "value"),
    *("Expires=", "Max-Age=", "Domain=", "Path=", "Secure", "HttpOnly", "SameSite=", "sAmEsItE=none", "Path=/"),
    *("Wed, 21 Oct 2026 07:28:00 GMT", "21-Oct-26", "07:28:00", "1601", "9999", "Feb 30", "0", "-1", "99999999999999999999"),
    *("example.com", ".example.com", "www.", "com", "co.uk", "127.0.0.1", "xn--", "/", "/dir", "None", "Lax"),
]  # fmt: skip
_URLS = [
    URL(f"{scheme}://{host}{path}")
    for scheme in ("http", "https")
    for host in (
        "example.com",
        "www.example.com",
        "a.www.example.com",
        "example.co.uk",
        "127.0.0.1",
        "[::1]",
        "localhost",
    )
    for path in ("", "/dir/", "/dir/page?q")
]


class Target:
    """The jar is small, so that it is always full, and its clock runs fast, so that cookies expire."""

    def __init__(self) -> None:
        self._now = 1.8e9
        self._jar = CookieJar(unsafe=True, max_per_domain=20, max_total=60, clock=lambda: self._now)

    def execute(self, random: Random) -> None:
        self._now += random.expovariate(1 / 1000)
        value, url = header(random, _WORDS), random.choice(_URLS)
        cookie = parse_set_cookie(value, now=self._now)
        if cookie is not None:
            assert cookie.name or cookie.value
            assert octets(cookie.name) + octets(cookie.value) <= MAX_PAIR_BYTES
            assert cookie.expires is None or cookie.expires <= self._now + MAX_AGE_SECONDS
        self._jar.store([value], url)
        assert len(self._jar) <= 60
        sent = self._jar.cookie_header(random.choice(_URLS))
        assert sent is None or (0 < octets(sent) <= MAX_HEADER_BYTES and not set(sent) & set("\r\n\0"))
        if random.random() < 0.001:
            records = self._jar.dump()
            self._jar.restore(json.loads(json.dumps(records)))
            assert self._jar.dump() == records
            assert len(list(self._jar)) <= len(records)
