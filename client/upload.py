"""Sending the body of a request that does not go out with its head: part by part, while the response is awaited."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from client.errors import ClientConnectionError, ClientConnectionResetError
from client.framing import LAST_CHUNK
from client.tracing import TraceRequestChunkSentParams, emit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from client.carrier import Carrier
    from client.connection import Connection
    from client.exchange import Exchange
    from client.request import ClientRequest
    from client.tracing import Trace

_CONTINUE_SECONDS: Final = 1.0
"""How long a body waits for 100 (Continue) before it is sent anyway (RFC 9110 §10.1.1); the same as in curl."""


async def begin_upload(
    connection: Connection, exchange: Exchange, request: ClientRequest, traces: Sequence[Trace]
) -> None:
    """Start a task that sends the body, unless a final response comes before 100 (Continue)."""
    if request.expects_continue:
        assert exchange.may_continue is not None
        either = (exchange.may_continue, exchange.answered)
        await asyncio.wait(either, timeout=_CONTINUE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if exchange.answered.done():
            connection.protocol.withhold(exchange)
            return
    connection.upload = asyncio.ensure_future(_upload(connection.protocol, exchange, request, traces))


async def _upload(protocol: Carrier, exchange: Exchange, request: ClientRequest, traces: Sequence[Trace]) -> None:
    """Send the body. An error ends the exchange, and so is raised where the response is awaited."""
    try:
        async with aclosing(request.parts()) as parts:  # closes it now, not when it is garbage-collected
            async for part in parts:
                for piece in request.framed(part) if protocol.takes_chunks else (part,):
                    await protocol.write(exchange, piece)
                if traces:
                    await emit(traces, TraceRequestChunkSentParams(request.method, request.url, part))
        if request.chunked and protocol.takes_chunks:
            await protocol.write(exchange, LAST_CHUNK)
        protocol.end(exchange)
    except ClientConnectionResetError:
        return  # the connection was closed, with or without a response, as the exchange records
    except (Exception, asyncio.CancelledError) as error:  # anything that the caller's file or generator raises
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise  # this task itself is cancelled, since the connection is given back
        failure = ClientConnectionError(f"the request's body could not be sent: {error!r}")
        failure.__cause__ = error
        protocol.fail(failure)
