"""A crawl's access to the network: connections, the limits of hosts, cookies, and the guard over addresses."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from client import AddressGuard, ClientSession, CookieJar, MissingPackage, TCPConnector
from client.limits import HostLimits
from crawler.cookies import open_jar
from crawler.errors import UsageError
from crawler.exchange import open_session
from crawler.web.urls import host_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from crawler.frontier.protocol import Frontier
    from crawler.settings import Settings


class Network(NamedTuple):
    """What requests are made with, and bound by."""

    limits: HostLimits
    guard: AddressGuard
    connector: TCPConnector
    jar: CookieJar
    session: ClientSession


@asynccontextmanager
async def open_network(
    settings: Settings, frontier: Frontier, *, trusted_hosts: Collection[str], others_fetch: bool
) -> AsyncIterator[Network]:
    """The network of a crawl, with the cookies in its file, while the block lasts. With `others_fetch`, other processes have the
    connections, and none is kept here. `trusted_hosts` may be at private addresses.

    Raises UsageError when HTTP/2 is wanted and its package is not installed.
    """
    limits = HostLimits(
        limit=settings.concurrency,
        limit_per_host=settings.per_host,
        spacing=settings.delay,
        limit_per_address=settings.per_ip,
        address_spacing=settings.ip_delay,
        host_of=host_key,
    )
    guard = AddressGuard(allow_private=settings.allow_private, trusted_hosts=trusted_hosts)
    try:
        connector = TCPConnector(limits=limits, address_guard=guard, force_close=others_fetch, http2=settings.http2)
    except MissingPackage as error:
        raise UsageError(f"the setting http2: {error}") from error
    jar = await open_jar(frontier)
    async with open_session(settings, connector, jar) as session:
        yield Network(limits, guard, connector, jar, session)
