"""Measure requests from outside, by signals."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import client as aiohttp

if TYPE_CHECKING:
    from types import SimpleNamespace

Journal = list[tuple[str, str, bool]]


def measuring(journal: Journal) -> aiohttp.TraceConfig:
    async def on_start(
        session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestStartParams
    ) -> None:
        context.start = asyncio.get_running_loop().time()

    async def on_end(
        session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestEndParams
    ) -> None:
        elapsed = asyncio.get_running_loop().time() - context.start
        journal.append((context.trace_request_ctx["name"], params.url.path, elapsed > 0))

    trace_config = aiohttp.TraceConfig()
    trace_config.on_request_start.append(on_start)
    trace_config.on_request_end.append(on_end)
    return trace_config


async def main(site: str) -> Journal:
    journal: Journal = []
    async with aiohttp.ClientSession(trace_configs=[measuring(journal)]) as session:
        for name in ("first", "second"):
            async with session.get(f"{site}page.html", trace_request_ctx={"name": name}) as resp:
                await resp.read()
    return journal
