"""Signals: callbacks that are called at the stages of a request, collected in a `TraceConfig`.

A callback is a coroutine function of three arguments: the session, a context object made for each request, and the
signal's parameters. Nothing here runs for a session without trace configurations.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableSequence, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from multidict import CIMultiDict
    from yarl import URL

    from client.response import ClientResponse

P = TypeVar("P")
Callback = Callable[[Any, Any, P], Awaitable[None]]


class TraceRequestStartParams(NamedTuple):
    """A call of the session begins; `headers` are the caller's together with the session's."""

    method: str
    url: URL
    headers: CIMultiDict[str]


class TraceRequestHeadersSentParams(NamedTuple):
    """The head of a request has been handed to the transport."""

    method: str
    url: URL
    headers: CIMultiDict[str]


class TraceRequestChunkSentParams(NamedTuple):
    """A part of a request's body has been handed to the transport: `chunk`, as it was given or compressed."""

    method: str
    url: URL
    chunk: bytes


class TraceResponseChunkReceivedParams(NamedTuple):
    """The body of a response has been read."""

    method: str
    url: URL
    chunk: bytes


class TraceRequestRedirectParams(NamedTuple):
    """A redirect is about to be followed; `response` is the redirect."""

    method: str
    url: URL
    headers: CIMultiDict[str]
    response: ClientResponse


class TraceRequestEndParams(NamedTuple):
    """The call returns its response; the body may still be arriving."""

    method: str
    url: URL
    headers: CIMultiDict[str]
    response: ClientResponse


class TraceRequestExceptionParams(NamedTuple):
    """The call ends with an exception."""

    method: str
    url: URL
    headers: CIMultiDict[str]
    exception: BaseException


class TraceConnectionQueuedStartParams(NamedTuple):
    """The request waits for its host's slot."""


class TraceConnectionQueuedEndParams(NamedTuple):
    """The request has its slot."""


class TraceConnectionCreateStartParams(NamedTuple):
    """A connection is about to be opened."""


class TraceConnectionCreateEndParams(NamedTuple):
    """The connection is open."""


class TraceConnectionReuseconnParams(NamedTuple):
    """The request uses a connection that another request has used before."""


class TraceDnsResolveHostStartParams(NamedTuple):
    """A host's name is about to be resolved."""

    host: str


class TraceDnsResolveHostEndParams(NamedTuple):
    """The host's name has been resolved."""

    host: str


class TraceDnsCacheHitParams(NamedTuple):
    """The host's addresses are in the cache."""

    host: str


class TraceDnsCacheMissParams(NamedTuple):
    """The host's addresses are not in the cache."""

    host: str


class Signal(MutableSequence[Callback[P]]):
    """A list of the callbacks of one signal: `append` them, or use the signal as a decorator.

    Changing it raises `RuntimeError` once a session uses the configuration.
    """

    def __init__(self) -> None:
        self._callbacks: list[Callback[P]] = []
        self._is_frozen = False

    def __call__(self, callback: Callback[P]) -> Callback[P]:
        self.append(callback)
        return callback

    @property
    def frozen(self) -> bool:
        return self._is_frozen

    def freeze(self) -> None:
        self._is_frozen = True

    def insert(self, index: int, callback: Callback[P]) -> None:
        self._check()
        self._callbacks.insert(index, callback)

    def __len__(self) -> int:
        return len(self._callbacks)

    def __getitem__(self, index: Any) -> Any:
        return self._callbacks[index]

    def __setitem__(self, index: Any, callback: Any) -> None:
        self._check()
        self._callbacks[index] = callback

    def __delitem__(self, index: Any) -> None:
        self._check()
        del self._callbacks[index]

    def _check(self) -> None:
        if self._is_frozen:
            raise RuntimeError("a session already uses this trace configuration")


class _ContextFactory(Protocol):
    def __call__(self, *, trace_request_ctx: Any) -> Any: ...


class TraceConfig:
    """A set of callbacks, for `ClientSession(trace_configs=[...])`.

    The context object of a request is what `trace_config_ctx_factory(trace_request_ctx=...)` returns, given the value
    that the caller passed to the request as `trace_request_ctx`.
    """

    def __init__(self, trace_config_ctx_factory: _ContextFactory = SimpleNamespace) -> None:
        self._make_context = trace_config_ctx_factory
        self.on_request_start: Signal[TraceRequestStartParams] = Signal()
        self.on_request_headers_sent: Signal[TraceRequestHeadersSentParams] = Signal()
        self.on_request_chunk_sent: Signal[TraceRequestChunkSentParams] = Signal()
        self.on_response_chunk_received: Signal[TraceResponseChunkReceivedParams] = Signal()
        self.on_request_redirect: Signal[TraceRequestRedirectParams] = Signal()
        self.on_request_end: Signal[TraceRequestEndParams] = Signal()
        self.on_request_exception: Signal[TraceRequestExceptionParams] = Signal()
        self.on_connection_queued_start: Signal[TraceConnectionQueuedStartParams] = Signal()
        self.on_connection_queued_end: Signal[TraceConnectionQueuedEndParams] = Signal()
        self.on_connection_create_start: Signal[TraceConnectionCreateStartParams] = Signal()
        self.on_connection_create_end: Signal[TraceConnectionCreateEndParams] = Signal()
        self.on_connection_reuseconn: Signal[TraceConnectionReuseconnParams] = Signal()
        self.on_dns_resolvehost_start: Signal[TraceDnsResolveHostStartParams] = Signal()
        self.on_dns_resolvehost_end: Signal[TraceDnsResolveHostEndParams] = Signal()
        self.on_dns_cache_hit: Signal[TraceDnsCacheHitParams] = Signal()
        self.on_dns_cache_miss: Signal[TraceDnsCacheMissParams] = Signal()
        self._by_params: dict[type[Any], Signal[Any]] = {
            TraceRequestStartParams: self.on_request_start,
            TraceRequestHeadersSentParams: self.on_request_headers_sent,
            TraceRequestChunkSentParams: self.on_request_chunk_sent,
            TraceResponseChunkReceivedParams: self.on_response_chunk_received,
            TraceRequestRedirectParams: self.on_request_redirect,
            TraceRequestEndParams: self.on_request_end,
            TraceRequestExceptionParams: self.on_request_exception,
            TraceConnectionQueuedStartParams: self.on_connection_queued_start,
            TraceConnectionQueuedEndParams: self.on_connection_queued_end,
            TraceConnectionCreateStartParams: self.on_connection_create_start,
            TraceConnectionCreateEndParams: self.on_connection_create_end,
            TraceConnectionReuseconnParams: self.on_connection_reuseconn,
            TraceDnsResolveHostStartParams: self.on_dns_resolvehost_start,
            TraceDnsResolveHostEndParams: self.on_dns_resolvehost_end,
            TraceDnsCacheHitParams: self.on_dns_cache_hit,
            TraceDnsCacheMissParams: self.on_dns_cache_miss,
        }

    def trace_config_ctx(self, trace_request_ctx: Any = None) -> Any:
        """Return a context object for one request."""
        return self._make_context(trace_request_ctx=trace_request_ctx)

    def freeze(self) -> None:
        """Allow no further changes to the callbacks."""
        for signal in self._by_params.values():
            signal.freeze()

    def callbacks_for(self, params: object) -> Signal[Any]:
        """Return the signal for parameters of this type."""
        return self._by_params[type(params)]


class Trace:
    """One configuration applied to one request."""

    __slots__ = ("_config", "_context", "_session")

    def __init__(self, session: object, config: TraceConfig, trace_request_ctx: object) -> None:
        self._session = session
        self._config = config
        self._context = config.trace_config_ctx(trace_request_ctx)

    async def send(self, params: object) -> None:
        """Call the callbacks of the signal to which these parameters belong."""
        for callback in self._config.callbacks_for(params):
            await callback(self._session, self._context, params)


async def emit(traces: Sequence[Trace], params: object) -> None:
    """Send one signal to every trace of a request."""
    for trace in traces:
        await trace.send(params)
