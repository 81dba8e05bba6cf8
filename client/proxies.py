"""Proxies: choosing one for a request, and what is sent to it.

There are two ways to use a proxy. A *forward* proxy receives requests for http URLs, with the whole URL (RFC 9112 §3.2.2), and
makes them to the origin itself. Everything else goes through a *tunnel*: asked by CONNECT or SOCKS, the proxy connects us to
the origin, and then relays bytes. WebSockets are tunnelled even without TLS (RFC 6455 §4.1). Headers for the proxy are never
sent into a tunnel; a forward proxy may pass on those that it gets, except credentials.

The origin's name is resolved by HTTP proxies, and by SOCKS proxies whose scheme says so (socks4a, socks5h); for socks4 and
socks5 we resolve it. An `AddressGuard` only checks names that we resolve. With the other proxies it checks hosts that are
written as IP addresses, but not names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from multidict import CIMultiDict
from yarl import URL

from client.auth import BasicAuth
from client.errors import InvalidURL
from client.fields import FRAMING_NAMES, write_headers
from client.http_connect import http_connect
from client.socks import MAX_FIELD_BYTES, socks4, socks5
from client.urls import parse_url, shown

if TYPE_CHECKING:
    from client.handshakes import Handshake

Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]

_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "socks4": 1080, "socks4a": 1080, "socks5": 1080, "socks5h": 1080}
_SCHEMES: Final = frozenset({"all", "http", "https", "ws", "wss"})
_UNTOLD: Final = frozenset({"Host", *FRAMING_NAMES})
"""Headers that a proxy needs to read our request. The request sets them itself."""
_HOST_ALONE: Final = re.compile(r"[\w.-]+(?::\d+)?/?")
_CREDENTIALS: Final = re.compile(r"(?:(?<=//)|^(?!.*//)).*@", re.DOTALL)  # a password may hold an unquoted slash or @


class Proxy(NamedTuple):
    """A proxy, with the credentials and headers for it. Connections are shared only for equal ones. Made by `of`."""

    scheme: str
    host: str
    port: int
    auth: BasicAuth | None
    headers: tuple[tuple[str, str], ...]
    """Headers for an HTTP proxy, without credentials."""

    @classmethod
    def of(cls, url: str | URL, auth: BasicAuth | None = None, headers: Headers = ()) -> Proxy:
        """Return the proxy at a URL; credentials in the URL are used if `auth` is None.

        Raises `InvalidURL` if it is not the URL of a proxy, `ValueError` for credentials or headers that it cannot be sent.
        """
        try:
            parsed = parse_url(url)
            auth = auth or BasicAuth.from_url(parsed, encoding="utf-8")
            default_port = _DEFAULT_PORTS[parsed.scheme]
        except (ValueError, KeyError) as error:
            expected = ", ".join(_DEFAULT_PORTS)
            told = without_credentials(str(shown(url)))
            hint = f"; write http://{told}" if _HOST_ALONE.fullmatch(told) else ""
            raise InvalidURL(told, f"not the URL of a proxy ({expected}){hint}") from error
        if not parsed.raw_host:
            raise InvalidURL(without_credentials(str(url)), "the URL of a proxy must have a host")
        proxy = cls(parsed.scheme, parsed.raw_host, parsed.explicit_port or default_port, None, ())
        return proxy.told(auth, headers)

    def told(self, auth: BasicAuth | None, headers: Headers = ()) -> Proxy:
        """Return the same proxy with other credentials or headers, if any are given. Raises `ValueError` as `of` does."""
        if auth and not isinstance(auth, BasicAuth):
            raise TypeError(f"proxy_auth must be a BasicAuth, not a {type(auth).__name__}")
        told = self._replace(auth=auth or self.auth, headers=tuple(CIMultiDict(headers).items()) or self.headers)
        told._check()
        return told

    def _check(self) -> None:
        if not self.is_socks:
            self.header_lines()
            for name, _value in self.headers:
                if name.title() in _UNTOLD:
                    raise ValueError(f"{name} is not only for the proxy: leave it out of the proxy's headers")
        elif self.headers:
            raise ValueError("a SOCKS proxy takes no headers")
        elif self.auth is not None:
            _check_socks_login(self.scheme, *self.auth)

    def __repr__(self) -> str:
        """Without credentials, since errors quote it."""
        return f"<Proxy {self.scheme}://{self.host}:{self.port}>"

    @property
    def is_socks(self) -> bool:
        return self.scheme.startswith("socks")

    @property
    def is_ssl(self) -> bool:
        """Whether the connection to the proxy itself uses TLS."""
        return self.scheme == "https"

    @property
    def resolves_names(self) -> bool:
        """Whether the proxy is sent names of hosts; if not, their addresses."""
        return self.scheme not in ("socks4", "socks5")

    def forwards(self, scheme: str) -> bool:
        """Whether the proxy makes requests for URLs of this scheme itself; if not, it opens a tunnel to their origin."""
        return scheme == "http" and not self.is_socks

    def header_lines(self) -> str:
        """Return the header lines for an HTTP proxy, with credentials. Raises `ValueError` if they cannot be sent."""
        headers = CIMultiDict(self.headers)
        if self.auth is not None:
            if "Proxy-Authorization" in headers:
                raise ValueError("give the proxy's credentials or a Proxy-Authorization header, not both")
            headers["Proxy-Authorization"] = self.auth.encode()
        return write_headers(headers)

    def handshake(self, host: str, port: int) -> Handshake:
        """Return the handshake that opens a tunnel. `host` must be an IP address unless the proxy `resolves_names`."""
        if not self.is_socks:
            return http_connect(host, port, self.header_lines())
        if self.scheme.startswith("socks5"):
            return socks5(host, port, self.auth)
        return socks4(host, port, self.auth.login if self.auth else "")


ProxyChoice: TypeAlias = Callable[[URL], Proxy | None]
"""Returns the proxy for a URL; None means a direct connection."""


def always(proxy: Proxy) -> ProxyChoice:
    """Choose one proxy for all URLs."""
    return lambda _url: proxy


def always_at(url: str | URL, auth: BasicAuth | None, headers: Headers = ()) -> ProxyChoice | None:
    """Choose the proxy at a URL; None for an empty URL. Raises what `Proxy.of` does."""
    return always(Proxy.of(url, auth, headers)) if url not in ("", URL()) else None


def by_scheme(proxies: Mapping[str, str | URL]) -> ProxyChoice:
    """Choose from `proxies` by the scheme of the requested URL (see `schemes_for`).

    Raises `ValueError` for unknown schemes, and what `Proxy.of` does.
    """
    if unknown := proxies.keys() - _SCHEMES:
        raise ValueError(f"proxies can be set for {', '.join(sorted(_SCHEMES))}, not {', '.join(sorted(unknown))}")
    table = {scheme: Proxy.of(url) for scheme, url in proxies.items()}
    return lambda url: next((table[scheme] for scheme in schemes_for(url) if scheme in table), None)


def first_of(choices: Sequence[ProxyChoice]) -> ProxyChoice | None:
    """Choose the proxy of the first choice that has one; None without choices."""
    if len(choices) < 2:
        return choices[0] if choices else None
    return lambda url: next((proxy for choose in choices if (proxy := choose(url)) is not None), None)


def telling(choose: ProxyChoice | None, auth: BasicAuth | None, headers: Headers | None) -> ProxyChoice | None:
    """Choose as `choose` does, with these credentials and headers for the proxy, if any are given."""
    if choose is None or not (auth or headers):
        return choose
    lines = tuple(CIMultiDict(headers or ()).items())

    def choose_and_tell(url: URL) -> Proxy | None:
        proxy = choose(url)
        return None if proxy is None else proxy.told(auth, lines)

    return choose_and_tell


def schemes_for(url: URL) -> tuple[str, ...]:
    """Return the keys under which the proxy for a URL is looked up, in order. WebSockets fall back to HTTP's, as in curl."""
    scheme = url.scheme
    if scheme in ("ws", "wss"):
        return scheme, scheme.replace("ws", "http"), "all"
    return scheme, "all"


def without_credentials(url: str) -> str:
    """Return the URL of a proxy, well-formed or not, without credentials, so that it may be shown."""
    return _CREDENTIALS.sub("", url)


def _check_socks_login(scheme: str, login: str, password: str, encoding: str) -> None:
    if scheme.startswith("socks4"):
        if password or "\0" in login:
            raise ValueError("a SOCKS 4 proxy takes a user name without NUL and no password")
    elif not (0 < len(login.encode(encoding)) <= MAX_FIELD_BYTES and len(password.encode(encoding)) <= MAX_FIELD_BYTES):
        raise ValueError(f"a SOCKS 5 proxy takes a user name and a password of at most {MAX_FIELD_BYTES} bytes")
