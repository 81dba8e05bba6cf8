"""A DNS server on loopback, over UDP and TCP, that answers from a zone, and misbehaves where it is told to."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from dnslib import QTYPE, RCODE, RR, DNSRecord

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping

SILENCE: Final = -1
"""In place of a response code: no answer ever."""

NONSENSE: Final = -2
"""Likewise: bytes that are no answer."""


class Asked(NamedTuple):
    """One question, and how it came."""

    over: str
    name: str
    kind: str
    client: str = "127.0.0.1"


class DnsServer:
    """`zone` is written as zone files are. `broken` names what is answered with a code alone, `too_long` what UDP truncates."""

    def __init__(self, zone: str, broken: Mapping[str, int], too_long: Collection[str]) -> None:
        self._records = RR.fromZone(zone)
        self._broken = broken
        self._too_long = too_long
        self.port = 0
        self.asked: list[Asked] = []
        self.was_asked = asyncio.Event()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def answer(self, question: bytes, over: str, client: str) -> bytes | None:
        """Return the answer to a question, as a recursive resolver gives it: with aliases and what they lead to."""
        query = DNSRecord.parse(question)
        name, kind = str(query.q.qname).lower().removesuffix("."), QTYPE[query.q.qtype]
        self.asked.append(Asked(over, name, kind, client))
        self.was_asked.set()
        reply = query.reply()
        code = self._broken.get(name)
        if code is not None and code < 0:
            return b"nonsense" if code == NONSENSE else None
        if name in self._too_long and over == "UDP":
            reply.header.tc = 1
        elif code is None:
            reply.header.rcode = self._add_records(reply, name, kind)
        else:
            reply.header.rcode = code
        packed: bytes = reply.pack()
        return packed

    def _add_records(self, reply: DNSRecord, name: str, kind: str) -> int:
        """Add the records of a name, following its aliases, each once; return the response code."""
        aliases: set[str] = set()
        while True:
            of_name = [record for record in self._records if str(record.rname).removesuffix(".") == name]
            found = [record for record in of_name if QTYPE[record.rtype] in (kind, "CNAME")]
            reply.add_answer(*found)
            if not found or QTYPE[found[0].rtype] == kind or name in aliases:
                code: int = RCODE.NOERROR if of_name else RCODE.NXDOMAIN
                return code
            aliases.add(name)
            name = str(found[0].rdata.label).removesuffix(".")


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if (answer := self._server.answer(data, "UDP", addr[0])) is not None:
            self._transport.sendto(answer, addr)


@asynccontextmanager
async def serving_dns(
    zone: str, *, broken: Mapping[str, int] | None = None, too_long: Collection[str] = ()
) -> AsyncIterator[DnsServer]:
    """Run a server on one port of both protocols."""
    server = DnsServer(zone, broken or {}, too_long)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = writer.get_extra_info("peername")[0]
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(2))
                if (answer := server.answer(await reader.readexactly(size), "TCP", client)) is not None:
                    writer.write(len(answer).to_bytes(2) + answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async with await asyncio.start_server(converse, "127.0.0.1", 0) as tcp:
        server.port = tcp.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Udp(server), local_addr=("127.0.0.1", server.port))
        try:
            yield server
        finally:
            transport.close()
