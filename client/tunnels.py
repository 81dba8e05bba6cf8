"""Connections to proxies, and tunnels through them to an origin."""

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
    """Return the key of the connection to a proxy. It is verified as origins are, but a fingerprint is only for the origin."""
    verification = True if isinstance(verification, Fingerprint) else verification
    return ConnectionKey(Origin(proxy.scheme, proxy.host, proxy.port), verification, None)


@contextmanager
def blaming_proxy(hop: ConnectionKey) -> Iterator[None]:
    """Raise `ClientProxyConnectionError` for connection errors on the way to a proxy; errors of TLS keep their type, marked."""
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
    """Open a tunnel to the request's origin through its proxy; return the connection, on which nothing has been sent yet.

    `hosts` are the origin's name or its addresses; the proxy is asked for one after the other until it reaches one. `connect`
    opens a connection to the proxy. Raises `ClientHttpProxyError`, `ClientProxyConnectionError`, `ClientConnectorError` if the
    origin cannot be reached, and what `connect` raises. If it is cancelled, nothing is left open.
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
