"""Keep cookies from one page to the next, and from one run to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import client as aiohttp

if TYPE_CHECKING:
    from pathlib import Path


async def main(site: str, kept: Path) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """`site` is httpbin."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookies={"theme": "dark"}, cookie_jar=jar) as session:
        async with session.get(f"{site}cookies/set", params={"session": "s3cret"}) as resp:
            seen = (await resp.json())["cookies"]
        for cookie in session.cookie_jar:
            assert cookie.value
        jar.save(kept)

    again = aiohttp.CookieJar(unsafe=True)
    again.load(kept)
    async with aiohttp.ClientSession(cookie_jar=again) as session:
        async with session.get(f"{site}cookies", cookies={"once": "1"}) as resp:
            later = (await resp.json())["cookies"]
        session.cookie_jar.clear()
        async with session.get(f"{site}cookies") as resp:
            cleared = (await resp.json())["cookies"]
    return seen, later, cleared
