"""The interfaces that users of the client may implement themselves: the cookie jar and the resolver."""

import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.cookies import BaseCookie, Morsel, SimpleCookie
from typing import Any, TypedDict

from yarl import URL

from client.deprecation import deprecated
from client.set_cookie import parse_morsel

CookieValue = str | BaseCookie[str] | Morsel[Any]
LooseCookies = Mapping[str, CookieValue] | Iterable[tuple[str, CookieValue]] | BaseCookie[str]
"""Cookies as callers may give them: a mapping or pairs of name to value or `Morsel`, or a `SimpleCookie`."""

ClearCookiePredicate = Callable[[Morsel[str]], bool]


class ResolveResult(TypedDict):
    """One address of a host."""

    hostname: str
    """The name that was looked up."""
    host: str
    """The address, as text."""
    port: int
    family: int
    proto: int
    flags: int


class AbstractResolver(ABC):
    """Turns host names into addresses."""

    @abstractmethod
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host, best first.

        `family` is `AF_INET`, `AF_INET6`, or `AF_UNSPEC` for both. Raises `OSError` if there are none.
        """

    @abstractmethod
    async def close(self) -> None:
        """Release the resolver's resources."""


class AbstractCookieJar(ABC):
    """Keeps the cookies that servers set, and returns those that belong to a request.

    The abstract methods are those of aiohttp's jar; a jar written for it works here. The session calls only
    `cookie_header` and `store`, which a jar may override with something faster. `loop` is deprecated and ignored.
    """

    def __init__(self, *, loop: object = None) -> None:
        if loop is not None:
            deprecated("loop is deprecated: a jar does not need one")

    @abstractmethod
    def clear(self, predicate: ClearCookiePredicate | None = None) -> None:
        """Remove every cookie, or those for which `predicate` is true."""

    @abstractmethod
    def clear_domain(self, domain: str) -> None:
        """Remove the cookies of a domain and its subdomains."""

    @abstractmethod
    def update_cookies(self, cookies: LooseCookies, response_url: URL = URL()) -> None:  # noqa: B008  a URL never changes
        """Store cookies as if `response_url` had set them."""

    @abstractmethod
    def filter_cookies(self, request_url: URL) -> BaseCookie[str]:
        """Return the cookies that a request to this URL carries."""

    @abstractmethod
    def __iter__(self) -> Iterator[Morsel[str]]:
        """Iterate over all cookies."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of cookies."""

    def cookie_header(self, url: URL) -> str | None:
        """Return the value of the Cookie header for a request to this URL, or None if no cookie matches."""
        cookies = self.filter_cookies(url)
        return "; ".join(f"{m.key}={m.coded_value}" if m.key else m.coded_value for m in cookies.values()) or None

    def update_cookies_from_headers(self, headers: Iterable[str], response_url: URL) -> None:
        """Store the cookies of a response's Set-Cookie headers; values that are not cookies are ignored.

        Each is given to `update_cookies` separately, since headers may set the same name for several paths.
        """
        for value in headers:
            if (morsel := parse_morsel(value)) is not None:
                cookies = SimpleCookie()
                cookies[morsel.key] = morsel
                self.update_cookies(cookies, response_url)

    def store(self, set_cookie_values: Iterable[str], url: URL) -> None:
        """Do what `update_cookies_from_headers` does, for the session."""
        self.update_cookies_from_headers(set_cookie_values, url)
