"""What the ASGI server says it has seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from multidict import CIMultiDict

if TYPE_CHECKING:
    from client import ClientResponse


class Seen(NamedTuple):
    """A request, seen from the server."""

    method: str
    target: str
    version: str
    headers: CIMultiDict[str]
    body: bytes
    client: tuple[str, int]

    @classmethod
    def of(cls, report: dict[str, Any]) -> Seen:
        """Read what the server reports."""
        headers = CIMultiDict([(name, value) for name, value in report["headers"]])
        address, port = report["client"]
        body = report["body"].encode("latin-1")
        return cls(report["method"], report["target"], report["version"], headers, body, (address, port))


async def seen(response: ClientResponse) -> Seen:
    """Read the answer of ``/echo``."""
    return Seen.of(await response.json())
