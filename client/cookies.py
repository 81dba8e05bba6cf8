"""The cookie jar: which cookies are accepted, and which are sent with a request (RFC 6265bis §5.7 and §5.8).

Departures from the standard, each on purpose:

- There are no pages here, so no request is cross-site: SameSite is recorded, and only its rule about Secure applies.
- Hosts given by address get no cookies unless the jar is `unsafe`, as in aiohttp.
- A Cookie header is kept to the length that servers read (`MAX_HEADER_BYTES`): the least specific cookies are left out.
- Cookies that the *user* gives without a URL are sent to every host, or to their Domain, which is not checked, as in aiohttp.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.cookies import BaseCookie, Morsel, SimpleCookie
from os import PathLike
from pathlib import Path
from typing import Final

from yarl import URL

from client.abc import AbstractCookieJar, ClearCookiePredicate, CookieValue, LooseCookies
from client.cookie_file import CookieRecord, from_record, read_cookie_file, to_record, write_cookie_file
from client.cookie_policy import accept_cookie, cookie_for
from client.cookie_store import Cookie, CookieStore
from client.fields import check_value
from client.overriding import is_overridden
from client.set_cookie import SetCookie, is_ip_address, is_unfit, morsel_with, octets, parse_set_cookie

__all__ = ["CookieJar", "DummyCookieJar"]

MAX_PER_DOMAIN: Final = 180
MAX_TOTAL: Final = 3300
"""The limits of Chromium and aiohttp; the standard demands at least 50 and 3000."""

MAX_HEADER_BYTES: Final = 8190
"""The longest header line that Apache httpd reads by default; nginx reads 8192."""

_CODER: Final[SimpleCookie] = SimpleCookie()


def _now() -> float:
    """Look `time.time` up at each call, so that tests can replace it."""
    return time.time()


class CookieJar(AbstractCookieJar):
    """Keeps cookies in memory, by RFC 6265bis.

    `unsafe` accepts cookies from hosts given by address. With `quote_cookie`, values that the *user* gives are quoted if they
    hold characters that are unsafe in a Cookie header; cookies from servers are kept and sent back unchanged.
    `treat_as_secure_origin` names origins that count as secure although their scheme is not. `clock` returns the UTC epoch
    time in seconds. `loop` is deprecated and ignored.

    A subclass may override `update_cookies` and `filter_cookies`, to see which cookies are stored and decide which are sent.
    """

    def __init__(
        self,
        *,
        unsafe: bool = False,
        quote_cookie: bool = True,
        treat_as_secure_origin: str | URL | Iterable[str | URL] | None = None,
        loop: object = None,
        max_per_domain: int = MAX_PER_DOMAIN,
        max_total: int = MAX_TOTAL,
        clock: Callable[[], float] = _now,
    ) -> None:
        super().__init__(loop=loop)
        self._unsafe = unsafe
        self._quote_cookie = quote_cookie
        self._secure_origins = _origins(treat_as_secure_origin)
        self._store = CookieStore(max_per_domain=max_per_domain, max_total=max_total)
        self._clock = clock

    @property
    def unsafe(self) -> bool:
        return self._unsafe

    @property
    def quote_cookie(self) -> bool:
        return self._quote_cookie

    @property
    def treat_as_secure_origin(self) -> frozenset[URL]:
        return self._secure_origins

    def __init_subclass__(cls, **options: object) -> None:
        """If a subclass overrides aiohttp's methods, have sessions use these, not the faster ones of this class."""
        super().__init_subclass__(**options)
        if is_overridden(cls, "filter_cookies", since="cookie_header"):
            cls.cookie_header = AbstractCookieJar.cookie_header  # type: ignore[method-assign]
        if is_overridden(cls, "update_cookies", since="update_cookies_from_headers"):
            cls.update_cookies_from_headers = AbstractCookieJar.update_cookies_from_headers  # type: ignore[method-assign]

    # ---- cookies out

    def cookie_header(self, url: URL) -> str | None:
        """Return the value of the Cookie header for a request to `url`, or None if no cookie matches."""
        if not self._store.size:
            return None
        cookies = self._matching(url)
        header = "; ".join(map(_pair, cookies))
        if octets(header) > MAX_HEADER_BYTES:
            header = "; ".join(map(_pair, _fitting(cookies)))
        return header or None

    def filter_cookies(self, request_url: URL = URL()) -> BaseCookie[str]:  # noqa: B008  a URL never changes
        """Return the cookies for a request to `request_url`, in the order to send them, and without attributes, as they are sent.

        If several have the same name, the mapping only holds the one to send first. Without a URL, these are the cookies for
        every host.
        """
        cookies: BaseCookie[str] = SimpleCookie() if self._quote_cookie else BaseCookie()
        for cookie in _fitting(self._matching(URL(request_url))):
            if cookie.name not in cookies and (morsel := self._bare_morsel(cookie)) is not None:
                cookies[cookie.name] = morsel
        return cookies

    def __iter__(self) -> Iterator[Morsel[str]]:
        self._store.expire(self._clock())
        return (morsel for cookie in self._store if (morsel := self._morsel(cookie)) is not None)

    def __len__(self) -> int:
        self._store.expire(self._clock())
        return self._store.size

    def dump(self) -> list[CookieRecord]:
        """Return all cookies as plain data, ready for JSON, in the order of creation."""
        self._store.expire(self._clock())
        return [to_record(cookie) for cookie in self._store]

    def save(self, file_path: str | PathLike[str]) -> None:
        """Write all cookies to a JSON file that only its owner can read. An existing file is replaced atomically.

        This blocks until the file is safely on disk. Raises OSError.
        """
        write_cookie_file(Path(file_path), self.dump())

    def _matching(self, url: URL) -> list[Cookie]:
        self._store.expire(self._clock())
        host = url.raw_host or ""
        if not self._accepts(host):
            host = ""  # this leaves the cookies for every host
        return self._store.matching(host, url.raw_path or "/", secure=self._is_secure(url))

    def _morsel(self, cookie: Cookie) -> Morsel[str] | None:
        """Return a cookie as a `Morsel`, or None if the standard library refuses it (a tab, in some versions)."""
        from email.utils import formatdate

        morsel = self._bare_morsel(cookie)
        if morsel is None:  # pragma: no cover  only in versions that refuse tabs
            return None
        morsel["domain"] = cookie.domain
        morsel["path"] = cookie.path
        morsel["expires"] = "" if cookie.expires is None else formatdate(cookie.expires, usegmt=True)
        morsel["secure"] = cookie.secure or ""
        morsel["httponly"] = cookie.http_only or ""
        morsel["samesite"] = cookie.same_site
        return morsel

    def _bare_morsel(self, cookie: Cookie) -> Morsel[str] | None:
        """Return the same without attributes."""
        value = _CODER.value_decode(cookie.value)[0] if self._quote_cookie else cookie.value
        return morsel_with(cookie.name, value, cookie.value)

    # ---- cookies in

    def update_cookies_from_headers(self, headers: Iterable[str], response_url: URL) -> None:
        """Store the cookies of a response's Set-Cookie headers, except those that the standard says to ignore."""
        now = self._clock()
        self._store.expire(now)
        for value in headers:
            if (received := parse_set_cookie(value, now=now)) is not None:
                self._receive(received, response_url, now)

    def update_cookies(self, cookies: LooseCookies, response_url: URL = URL()) -> None:  # noqa: B008
        """Store cookies as if `response_url` had set them; without it, as the user's own, for every host.

        Raises ValueError for a name or value given as text that cannot be sent in a cookie.
        """
        response_url = URL(response_url or "")  # older documentation allows None and text
        now = self._clock()
        self._store.expire(now)
        pairs = cookies.items() if isinstance(cookies, Mapping) else cookies
        for name, value in pairs:
            for received in self._given(name, value, now):
                if response_url.raw_host is None:
                    self._store.put(cookie_for(received, received.domain, received.path or "/", host_only=False), now)
                else:
                    self._receive(received, response_url, now)

    def restore(self, records: Iterable[object]) -> None:
        """Replace all cookies by those of `dump`, except those that have expired since.

        Raises ValueError, and leaves the jar unchanged, if `dump` could not have made one of the records.
        """
        cookies = [from_record(record) for record in records]
        now = self._clock()
        self._store.clear()
        for cookie in cookies:
            self._store.put(cookie, now)

    def watch(self, on_change: Callable[[CookieRecord, int | None], None]) -> None:
        """From now on, call `on_change` with the record of each cookie that is added or changed, and its place in the order of
        creation; or that is removed, and None."""
        self._store.on_change = lambda cookie, is_gone: on_change(
            to_record(cookie), None if is_gone else cookie.created
        )

    def load(self, file_path: str | PathLike[str]) -> None:
        """Replace all cookies by those of a file that `save` wrote. This blocks while it reads the disk.

        Raises OSError, and ValueError if it is not such a file; then the jar is unchanged.
        """
        path = Path(file_path)
        records = read_cookie_file(path)
        try:
            self.restore(records)
        except ValueError as error:
            raise ValueError(f"{path} is not a cookie file: {error}") from error

    def clear(self, predicate: ClearCookiePredicate | None = None) -> None:
        """Remove every cookie, or those for which `predicate` is true."""
        if predicate is None:
            self._store.clear()
            return
        for cookie in self._store:
            morsel = self._morsel(cookie)
            if morsel is not None and predicate(morsel):
                self._store.remove(cookie)

    def clear_domain(self, domain: str) -> None:
        """Remove the cookies of a domain and of the domains below it."""
        for cookie in self._store.within(domain.removeprefix(".").lower()):
            self._store.remove(cookie)

    def _given(self, name: str, value: CookieValue, now: float) -> Iterator[SetCookie]:
        """Yield the cookies that the user gave under `name`, as if a server had sent them."""
        if isinstance(value, BaseCookie):
            for morsel in value.values():
                yield from self._given(name, morsel, now)
        elif isinstance(value, Morsel):
            if (received := parse_set_cookie(value.OutputString(), now=now)) is not None:
                yield received
        else:
            coded = _CODER.value_encode(value)[1] if self._quote_cookie else str(value)
            if is_unfit(name + coded) or "=" in name or ";" in name + coded or not name + coded:
                raise ValueError(f"{name!r} with {value!r} cannot be sent as a cookie")
            yield SetCookie(name=name, value=coded)

    def _receive(self, received: SetCookie, url: URL, now: float) -> None:
        """Store a cookie that `url` sent, if the standard's storage model accepts it."""
        host = url.raw_host
        if not host or not self._accepts(host):
            return
        is_secure = self._is_secure(url)
        cookie = accept_cookie(received, host=host, path=url.raw_path, is_secure=is_secure)
        if cookie is None or (not is_secure and self._store.overlays_secure(cookie)):
            return
        self._store.put(cookie, now)

    def _accepts(self, host: str) -> bool:
        return self._unsafe or not is_ip_address(host)

    def _is_secure(self, url: URL) -> bool:
        if url.scheme in ("https", "wss"):
            return True
        return bool(self._secure_origins) and url.absolute and url.origin() in self._secure_origins


def header_for(cookies: LooseCookies, url: URL, jar: AbstractCookieJar) -> str | None:
    """Return the cookies of one call as the value of a Cookie header, by the settings of the session's jar.

    Morsels are sent under their own name, and only where their attributes allow it, so those of a response may be given
    unchanged. Values are quoted where necessary, if the jar does so. Raises `ValueError` for cookies that cannot be sent.
    """
    own = CookieJar(
        quote_cookie=getattr(jar, "quote_cookie", True),
        treat_as_secure_origin=getattr(jar, "treat_as_secure_origin", None),
        max_per_domain=sys.maxsize,
        max_total=sys.maxsize,
    )
    pairs = list(cookies.items() if isinstance(cookies, Mapping) else cookies)
    for _, value in pairs:
        if isinstance(value, Morsel):
            check_value("Cookie", value.coded_value)  # a Morsel may hold anything
    own.update_cookies(pairs)
    return "; ".join(map(_pair, own._matching(url))) or None


class DummyCookieJar(AbstractCookieJar):
    """Keeps no cookies and sends none."""

    def clear(self, predicate: ClearCookiePredicate | None = None) -> None:
        """Do nothing: there are no cookies."""

    def clear_domain(self, domain: str) -> None:
        """Do nothing: there are no cookies."""

    def update_cookies(self, cookies: LooseCookies, response_url: URL = URL()) -> None:  # noqa: B008
        """Ignore the cookies."""

    def filter_cookies(self, request_url: URL = URL()) -> BaseCookie[str]:  # noqa: B008
        """Return no cookies."""
        return SimpleCookie()

    def cookie_header(self, url: URL) -> str | None:
        """Return None."""
        return None

    def update_cookies_from_headers(self, headers: Iterable[str], response_url: URL) -> None:
        """Ignore the cookies."""

    def __iter__(self) -> Iterator[Morsel[str]]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _origins(given: str | URL | Iterable[str | URL] | None) -> frozenset[URL]:
    if given is None:
        return frozenset()
    urls = [given] if isinstance(given, (str, URL)) else given
    return frozenset(URL(url).origin() for url in urls)


def _pair(cookie: Cookie) -> str:
    """Serialize a cookie (§5.8.3 step 4)."""
    return f"{cookie.name}={cookie.value}" if cookie.name else cookie.value


def _fitting(cookies: list[Cookie]) -> list[Cookie]:
    """Return the cookies for which a header has room, in order."""
    room = MAX_HEADER_BYTES + 2  # the last one has no separator after it
    fitting = []
    for cookie in cookies:
        size = octets(_pair(cookie)) + 2
        if size <= room:
            room -= size
            fitting.append(cookie)
    return fitting
