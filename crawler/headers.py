"""The headers of a response as the crawl file keeps them: a JSON list of pairs."""

from __future__ import annotations

import msgspec
from multidict import CIMultiDict, CIMultiDictProxy

_encode = msgspec.json.Encoder().encode


def headers_to_json(headers: CIMultiDictProxy[str]) -> str:
    """Headers as they are kept; bytes in them that are no text become question marks."""
    pairs = [(str(name), value) for name, value in headers.items()]
    try:
        return _encode(pairs).decode()
    except UnicodeEncodeError:
        return _encode([(name, value.encode("utf-8", "replace").decode()) for name, value in pairs]).decode()


def headers_from_json(kept: str) -> CIMultiDictProxy[str]:
    """The headers that `headers_to_json` wrote."""
    return CIMultiDictProxy(CIMultiDict(msgspec.json.decode(kept, type=list[tuple[str, str]])))
