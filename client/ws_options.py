"""The parameters of `ClientSession.ws_connect`. The code that uses them is loaded with the first WebSocket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypedDict

from client.timeouts import DEFAULT_WS_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ssl import SSLContext

    from yarl import URL

    from client.auth import BasicAuth
    from client.options import LooseHeaders, Params
    from client.timeouts import ClientWSTimeout
    from client.tls import Verification

MAX_MSG_BYTES: Final = 4 * 1024 * 1024


class WebSocketOptions(TypedDict, total=False):
    """The keyword parameters of `ClientSession.ws_connect`, which describes them."""

    protocols: Iterable[str]
    timeout: ClientWSTimeout | float
    receive_timeout: float | None
    autoclose: bool
    autoping: bool
    heartbeat: float | None
    origin: str | None
    compress: int
    max_msg_size: int
    decode_text: bool
    # as for any request
    params: Params | None
    headers: LooseHeaders | None
    auth: BasicAuth | None
    verify_ssl: bool | None
    fingerprint: bytes | None
    ssl_context: SSLContext | None
    ssl: Verification
    server_hostname: str | None
    proxy: str | URL | None
    proxy_auth: BasicAuth | None
    proxy_headers: LooseHeaders | None


WEBSOCKET_DEFAULTS: Final[WebSocketOptions] = {
    "protocols": (),
    "timeout": DEFAULT_WS_TIMEOUT,
    "receive_timeout": None,
    "autoclose": True,
    "autoping": True,
    "heartbeat": None,
    "origin": None,
    "compress": 0,
    "max_msg_size": MAX_MSG_BYTES,
    "decode_text": True,
    "params": None,
    "headers": None,
    "auth": None,
    "verify_ssl": None,
    "fingerprint": None,
    "ssl_context": None,
    "ssl": True,
    "server_hostname": None,
    "proxy": None,
    "proxy_auth": None,
    "proxy_headers": None,
}
"""The values of parameters that are not given."""
