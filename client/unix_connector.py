"""Connections to a Unix domain socket."""

from __future__ import annotations

import asyncio
import socket
import ssl as ssl_module
from os import fspath
from typing import TYPE_CHECKING, Final

from client.connector import BaseConnector
from client.deprecation import deprecated
from client.errors import ConnectionTimeoutError, UnixClientConnectorError
from client.timeouts import DEFAULT_TIMEOUT, fail_at
from client.tls import Fingerprint, TlsContexts, explained, handshake_error

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from client.connection import ConnectionKey
    from client.http1 import Http1Protocol
    from client.limits import HostLimits
    from client.request import ClientRequest
    from client.timeouts import ClientTimeout
    from client.tracing import Trace

_ASK_AGAIN_SECONDS: Final = 0.02


class UnixConnector(BaseConnector):
    """Connections to one Unix domain socket, whatever the hosts of URLs are.

    Deprecated: `conn_timeout`, the seconds that connecting may take (use `ClientTimeout.sock_connect`, which it overrides), and
    `loop`.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        conn_timeout: float | None = None,
        keepalive_timeout: float | None = 30.0,
        force_close: bool = False,
        limit: int | None = 100,
        limit_per_host: int | None = 0,
        limits: HostLimits | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(
            keepalive_timeout=keepalive_timeout,
            force_close=force_close,
            limit=limit,
            limit_per_host=limit_per_host,
            limits=limits,
            loop=loop,
        )
        if conn_timeout is not None:
            deprecated("conn_timeout is deprecated, use ClientTimeout(sock_connect=...)")
        self._path = path
        self._conn_timeout = conn_timeout
        self._tls = TlsContexts()

    @property
    def path(self) -> str | PathLike[str]:
        """The socket's path, as given."""
        return self._path

    async def _create_connection(
        self, req: ClientRequest, traces: Sequence[Trace], timeout: ClientTimeout
    ) -> Http1Protocol:
        if req.connection_key.proxy is not None:
            raise ValueError("a Unix domain socket cannot be reached through a proxy")
        seconds = timeout.sock_connect if self._conn_timeout is None else self._conn_timeout
        deadline_at = timeout.deadline_at(self._loop.time(), seconds)
        error = ConnectionTimeoutError(f"{self._path} did not accept a connection within {seconds} s")
        async with fail_at(deadline_at, error):
            return await self._open(req.connection_key)

    async def _open(self, key: ConnectionKey) -> Http1Protocol:
        tls = self._tls.context_for(key.ssl) if key.is_ssl else None
        try:
            transport, protocol = await self._loop.create_unix_connection(
                self._factory,
                sock=await self._connect(),
                ssl=tls,
                server_hostname=key.server_name if tls else None,
            )
        except ssl_module.SSLError as error:
            raise handshake_error(key, error) from error
        except OSError as error:
            raise UnixClientConnectorError(fspath(self._path), key, explained(error)) from error
        if tls and isinstance(key.ssl, Fingerprint):
            key.ssl.check(transport, key.host, key.port)
        return protocol

    async def _connect(self) -> socket.socket:
        """Return a connected, non-blocking socket.

        Connecting takes no time unless the listener's queue is full. Then Linux returns EAGAIN, which asyncio takes for a
        connection in progress; and there is no event when there is room again, so we have to poll.
        """
        connection = socket.socket(socket.AF_UNIX)
        connection.setblocking(False)
        try:
            while True:
                try:
                    connection.connect(fspath(self._path))
                except BlockingIOError:
                    await asyncio.sleep(_ASK_AGAIN_SECONDS)
                else:
                    return connection
        except BaseException:
            connection.close()
            raise


# Subclasses written for aiohttp 2 pass only the request. In the signature, type checkers would demand defaults of newer subclasses.
UnixConnector._create_connection.__defaults__ = ((), DEFAULT_TIMEOUT)
