"""nginx on loopback, under several addresses at once: plain, with a small keep-alive limit, on a Unix socket, and behind
each kind of certificate, where HTTP/2 is spoken with those who offer it.

The sockets are bound here and handed down through nginx's `NGINX` variable: ports are never guessed, and whoever connects
before nginx is up waits in the backlog.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.client.reference.servers.daemon import find

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.client.reference.servers.certificates import Certificates, Pair

STOP_SECONDS: Final = 10.0

KEEPALIVE_REQUESTS: Final = 2
"""How many requests a connection to `limited` serves."""

PAGE: Final = b"<!doctype html><title>Reference</title>" + b"<p>a line of text that compresses well</p>\n" * 200
BLOB: Final = bytes(range(256)) * 4096
"""1 MiB."""

_CONFIG: Final = """\
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 512; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    types {{ text/html html; text/plain txt; application/json json; }}
    default_type application/octet-stream;
    access_log off;
    log_not_found off;
    root {folder}/root;
    add_header X-Connection $connection always;
    add_header X-Requests $connection_requests always;
{servers}
}}
"""

_LOCATIONS: Final = """\
        location /compressed/ { alias ROOT/; gzip on; gzip_min_length 1; gzip_types *; add_trailer X-Checksum abc; }
        location /moved/301 { return 301 /page.html; }
        location /moved/302 { return 302 /page.html; }
        location /moved/303 { return 303 /page.html; }
        location /moved/307 { return 307 /page.html; }
        location /moved/308 { return 308 /page.html; }
        location /loop { return 302 /loop; }
        location /to-ftp { return 302 ftp://files.example/; }
        location /to-nowhere { return 302 http://:0/; }
        location /private { auth_basic "reference"; auth_basic_user_file PASSWORDS; try_files /page.html =404; }
        location /behind {
            proxy_pass BEHIND;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $http_connection;
            proxy_set_header X-Name $ssl_server_name;
        }
        location /asgi/ { proxy_pass BEHIND; proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off; }
        location /tls { add_header X-Name $ssl_server_name; add_header X-Client $ssl_client_verify; return 204; }
"""


_NAMES: Final = ("plain", "limited", "right", "limited_tls", "wrong_host", "expired", "self_signed", "demanding")


class Addresses(NamedTuple):
    """Where nginx can be reached; URLs end with a slash."""

    plain: str
    limited: str
    """Connections here serve `KEEPALIVE_REQUESTS` requests each."""
    socket: Path
    """A Unix socket."""
    right: str
    limited_tls: str
    """Likewise."""
    wrong_host: str
    expired: str
    self_signed: str
    demanding: str
    """Wants a certificate from the client."""


@contextmanager
def nginx(folder: Path, certificates: Certificates, behind: str) -> Iterator[Addresses]:
    """Run nginx; `folder` takes its files, and another server is `behind` it, under that path."""
    _fill(folder)
    path = folder / "nginx.sock"
    with ExitStack() as stack:
        listeners = {name: stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128)) for name in _NAMES}
        unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        unix.bind(str(path))
        unix.listen(128)
        ports: dict[str, int] = {name: listener.getsockname()[1] for name, listener in listeners.items()}
        config = folder / "nginx.conf"
        config.write_text(_config(folder, _servers(ports, path, certificates), behind))
        process = _start(folder, config, [listener.fileno() for listener in (unix, *listeners.values())])
    plain, limited = (f"http://127.0.0.1:{ports.pop(name)}/" for name in ("plain", "limited"))
    try:
        yield Addresses(plain, limited, path, **{name: f"https://localhost:{port}/" for name, port in ports.items()})
    finally:
        _stop(process)


def _servers(ports: dict[str, int], path: Path, certificates: Certificates) -> list[str]:
    """What tells one server from the next."""

    def tls(name: str, pair: Pair) -> str:
        return f"listen 127.0.0.1:{ports[name]} ssl http2; ssl_certificate {pair.certificate}; ssl_certificate_key {pair.key};"

    return [
        f"listen 127.0.0.1:{ports['plain']}; listen unix:{path};",
        f"listen 127.0.0.1:{ports['limited']}; keepalive_requests {KEEPALIVE_REQUESTS};",
        tls("right", certificates.right),
        f"{tls('limited_tls', certificates.right)} keepalive_requests {KEEPALIVE_REQUESTS};",
        tls("wrong_host", certificates.wrong_host),
        tls("expired", certificates.expired),
        tls("self_signed", certificates.self_signed),
        f"{tls('demanding', certificates.right)} "
        f"ssl_verify_client on; ssl_client_certificate {certificates.authority};",
    ]


def _config(folder: Path, servers: list[str], behind: str) -> str:
    locations = _LOCATIONS
    for word, value in (("ROOT", folder / "root"), ("PASSWORDS", folder / "passwords"), ("BEHIND", behind)):
        locations = locations.replace(word, str(value))
    return _CONFIG.format(
        # Started by root, workers would go on as an account that may not enter a private folder.
        user="user root;" if os.getuid() == 0 else "",
        folder=folder,
        servers="".join(f"    server {{ {server}\n{locations}    }}\n" for server in servers),
    )


def _fill(folder: Path) -> None:
    (folder / "passwords").write_text("somebody:{PLAIN}opensesame\n")
    root = folder / "root"
    root.mkdir()
    (root / "page.html").write_bytes(PAGE)
    (root / "blob.bin").write_bytes(BLOB)
    (root / "lines.txt").write_text("".join(f"line {number}\n" for number in range(1000)))
    (root / "data.json").write_text('{"name": "Käse", "count": 3}', encoding="utf-8")
    (root / "latin.txt").write_bytes("Käse".encode("latin-1"))


def _start(folder: Path, config: Path, listeners: list[int]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [find("nginx") or "nginx", "-p", folder, "-c", config, "-e", folder / "error.log"],
        env={"NGINX": "".join(f"{descriptor};" for descriptor in listeners)},
        pass_fds=listeners,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
