"""A site of any number of pages, none of which is kept: each is made when it is asked for, in microseconds.

Page `n` leads to pages `8n + 1` to `8n + 8`, so far as there are so many, and besides to pages that lie before it, as menus
do: 22 links in 12 KB. Whoever follows all links comes to exactly `pages` pages.

Usage: python -m tests.servers.tree PAGES SOCKET    (the number of an inherited file that listens)
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import cast

import httptools
import uvloop

BRANCHES = 8
MENU = 13
_FILLER = "<p>" + "One thing leads to another, and the other back to one. " * 5 + "</p>\n"
_BODY = _FILLER * 40


def page(number: int, pages: int) -> bytes:
    """The HTML of a page."""
    below = range(BRANCHES * number + 1, min(BRANCHES * number + BRANCHES, pages - 1) + 1)
    before = (number * step // (MENU + 1) for step in range(MENU))
    links = "".join(f'<li><a href="{_path(other)}">Page {other}</a></li>\n' for other in (*before, *below))
    title = f"Page {number}"
    return (
        f"<!DOCTYPE html>\n<title>{title}</title>\n<ul>\n{links}</ul>\n<h1>{title}</h1>\n{_BODY}<a href='/'>Home</a>\n"
    ).encode()


def _path(number: int) -> str:
    return f"/{number}.html" if number else "/"


class Server(asyncio.Protocol):
    """One connection; it is asked one thing at a time."""

    def __init__(self, pages: int) -> None:
        self._pages = pages
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_message_complete(self) -> None:
        name = self._url.strip(b"/").removesuffix(b".html") or b"0"
        if name.isdigit() and int(name) < self._pages:
            status, body = "200 OK", page(int(name), self._pages)
        else:
            status, body = "404 Not Found", b""
        head = f"HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)


async def main(pages: int, listener: int) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Server(pages), sock=socket.socket(fileno=listener))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
