"""The keys by which connections and limits are told apart.

An *origin* (scheme, host, port; RFC 6454) is what a connection leads to. A *host* is what politeness is owed to; which
origins count as one host is the business of `client.limits.HostLimits`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, NewType

if TYPE_CHECKING:
    from yarl import URL

_HTTP_SCHEMES: Final = {"ws": "http", "wss": "https"}

HostKey = NewType("HostKey", str)
"""The name under which the limits of a host are kept."""


class Origin(NamedTuple):
    """Where a connection leads: `scheme` http or https, `host` without brackets, `port` always a number."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: URL) -> Origin:
        """The origin of an absolute http(s) or ws(s) URL; raises ValueError when it has no host or no port.

        WebSockets are opened by HTTP, and count as its: ws is http here, wss https.
        """
        host, port = url.raw_host, url.port
        if not host or port is None:
            raise ValueError(f"not an absolute http(s) URL: {url}")
        return cls(_HTTP_SCHEMES.get(url.scheme, url.scheme), host, port)


@lru_cache(maxsize=4096)
def origin_key(origin: Origin) -> HostKey:
    """Every origin is a host of its own: the (host, port, is_ssl) of the client reference."""
    return HostKey(f"{origin.scheme}://{origin.host}:{origin.port}")
