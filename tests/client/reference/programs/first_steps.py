"""Ask for pages, JSON and images; send forms, JSON and files."""

from __future__ import annotations

import io
from typing import Any

import client as aiohttp


async def main(site: str) -> dict[str, Any]:
    """`site` is httpbin."""
    found: dict[str, Any] = {}
    async with aiohttp.ClientSession(site, headers={"User-Agent": "first-steps/1.0"}) as session:
        async with session.get("html") as resp:
            found["status"] = resp.status
            found["type"] = resp.headers["content-type"].split(";")[0]
            found["title"] = "Herman Melville" in await resp.text()

        async with session.get("get", params={"key1": "value1", "key2": "value2"}) as resp:
            found["url"] = str(resp.url).removeprefix(site)
            found["args"] = (await resp.json())["args"]

        async with session.get("image/png") as resp:
            found["image"] = (await resp.read())[1:4]

        async with session.post("post", json={"test": "object"}) as resp:
            found["json"] = (await resp.json())["json"]

        form = aiohttp.FormData()
        form.add_field("comment", "a file comes along")
        form.add_field("report", io.BytesIO(b"1,2,3"), filename="report.csv", content_type="text/csv")
        async with session.post("post", data=form) as resp:
            answer = await resp.json()
            found["form"] = answer["form"], answer["files"]

        async with session.get("headers") as resp:
            found["agent"] = (await resp.json())["headers"]["User-Agent"]
    return found
