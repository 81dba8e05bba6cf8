"""A request without a session: one is made for it, and closed afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Unpack
from warnings import warn

from client.awaitable import Awaited
from client.body import BytesBody
from client.deprecation import deprecated
from client.options import REQUEST_DEFAULTS, RequestOptions
from client.session import ClientSession
from client.signatures import listing
from client.version import HttpVersion, HttpVersion11

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine
    from types import TracebackType

    from yarl import URL

    from client.connector import BaseConnector
    from client.response import ClientResponse


class SingleRequest(Awaited["ClientResponse"]):
    """What `request` returns. `async with` gives the response, and closes the session at the end; `await` gives the response
    with its body read.
    """

    def __init__(
        self,
        method: str,
        url: str | URL,
        options: RequestOptions,
        *,
        version: HttpVersion,
        connector: BaseConnector | None,
        trust_env: bool | Mapping[str, str],
    ) -> None:
        self._method = method
        self._url = url
        self._version = version
        self._connector = connector
        self._trust_env = trust_env
        self._options = options
        self._session: ClientSession | None = None
        self._response: ClientResponse | None = None
        self._coroutine: Coroutine[Any, Any, ClientResponse] | None = None
        self._has_begun = False

    def _begun(self) -> Coroutine[Any, Any, ClientResponse]:
        self._coroutine = self._coroutine or self._read()
        self._has_begun = True
        return self._coroutine

    async def __aenter__(self) -> ClientResponse:
        self._has_begun = True
        session = ClientSession(
            version=self._version,
            connector=self._connector,
            connector_owner=self._connector is None,
            trust_env=self._trust_env,
        )
        try:
            self._response = await session.request(self._method, self._url, **self._options)
        except BaseException:
            await session.close()
            raise
        self._session = session
        return self._response

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._session is not None
        assert self._response is not None
        self._response.release()
        await self._session.close()

    def __del__(self) -> None:
        if not self._has_begun:
            warn("request() was never awaited", RuntimeWarning, stacklevel=2, source=self)

    async def _read(self) -> ClientResponse:
        async with self as response:
            await response.read()
        return response


@listing(RequestOptions, REQUEST_DEFAULTS)
def request(
    method: str,
    url: str | URL,
    *,
    encoding: str = "utf-8",
    version: HttpVersion = HttpVersion11,
    connector: BaseConnector | None = None,
    trust_env: bool | Mapping[str, str] = False,
    loop: asyncio.AbstractEventLoop | None = None,
    **options: Unpack[RequestOptions],
) -> SingleRequest:
    """Make one request without a session; the parameters are those of `ClientSession.request`.

    `async with` gives the response; `await` gives the response with its body already read. A given `connector` is left open;
    without one, a connector is made and closed again, so that no connection is kept for another request. `version` and
    `trust_env` are as for `ClientSession`.

    Deprecated: `encoding`, in which text and forms given as `data` are sent (use `FormData` or bytes), and `loop`.
    """
    if loop is not None:
        deprecated("loop is deprecated: the running loop is used")
    if encoding.lower() != "utf-8":
        deprecated("encoding is deprecated, give FormData(charset=...) or bytes")
        options["data"] = _encoded(options.get("data"), encoding)
    return SingleRequest(method, url, options, version=version, connector=connector, trust_env=trust_env)


def _encoded(data: Any, encoding: str) -> Any:
    """Return the same data with its text in this encoding."""
    if isinstance(data, str):
        return BytesBody(data.encode(encoding), f"text/plain; charset={encoding}")
    from client.forms import FormData

    return FormData(data, charset=encoding) if isinstance(data, Mapping | list | tuple) else data
