"""Ask for many pages at once, but not for all of them."""

from __future__ import annotations

import asyncio

import client as aiohttp


async def fetch(session: aiohttp.ClientSession, url: str, semaphore: asyncio.Semaphore) -> int:
    async with semaphore, session.get(url) as response:
        return len(await response.read())


async def main(site: str, count: int) -> tuple[list[int], list[str]]:
    """Return the sizes of what was found, and the names of what went wrong."""
    urls = [f"{site}page.html"] * count + [f"{site}absent", "http://127.0.0.1:9/"]
    connector = aiohttp.TCPConnector(limit=10, limit_per_host=5, ttl_dns_cache=300)
    timeout = aiohttp.ClientTimeout(total=30, sock_connect=5)
    semaphore = asyncio.Semaphore(20)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, raise_for_status=True) as session:
        results = await asyncio.gather(*(fetch(session, url, semaphore) for url in urls), return_exceptions=True)
    sizes = [result for result in results if isinstance(result, int)]
    errors = [type(result).__name__ for result in results if isinstance(result, BaseException)]
    return sizes, errors
