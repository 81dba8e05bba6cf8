"""Static files served by Debian's nginx on loopback, with a journal of what was asked.

The listening socket is bound here and handed down through nginx's `NGINX` variable (meant for upgrades of the binary):
so the port is never guessed, and whoever connects before nginx is up simply waits in the backlog.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

STOP_TIMEOUT = 10.0

_TYPES = {
    "text/html": "html htm",
    "application/xhtml+xml": "xhtml",
    "application/xml": "xml",
    "application/json": "json",
    "application/pdf": "pdf",
    "text/css": "css",
    "text/javascript": "js",
    "text/plain": "txt",
    "image/gif": "gif",
    "image/jpeg": "jpg jpeg",
    "image/png": "png",
    "image/svg+xml": "svg",
}

_CONFIG = """\
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;

events {{
    worker_connections 8192;
}}

http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;

    types {{
{types}
    }}
    default_type application/octet-stream;

    log_format journal escape=json
        '{{"at":$msec,"host":"$http_host","request":"$request","status":$status,"connection":$connection}}';
    access_log {access_log};
    log_not_found off;
    sendfile on;
    keepalive_requests {keepalive_requests};

{servers}
}}
"""

_SERVER = """\
    server {{
        listen {address}:{port}{options};
        root {root};{certificate}
    }}"""


class Asked(NamedTuple):
    """One line of the journal: the instant at which the answer was out (seconds of the epoch) and what was asked."""

    at: float
    host: str
    request: str
    status: int
    connection: int

    @property
    def target(self) -> str:
        """The target of the request, as it was sent."""
        return self.request.split(" ")[1]


def find_nginx() -> str | None:
    """The nginx binary, which Debian keeps off an ordinary user's path."""
    return shutil.which("nginx", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin")))


class Nginx:
    """`root` served at `url` for as long as the `with` block lasts; `folder` takes configuration and logs.

    With `addresses` of loopback it is many hosts on one port, each of which has its folder in `root`; `url` is the first. With
    `tls`, the files of a certificate and its key, it speaks TLS, and HTTP/2 to those who offer it unless `http2` is off.
    """

    def __init__(
        self,
        root: Path,
        folder: Path,
        *,
        addresses: tuple[str, ...] = (),
        journal: bool = True,
        keepalive_requests: int = 1000,
        tls: tuple[Path, Path] | None = None,
        http2: bool = True,
    ) -> None:
        self._roots = {address: root / address for address in addresses} or {"127.0.0.1": root}
        self._folder = folder
        self._journal = folder / "access.log" if journal else None
        self._keepalive_requests = keepalive_requests
        self._tls = tls
        self._http2 = http2
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://{next(iter(self._roots))}:{self._port}/"

    @property
    def port(self) -> int:
        return self._port

    def __enter__(self) -> Self:
        binary = find_nginx()
        if binary is None:
            raise FileNotFoundError("nginx is not installed")
        with ExitStack() as stack:
            listeners = [stack.enter_context(listener) for listener in self._listen()]
            config = self._folder / "nginx.conf"
            config.write_text(self._config())
            self._process = subprocess.Popen(
                [binary, "-p", self._folder, "-c", config, "-e", self._folder / "error.log"],
                env={"NGINX": "".join(f"{listener.fileno()};" for listener in listeners)},
                pass_fds=[listener.fileno() for listener in listeners],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Let nginx finish what it is at, and end. The journal is complete afterwards. Once is enough, more does no harm."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGQUIT)
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def journal(self) -> list[Asked]:
        """What was asked so far, in the order of the answers."""
        assert self._journal is not None
        return [Asked(**json.loads(line)) for line in self._journal.read_text().splitlines()]

    def answers(self) -> int:
        """How many requests were answered so far."""
        assert self._journal is not None
        return self._journal.read_bytes().count(b"\n") if self._journal.exists() else 0

    def _listen(self) -> Iterator[socket.socket]:
        """A socket for each address, all on the port that the first is given."""
        for address in self._roots:
            listener = socket.create_server((address, self._port), backlog=511)
            self._port = listener.getsockname()[1]
            yield listener

    def _config(self) -> str:
        return _CONFIG.format(
            # Started by root, workers would go on as an account that may not enter a private folder.
            user="user root;" if os.getuid() == 0 else "",
            folder=self._folder,
            types="\n".join(f"        {kind} {endings};" for kind, endings in _TYPES.items()),
            access_log=f"{self._journal} journal" if self._journal else "off",
            keepalive_requests=self._keepalive_requests,
            servers="\n".join(
                _SERVER.format(
                    address=address,
                    port=self._port,
                    root=root,
                    options=self._options(),
                    certificate=self._certificate(),
                )
                for address, root in self._roots.items()
            ),
        )

    def _options(self) -> str:
        if self._tls is None:
            return ""
        return " ssl http2" if self._http2 else " ssl"

    def _certificate(self) -> str:
        if self._tls is None:
            return ""
        certificate, key = self._tls
        return f"\n        ssl_certificate {certificate};\n        ssl_certificate_key {key};"
