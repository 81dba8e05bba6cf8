"""tinyproxy and microsocks on loopback, both with a login."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.client.reference.servers.daemon import find, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOGIN: Final = "somebody"
PASSWORD: Final = "opensesame"

_TINYPROXY: Final = f"""\
Listen 127.0.0.1
Port {{port}}
Timeout 60
MaxClients 50
LogLevel Connect
BasicAuth {LOGIN} {PASSWORD}
ViaProxyName "reference"
AddHeader "X-Proxied-By" "tinyproxy"
"""


class Proxy(NamedTuple):
    """A proxy that runs, and where it writes down whom it served."""

    scheme: str
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def url_with_login(self) -> str:
        return f"{self.scheme}://{LOGIN}:{PASSWORD}@127.0.0.1:{self.port}"


@contextmanager
def tinyproxy(folder: Path) -> Iterator[Proxy]:
    """A forward proxy that also tunnels."""
    config, log = folder / "tinyproxy.conf", folder / "tinyproxy.log"

    def command(port: int) -> list[str]:
        config.write_text(_TINYPROXY.format(port=port))
        return [find("tinyproxy") or "tinyproxy", "-d", "-c", str(config)]

    with running(command, log) as port:
        yield Proxy("http", port, log)


@contextmanager
def microsocks(folder: Path) -> Iterator[Proxy]:
    """A SOCKS 5 proxy."""
    log = folder / "microsocks.log"
    login = ["-u", LOGIN, "-P", PASSWORD]
    with running(
        lambda port: [find("microsocks") or "microsocks", "-i", "127.0.0.1", "-p", str(port), *login], log
    ) as port:
        yield Proxy("socks5", port, log)
