"""What errors and responses say about a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from multidict import CIMultiDict, CIMultiDictProxy

if TYPE_CHECKING:
    from yarl import URL


class _RequestInfo(NamedTuple):
    url: URL
    """Without the fragment."""
    method: str
    headers: CIMultiDictProxy[str]
    real_url: URL
    """With the fragment."""


class RequestInfo(_RequestInfo):
    """A request as it was sent, for errors and `ClientResponse.request_info`. `real_url` (with the fragment) defaults to `url`."""

    __slots__ = ()

    def __new__(cls, url: URL, method: str, headers: CIMultiDictProxy[str], real_url: URL | None = None) -> RequestInfo:
        return super().__new__(cls, url, method, headers, url if real_url is None else real_url)

    def __reduce__(self) -> tuple[Any, ...]:
        return _request_info, (self.url, self.method, self.headers.copy(), self.real_url)  # a proxy cannot be pickled


def _request_info(url: URL, method: str, headers: CIMultiDict[str], real_url: URL) -> RequestInfo:
    return RequestInfo(url, method, CIMultiDictProxy(headers), real_url)
