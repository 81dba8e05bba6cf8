"""Tell failures apart, as programs do that must go on."""

from __future__ import annotations

import asyncio

import client as aiohttp


async def attempt(session: aiohttp.ClientSession, url: str) -> str:
    try:
        async with session.get(url) as resp:
            resp.raise_for_status()
            await resp.json()
    except aiohttp.ClientResponseError as error:
        return f"{type(error).__name__} {error.status}"
    except aiohttp.ClientConnectorError as error:
        return f"{error.host}:{error.port}"
    except asyncio.TimeoutError:  # noqa: UP041  as it has been written for years
        return "too slow"
    except aiohttp.InvalidURL as error:
        return f"not a URL: {error.url}"
    except aiohttp.ClientError as error:
        return type(error).__name__
    return "fine"


async def main(*urls: str) -> list[str]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.2)) as session:
        return [await attempt(session, url) for url in urls]
