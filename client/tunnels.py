"""The way to a proxy, and through it to an origin."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from multidict import CIMultiDict, CIMultiDictProxy

from client.connection import ConnectionKey
from client.errors import ClientConnectorError, ClientHttpProxyError, ClientProxyConnectionError, ClientSSLError
from client.handshakes import ConnectDeclined, ProxyFault, TargetFault, UnclearFault
from client.origin import Origin
from client.tls import Fingerprint
from client.wires import negotiate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from client.proxies import Proxy
    from client.request import ClientRequest
    from client.tls import Verification
    from client.wires import Wire


def hop_to(proxy: Proxy, verification: Verification) -> ConnectionKey:
    """Return where the first hop leads: to the proxy, verified as origins are; but a pinned certificate is an origin's."""
    verification = True if isinstance(verification, Fingerprint) else verification
    return ConnectionKey(Origin(proxy.scheme, proxy.host, proxy.port), verification, None)


@contextmanager
def blaming_proxy(hop: ConnectionKey) -> Iterator[None]:
    """Turn what fails on the way to a proxy into `ClientProxyConnectionError`; failures of TLS keep their kind, marked."""
    try:
        yield
    except ClientSSLError as error:
        error.is_of_proxy = True
        raise
    except ClientConnectorError as error:
        raise ClientProxyConnectionError(hop, error.os_error) from error


async def open_tunnel(
    req: ClientRequest, hop: ConnectionKey, hosts: Sequence[str], connect: Callable[[], Awaitable[Wire]]
) -> Wire:
    """Have the request's proxy connect us to its origin; return the connection, on which nothing has been sent.

    The proxy is told one of `hosts`, the origin's name or its addresses, after the other until it reaches one; `connect`
    opens a connection to it. Raises `ClientHttpProxyError`, `ClientProxyConnectionError`, `ClientConnectorError` when the
    origin cannot be reached, and what `connect` does. Cancelled, it leaves nothing open.
    """
    assert req.proxy is not None
    faults = []
    for host in hosts:
        wire = await connect()
        try:
            await negotiate(wire, req.proxy.handshake(host, req.port))
        except BaseException as error:
            wire.close()
            if isinstance(error, TargetFault):
                faults.append(error)
                continue
            if isinstance(error, OSError):
                failure = ClientProxyConnectionError(hop, error)
                failure.is_of_proxy = isinstance(error, ProxyFault) and not isinstance(error, UnclearFault)
                raise failure from error
            if isinstance(error, ConnectDeclined):
                raise _declined(req, error) from error
            raise
        return wire
    raise ClientConnectorError(req.connection_key, faults[0]) from faults[0]


def _declined(req: ClientRequest, answer: ConnectDeclined) -> ClientHttpProxyError:
    headers = CIMultiDictProxy(CIMultiDict(answer.headers))
    return ClientHttpProxyError(req.request_info, (), status=answer.status, message=answer.reason, headers=headers)
