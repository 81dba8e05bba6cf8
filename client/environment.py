"""Settings from the environment, for sessions that trust it: proxies, exceptions from them, and netrc.

Variables, read as curl reads them: ``http_proxy``, ``https_proxy``, ``ws_proxy``, ``wss_proxy``, then ``all_proxy``; each name in
lower case goes before the same in upper case. The first that is set decides; if it is empty, there is no proxy. HTTP_PROXY is
ignored if REQUEST_METHOD is set: in a CGI script it holds the client's header ``Proxy`` (CVE-2016-5385). A value without a
scheme means an HTTP proxy.
"""

from __future__ import annotations

import asyncio
import os
import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from yarl import URL

from client.auth import load_netrc, netrc_auth
from client.errors import InvalidURL
from client.proxies import Proxy, schemes_for, without_credentials

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from netrc import netrc

    from client.auth import BasicAuth
    from client.proxies import ProxyChoice

_SEPARATORS: Final = re.compile(r"[\s,]+")
_ENTRY: Final = re.compile(r"(?:\[(?P<bracketed>[^]]*)\]|(?P<host>[^:]*|.*:.*:.*))(?::(?P<port>[0-9]+))?")
"""A host with or without a port: ``host``, ``[host]``, or an IPv6 address, which has at least two colons and no port."""


class Environment:
    """Reads `variables` for each request, so that changes take effect with the next one, and the netrc file once, in `load`."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._no_proxy = NoProxy("")
        self._proxies: dict[str, tuple[str, Proxy]] = {}
        self._netrc: netrc | None = None
        self._is_loaded = False

    @classmethod
    def if_trusted(cls, trust_env: bool | Mapping[str, str]) -> Self | None:
        """Return the environment of the process, or one with these variables; None if it is not trusted."""
        variables = os.environ if trust_env is True else trust_env
        return None if variables is False else cls(variables)

    async def load(self) -> None:
        """Read the netrc file in a thread, unless that has been done."""
        if not self._is_loaded:
            self._netrc = await asyncio.to_thread(load_netrc, self._variables)
            self._is_loaded = True

    def credentials_for(self, host: str) -> BasicAuth | None:
        """Return the netrc file's credentials for a host, or its default ones, or None."""
        return netrc_auth(host, self._netrc) if self._netrc is not None else None

    def proxy_for(self, url: URL) -> Proxy | None:
        """Return the proxy for a URL; None if there is none, or if NO_PROXY excepts the host.

        Raises `InvalidURL` if the variable does not hold the URL of a proxy.
        """
        name = next((name for name in self._names(url) if name in self._variables), None)
        value = self._variables[name].strip() if name is not None else ""
        if name is None or not value or self._excepts(url):
            return None
        known, proxy = self._proxies.get(name, ("", None))
        if proxy is None or known != value:
            proxy = self._parse(name, value)
            self._proxies[name] = value, proxy
        return proxy

    def _names(self, url: URL) -> Iterator[str]:
        for scheme in schemes_for(url):
            name = f"{scheme}_proxy"
            yield name
            if scheme != "http" or "REQUEST_METHOD" not in self._variables:
                yield name.upper()

    def _excepts(self, url: URL) -> bool:
        text = self._variables.get("no_proxy", self._variables.get("NO_PROXY", ""))
        if text != self._no_proxy.text:
            self._no_proxy = NoProxy(text)
        return self._no_proxy.matches(url.raw_host or "", url.port)

    def _parse(self, name: str, value: str) -> Proxy:
        try:
            proxy = Proxy.of(value if "://" in value else f"http://{value}")
        except ValueError as error:
            reason = error.description if isinstance(error, InvalidURL) else error
            raise InvalidURL(without_credentials(value), f"{name} in the environment: {reason}") from error
        if proxy.auth is None and not proxy.scheme.startswith("socks4"):  # which has no passwords
            return proxy.told(self.credentials_for(proxy.host))
        return proxy


def excepting(no_proxy: str, choose: ProxyChoice) -> ProxyChoice:
    """Choose as `choose` does, but no proxy for the hosts that `no_proxy` lists (see `NoProxy`)."""
    if not no_proxy:
        return choose
    exceptions = NoProxy(no_proxy)
    return lambda url: None if exceptions.matches(url.raw_host or "", url.port) else choose(url)


class _Rule(NamedTuple):
    """An exception; if `port` is None, for every port."""

    where: str | IPv4Network | IPv6Network
    port: int | None


class NoProxy:
    """The hosts that are requested without a proxy: entries separated by commas or spaces; ``*`` means all.

    ``example.com``, ``.example.com`` and ``*.example.com`` mean this host and all below it. ``192.0.2.1``, ``192.0.2.0/24``,
    ``2001:db8::1`` and ``2001:db8::/32`` match hosts that are written as IP addresses; names are not resolved for this. An entry
    may be limited to a port: ``example.com:8080``, ``[2001:db8::1]:8080``. Other entries are ignored.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        entries = [entry for entry in _SEPARATORS.split(text.lower()) if entry]
        self._excepts_all = "*" in entries
        self._rules = [rule for entry in entries if (rule := _parse_rule(entry)) is not None]

    def matches(self, host: str, port: int | None) -> bool:
        """Whether a host is excepted."""
        if self._excepts_all:
            return True
        name = host.lower().removesuffix(".")
        try:
            address = ip_address(name)
        except ValueError:
            return any(
                rule.port in (None, port) and isinstance(rule.where, str) and f".{name}".endswith(f".{rule.where}")
                for rule in self._rules
            )
        return any(
            rule.port in (None, port) and not isinstance(rule.where, str) and address in rule.where
            for rule in self._rules
        )


def _parse_rule(entry: str) -> _Rule | None:
    found = _ENTRY.fullmatch(entry)
    if found is None:
        return None
    host = found["bracketed"] or found["host"] or ""
    port = int(found["port"]) if found["port"] else None
    try:
        return _Rule(ip_network(host, strict=False), port)
    except ValueError:
        name = host.removeprefix("*").removeprefix(".").removesuffix(".")
        return _Rule(name if name.isascii() else _to_ascii(name), port) if name else None


def _to_ascii(name: str) -> str:
    """Return an internationalized name in its IDNA form, as in URLs, or unchanged if it has none."""
    try:
        return URL.build(scheme="http", host=name).raw_host or name
    except ValueError:
        return name
