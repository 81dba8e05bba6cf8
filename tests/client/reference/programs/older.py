"""A program of 2017: what it uses has other names by now."""

from __future__ import annotations

import asyncio
from typing import Any

import client as aiohttp


async def fetch(session: aiohttp.ClientSession, url: str, **options: Any) -> bytes:
    response = await session.get(url, timeout=10, **options)
    try:
        return await response.read()
    finally:
        await response.release()


async def main(plain: str, secure: str) -> tuple[bytes, bytes, bytes]:
    loop = asyncio.get_event_loop()
    connector = aiohttp.TCPConnector(verify_ssl=False, loop=loop, use_dns_cache=True)
    async with aiohttp.ClientSession(loop=loop, connector=connector, read_timeout=60, conn_timeout=5) as session:
        page = await fetch(session, f"{plain}page.html")
        unverified = await fetch(session, f"{secure}page.html")
    single = await aiohttp.request("GET", f"{plain}page.html", loop=loop)
    return page, unverified, await single.read()
