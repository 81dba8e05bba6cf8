"""Send and receive bodies of several parts."""

from __future__ import annotations

from typing import Any

import client as aiohttp


async def main(site: str) -> tuple[list[Any], str]:
    found: list[Any] = []
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{site}multipart") as resp:
            reader = aiohttp.MultipartReader.from_response(resp)
            while True:
                part = await reader.next()
                if part is None:
                    break
                if isinstance(part, aiohttp.MultipartReader):
                    found.append([await inner.read() async for inner in part])  # type: ignore[union-attr]
                elif part.headers.get("Content-Type") == "application/json":
                    found.append(await part.json())
                else:
                    found.append((part.filename, await part.text()))

        with aiohttp.MultipartWriter("mixed") as mpwriter:
            mpwriter.append("plain")
            mpwriter.append_json({"a": 1})
        async with session.post(f"{site}echo", data=mpwriter) as resp:
            body = (await resp.json())["body"]
    return found, body
