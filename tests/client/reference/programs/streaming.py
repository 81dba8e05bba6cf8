"""Download to a file and upload from one, a piece at a time."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import client as aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


async def download(session: aiohttp.ClientSession, url: str, target: Path) -> int:
    async with session.get(url) as resp:
        resp.raise_for_status()
        with target.open("wb") as fd:
            async for chunk in resp.content.iter_chunked(16 * 1024):
                fd.write(chunk)
        return resp.content_length or 0


async def numbers() -> AsyncIterator[bytes]:
    for number in range(1000):
        yield f"{number}\n".encode()


async def main(files: str, echo: str, target: Path) -> tuple[int, str, int, int]:
    async with aiohttp.ClientSession() as session:
        size = await download(session, f"{files}blob.bin", target)
        digest = hashlib.sha256(target.read_bytes()).hexdigest()

        with target.open("rb") as fd:
            async with session.put(echo, data=fd) as resp:
                uploaded = len((await resp.json())["body"])

        async with session.post(echo, data=numbers()) as resp:
            lines = (await resp.json())["body"].count("\n")
    return size, digest, uploaded, lines
