"""The server that holds crawlers to account must itself see right: here it is asked by impolite clients."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from http.client import HTTPConnection, IncompleteRead
from urllib.parse import urlsplit

import pytest

from tests.servers.web import Answer, Asked, WebServer, page, redirect


def connect(server: WebServer) -> closing[HTTPConnection]:
    return closing(HTTPConnection(urlsplit(server.url).netloc, timeout=10))


def get(connection: HTTPConnection, target: str) -> tuple[int, bytes]:
    connection.request("GET", target)
    response = connection.getresponse()
    return response.status, response.read()


def test_requests_at_once_are_counted() -> None:
    """Three connections, each with a request that is not answered before all have come."""
    together = threading.Barrier(3)

    def answer(_: Asked) -> Answer:
        together.wait(10)
        return page("at last")

    with WebServer(answer) as server:
        with connect(server) as one, connect(server) as two, connect(server) as three:
            for connection in (one, two, three):
                connection.request("GET", "/")
            assert [connection.getresponse().status for connection in (one, two, three)] == [200] * 3
        assert [asked.active for asked in server.journal()] == [1, 2, 3]
        assert server.journal()[-1].open == 3


def test_requests_one_after_the_other_are_not_at_once() -> None:
    """Neither over one connection nor over one closed for the next."""
    with WebServer(lambda asked: page(asked.target)) as server:
        for _ in range(20):
            with connect(server) as connection:
                assert get(connection, "/a")[0] == 200
                assert get(connection, "/b")[0] == 200
        assert {(asked.active, asked.open) for asked in server.journal()} == {(1, 1)}
        assert [asked.connection for asked in server.journal()][:4] == [0, 0, 1, 1]


def test_an_instant_is_that_of_arrival() -> None:
    """Two requests that were sent at once, before the server had a look at either, arrived at once."""
    reached, may_go_on = threading.Event(), threading.Event()

    def answer(asked: Asked) -> Answer:
        if asked.target == "/first":
            reached.set()
            may_go_on.wait(10)
        return page("")

    with WebServer(answer) as server, connect(server) as connection:
        connection.connect()
        connection.sock.sendall(b"GET /first HTTP/1.1\r\n\r\n")
        assert reached.wait(10)
        sent = time.time()
        connection.sock.sendall(b"GET /second HTTP/1.1\r\n\r\n")
        seen = time.time()
        may_go_on.set()
        assert server.wait(lambda journal: len(journal) == 2)
        assert sent <= server.journal()[1].at <= seen


def test_answers_are_what_they_say() -> None:
    """A redirect, a body that breaks off, silence."""

    def answer(asked: Asked) -> Answer | None:
        answers = {"/away": redirect("/there"), "/cut": Answer(body=b"x" * 100, hang_up=120)}
        return answers.get(asked.target)

    with WebServer(answer) as server:
        with connect(server) as connection:
            assert get(connection, "/away") == (302, b"")
            with pytest.raises(IncompleteRead):
                get(connection, "/cut")
        with connect(server) as connection:
            connection.request("GET", "/silence")
            assert server.wait(lambda journal: journal[-1].target == "/silence")
