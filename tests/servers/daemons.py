"""Proxies of other people's making, from Debian's packages, run on loopback as ordinary processes."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import stat
import tempfile
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.ports import an_unused_port, unused_ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

START_SECONDS = 20.0
_PATHS = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin"))

_SQUID = """\
http_port 127.0.0.1:{plain}
https_port 127.0.0.1:{secure} tls-cert={folder}/server.pem
auth_param basic program /bin/sh {folder}/helper.sh
acl known proxy_auth REQUIRED
http_access allow known
http_access deny all
cache deny all
hosts_file {folder}/hosts
visible_hostname proxy.test
pid_filename none
cache_log {folder}/cache.log
access_log stdio:{folder}/access.log
coredump_dir {folder}
shutdown_lifetime 0 seconds
"""

_HELPER = """\
while read -r given; do
    if [ "$given" = "{login} {password}" ]; then echo OK; else echo ERR; fi
done
"""

_TINYPROXY = """\
Port {port}
Listen 127.0.0.1
Allow 127.0.0.1
BasicAuth {login} {password}
LogFile "{folder}/log"
Timeout 60
MaxClients 20
"""

_DANTE = """\
logoutput: {folder}/log
internal: 127.0.0.1 port = {port}
external: lo
clientmethod: none
socksmethod: none
user.privileged: {user}
user.unprivileged: {user}
client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
"""


def find(name: str) -> str | None:
    """A daemon's binary, which Debian may keep off an ordinary user's path."""
    return shutil.which(name, path=_PATHS)


@asynccontextmanager
async def squid(login: tuple[str, str], certificate: bytes) -> AsyncIterator[tuple[int, int]]:
    """Squid, which knows one login and where origin.example is; its ports outside and inside TLS."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain, secure = unused_ports(2)
        (folder / "server.pem").write_bytes(certificate)
        (folder / "helper.sh").write_text(_HELPER.format(login=login[0], password=login[1]))
        (folder / "hosts").write_text("127.0.0.1 origin.example\n")
        config = folder / "squid.conf"
        config.write_text(_SQUID.format(plain=plain, secure=secure, folder=folder))
        _open_to(folder, "proxy")
        async with _running("squid", "-N", "-f", str(config), ports=(plain, secure)):
            yield plain, secure


@asynccontextmanager
async def tinyproxy(login: tuple[str, str]) -> AsyncIterator[int]:
    """Tinyproxy, which knows one login; its port."""
    with tempfile.TemporaryDirectory() as name:
        port = an_unused_port()
        config = Path(name) / "tinyproxy.conf"
        config.write_text(_TINYPROXY.format(port=port, folder=name, login=login[0], password=login[1]))
        async with _running("tinyproxy", "-d", "-c", str(config), ports=(port,)):
            yield port


@asynccontextmanager
async def microsocks(login: tuple[str, str]) -> AsyncIterator[int]:
    """Microsocks, which speaks SOCKS 5 and knows one login; its port."""
    port = an_unused_port()
    arguments = ("-i", "127.0.0.1", "-p", str(port), "-u", login[0], "-P", login[1])
    async with _running("microsocks", *arguments, ports=(port,)):
        yield port


@asynccontextmanager
async def dante() -> AsyncIterator[int]:
    """Dante, which speaks SOCKS 4 and 5 with anybody; its port."""
    with tempfile.TemporaryDirectory() as name:
        port = an_unused_port()
        config = Path(name) / "danted.conf"
        config.write_text(_DANTE.format(port=port, folder=name, user=pwd.getpwuid(os.getuid()).pw_name))
        async with _running("danted", "-f", str(config), ports=(port,)):
            yield port


def _open_to(folder: Path, user: str) -> None:
    """Let an account that a daemon of root's changes to work in a folder."""
    if os.getuid() == 0:
        account = pwd.getpwnam(user)
        folder.chmod(stat.S_IRWXU | stat.S_IXGRP | stat.S_IXOTH)
        for path in (folder, *folder.iterdir()):
            os.chown(path, account.pw_uid, account.pw_gid)


@asynccontextmanager
async def _running(name: str, *arguments: str, ports: tuple[int, ...]) -> AsyncIterator[None]:
    binary = find(name)
    assert binary is not None
    process = await asyncio.create_subprocess_exec(
        binary,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(START_SECONDS):
            for port in ports:
                await _listens(port, process)
        yield
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _listens(port: int, process: asyncio.subprocess.Process) -> None:
    """Wait until there is a listener. Nothing tells us of it, so this asks again and again."""
    while True:
        assert process.returncode is None, "the daemon has ended"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            await writer.wait_closed()
            return
