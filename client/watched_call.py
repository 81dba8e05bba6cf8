"""Calls in which the user's code takes part: signals before and after them, middlewares around each of their requests, and checks
of the status.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from client.errors import ClientError, ServerTimeoutError
from client.timeouts import fail_at
from client.tracing import (
    Trace,
    TraceRequestEndParams,
    TraceRequestExceptionParams,
    TraceRequestStartParams,
    emit,
)

if TYPE_CHECKING:
    from multidict import CIMultiDict

    from client.call import Call
    from client.middleware import Handler, Middleware, StatusCheck
    from client.request import ClientRequest
    from client.response import ClientResponse


async def run_watched(session: object, call: Call, check: StatusCheck) -> ClientResponse:
    """Run a call of a session: send its signals, and apply the deadline to all of it."""
    headers = call.policy.defaults.headers.copy()
    headers.update(call.headers or ())
    response: ClientResponse | None = None
    started: list[Trace] = []
    if call.settings.middlewares:
        middlewares = (_introducing(session), *call.settings.middlewares, _address)
        call.settings = replace(call.settings, middlewares=middlewares)
    try:
        async with fail_at(call.deadline_at, ServerTimeoutError("the total time allowed has passed")):
            await _tell_start(call, headers, started)
            response = await call.run()
            if check:
                await check_status(response, check)
            await emit(call.traces, TraceRequestEndParams(call.method, call.url, headers, response))
    except BaseException as error:
        if response is not None:
            response.close()
        if isinstance(error, ClientError) and error.url is None:
            error.method, error.url = call.method, call.url
        await emit(started, TraceRequestExceptionParams(call.method, call.url, headers, error))
        raise
    call.response = response
    return response


async def check_status(response: ClientResponse, check: StatusCheck) -> None:
    """Raise an error for a status, as `check` says; then the response is closed."""
    if not callable(check):
        response.raise_for_status()
        return
    try:
        await check(response)
    except BaseException:
        response.close()
        raise


async def _tell_start(call: Call, headers: CIMultiDict[str], started: list[Trace]) -> None:
    """Send the first signal, whose callbacks may change the headers; adds the traces that got it to `started`."""
    before = headers.copy()
    for trace in call.traces:
        await trace.send(TraceRequestStartParams(call.method, call.url, headers))
        started.append(trace)
    call.take_changes(before, headers)


def _introducing(session: object) -> Middleware:
    """Return a middleware that tells the others which session a request is from, and adds its Host header: some of them sign that."""

    async def introduce(request: ClientRequest, handler: Handler) -> ClientResponse:
        request.session = session
        request.name_host()
        return await handler(request)

    return introduce


async def _address(request: ClientRequest, handler: Handler) -> ClientResponse:
    """Adapt the Host header to a URL that a middleware has changed."""
    request.follow_host()
    return await handler(request)
