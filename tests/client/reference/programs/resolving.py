"""Resolve names by oneself, and reach a service on a Unix socket."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import client as aiohttp
from client.abc import AbstractResolver

if TYPE_CHECKING:
    from client.abc import ResolveResult


class Static(AbstractResolver):
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            {
                "hostname": host,
                "host": "127.0.0.1",
                "port": port,
                "family": socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
        ]

    async def close(self) -> None:
        """Nothing is open."""


async def main(port: int, path: str) -> tuple[str, str]:
    connector = aiohttp.TCPConnector(resolver=Static(), family=socket.AF_INET)
    async with aiohttp.ClientSession(connector=connector) as session:
        async with session.get(f"http://anything.example:{port}/page.html") as resp:
            by_name = await resp.text()
        connector.clear_dns_cache()
    unix = aiohttp.UnixConnector(path=path)
    async with aiohttp.ClientSession(connector=unix) as session, session.get("http://localhost/page.html") as resp:
        by_path = await resp.text()
    return by_name, by_path
