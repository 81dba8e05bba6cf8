"""The keys of connections and limits.

An *origin* (scheme, host, port; RFC 6454) is what a connection leads to. A *host* is what limits apply to; which origins
count as one host is decided by `client.limits.HostLimits`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple, NewType

if TYPE_CHECKING:
    from yarl import URL

_HTTP_SCHEMES: Final = {"ws": "http", "wss": "https"}

HostKey = NewType("HostKey", str)
"""The key under which the limits of a host are kept."""


class Origin(NamedTuple):
    """Where a connection leads: `scheme` http or https, `host` without brackets, `port` always a number."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: URL) -> Origin:
        """Return the origin of an absolute http(s) or ws(s) URL. Raises ValueError if it has no host or no port.

        WebSockets are opened over HTTP and share its origins: ws is http here, wss is https.
        """
        host, port = url.raw_host, url.port
        if not host or port is None:
            raise ValueError(f"not an absolute http(s) URL: {url}")
        return cls(_HTTP_SCHEMES.get(url.scheme, url.scheme), host, port)


@lru_cache(maxsize=4096)
def origin_key(origin: Origin) -> HostKey:
    """Return the key that makes every origin a host of its own, like aiohttp's (host, port, is_ssl)."""
    return HostKey(f"{origin.scheme}://{origin.host}:{origin.port}")
