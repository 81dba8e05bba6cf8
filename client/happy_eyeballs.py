"""Connecting to the address of a host that answers first (Happy Eyeballs version 2, RFC 8305).

Addresses are tried in turn, alternating between IPv6 and IPv4; each gets a head start before the next one is tried as well.
The first to connect wins, and the other attempts are cancelled.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from client.abc import ResolveResult

_UNDER_WAY: Final = frozenset({errno.EINPROGRESS, errno.EINTR})


def interleave_families(addresses: Sequence[ResolveResult], first_count: int = 1) -> list[ResolveResult]:
    """Return the addresses with alternating families, after `first_count` of the preferred one (§4)."""
    if not addresses:
        return []
    preferred = [found for found in addresses if _family(found) == _family(addresses[0])]
    others = [found for found in addresses if _family(found) != _family(addresses[0])]
    head, tail = preferred[: first_count - 1], preferred[first_count - 1 :]
    return [*head, *(found for found in chain.from_iterable(zip_longest(tail, others)) if found is not None)]


async def open_socket(
    addresses: Sequence[ResolveResult], *, delay: float | None, local_addr: tuple[str, int] | None = None
) -> socket.socket:
    """Return a connected, non-blocking socket. Raises `OSError` if none of the addresses (at least one) answers.

    `delay` is the head start in seconds (§5, "Connection Attempt Delay"); None tries one address after the other.
    If it is cancelled, no socket stays open.
    """
    if len(addresses) == 1:
        return await _connect(addresses[0], local_addr)
    attempts: set[asyncio.Task[socket.socket]] = set()
    try:
        winner = await _race(addresses, attempts, delay, local_addr)
    except BaseException:
        await _call_off(attempts)
        raise
    try:
        await _call_off(attempts)
    except BaseException:
        winner.close()
        raise
    return winner


async def _race(
    addresses: Sequence[ResolveResult],
    attempts: set[asyncio.Task[socket.socket]],
    delay: float | None,
    local_addr: tuple[str, int] | None,
) -> socket.socket:
    """Return the first socket to connect; the remaining attempts are in `attempts`."""
    waiting = list(reversed(addresses))
    errors: list[OSError] = []
    while waiting or attempts:
        if waiting:
            attempts.add(asyncio.ensure_future(_connect(waiting.pop(), local_addr)))
        done, _ = await asyncio.wait(attempts, timeout=delay if waiting else None, return_when=asyncio.FIRST_COMPLETED)
        for attempt in done:
            attempts.discard(attempt)
            if (error := attempt.exception()) is None:
                return attempt.result()
            if not isinstance(error, OSError):
                raise error
            errors.append(error)
    raise _sum_up(errors)


async def _connect(address: ResolveResult, local_addr: tuple[str, int] | None) -> socket.socket:
    # unless the protocol is named, asyncio does not recognize TCP and leaves TCP_NODELAY off, which delays small writes
    connection = socket.socket(_family(address), socket.SOCK_STREAM, address["proto"] or socket.IPPROTO_TCP)
    try:
        connection.setblocking(False)
        if local_addr is not None:
            connection.bind(local_addr)
        error = connection.connect_ex(_socket_address(address))
        if error in _UNDER_WAY:
            await _writable(connection)
            error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
    except BaseException:
        connection.close()
        raise
    return connection


async def _writable(connection: socket.socket) -> None:
    """Wait until it is known whether the socket is connected. The loop's `sock_connect` does so too, but in uvloop it first
    resolves the address in a thread, although it is numeric."""
    loop = asyncio.get_running_loop()
    writable = loop.create_future()

    def tell() -> None:
        if not writable.done():
            writable.set_result(None)

    loop.add_writer(connection, tell)
    try:
        await writable
    finally:
        loop.remove_writer(connection)


def _family(address: ResolveResult) -> socket.AddressFamily:
    """Return the family of the address itself: users' resolvers may return the one they were asked for, which may mean both."""
    return socket.AF_INET6 if ":" in address["host"] else socket.AF_INET


def _socket_address(address: ResolveResult) -> tuple[bytes | int, ...]:
    """Return the socket address. The host is bytes: for text, Python would load its IDNA tables, which take half a megabyte."""
    host, _, scope = address["host"].partition("%")
    if _family(address) != socket.AF_INET6:
        return host.encode(), address["port"]
    scope_id = int(scope) if scope.isdecimal() else socket.if_nametoindex(scope) if scope else 0
    return host.encode(), address["port"], 0, scope_id


async def _call_off(attempts: set[asyncio.Task[socket.socket]]) -> None:
    """Cancel attempts, and close the socket of one that has connected meanwhile, even if this coroutine is cancelled itself."""
    for attempt in attempts:
        attempt.cancel()
        attempt.add_done_callback(_drop)
    if attempts:
        await asyncio.wait(attempts)


def _drop(attempt: asyncio.Task[socket.socket]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()


def _sum_up(errors: list[OSError]) -> OSError:
    """Return one error for all addresses: the common one if they failed alike, else one that quotes them all."""
    if len({(error.errno, error.strerror) for error in errors}) == 1:
        return errors[0]
    return OSError(errors[0].errno, "; ".join(str(error) for error in errors))
