"""Sign requests, try again when the server was busy, and answer a Digest challenge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import client as aiohttp

if TYPE_CHECKING:
    from client.middleware import Handler, Middleware

BUSY = {429, 503}


def tries(count: int, log: list[int]) -> Middleware:
    async def middleware(req: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
        for _ in range(count - 1):
            resp = await handler(req)
            log.append(resp.status)
            if resp.status not in BUSY:
                return resp
            resp.release()
        return await handler(req)

    return middleware


async def token(req: aiohttp.ClientRequest, handler: Handler) -> aiohttp.ClientResponse:
    req.headers["X-Token"] = f"for {req.method}"
    return await handler(req)


async def main(site: str) -> tuple[list[int], str, int]:
    """`site` is httpbin."""
    log: list[int] = []
    async with aiohttp.ClientSession(middlewares=(tries(3, log), token)) as session:
        async with session.get(f"{site}status/503") as resp:
            assert resp.status == 503
        async with session.get(f"{site}headers") as resp:
            signed = (await resp.json())["headers"]["X-Token"]
    digest = aiohttp.DigestAuthMiddleware(login="somebody", password="opensesame")
    url = f"{site}digest-auth/auth/somebody/opensesame"
    async with aiohttp.ClientSession(middlewares=(digest,)) as session, session.get(url) as resp:
        status = resp.status
    return log, signed, status
