"""Which failure is tried again, and when."""

from __future__ import annotations

import socket
import time
from email.utils import formatdate
from typing import NamedTuple

import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from client import ClientConnectorDNSError, ClientHttpProxyError, ClientPayloadError, RequestInfo, ServerTimeoutError
from client.origin import HostKey
from crawler.frontier import Lease
from crawler.outcome import Failed, Postponed
from crawler.retries import RetryPolicy, failure_of, failure_of_lookup, failure_of_status, retry_after_of

POLICY = RetryPolicy(max_attempts=3, wait=2.0, max_wait=60.0)


def lease(attempts: int = 0) -> Lease:
    url = "http://h.example/"
    return Lease(id=1, host=HostKey("h.example"), url=url, method="GET", depth=0, requested_url=url, attempts=attempts)


@pytest.mark.parametrize(
    ("status", "temporary"),
    [(404, False), (403, False), (503, True), (429, True), (500, True), (501, False), (799, False)],
)
def test_statuses(status: int, temporary: bool) -> None:
    failure = failure_of_status(status)
    assert failure
    assert failure.kind == "http"
    assert failure.text.startswith(str(status))
    assert failure.is_temporary is temporary


@pytest.mark.parametrize("status", [200, 201, 204, 206, 299])
def test_a_success_is_no_failure(status: int) -> None:
    assert failure_of_status(status) is None


def test_client_errors_have_a_kind() -> None:
    assert failure_of(ServerTimeoutError("late"))[::2] == ("timeout", True)
    assert failure_of(ClientPayloadError("cut"))[::2] == ("payload", True)


class Destination(NamedTuple):
    host: str = "h.example"
    port: int | None = 443
    is_ssl: bool = True
    ssl: bool = True


@pytest.mark.parametrize(
    ("number", "temporary"), [(socket.EAI_NONAME, False), (socket.EAI_AGAIN, True), (socket.EAI_FAIL, True)]
)
def test_a_name_that_does_not_exist_is_not_looked_up_again(number: int, temporary: bool) -> None:
    """As opposed to one of which nobody could be asked."""
    error = OSError(number, "why")
    assert failure_of(ClientConnectorDNSError(Destination(), error))[::2] == ("dns", temporary)
    assert failure_of_lookup("h.example", error)[::2] == ("dns", temporary)


@pytest.mark.parametrize(
    ("status", "kind", "temporary"),
    [(407, "proxy", False), (403, "connect", False), (429, "connect", True), (502, "connect", True)],
)
def test_what_a_proxy_answers_instead_of_a_tunnel(status: int, kind: str, temporary: bool) -> None:
    """Only that it wants other credentials is about the proxy; all else is about the host."""
    asked = RequestInfo(URL("https://h.example/"), "CONNECT", CIMultiDictProxy(CIMultiDict()))
    failure = failure_of(ClientHttpProxyError(asked, (), status=status, message="why"))
    assert failure[::2] == (kind, temporary)


def test_a_temporary_failure_is_tried_as_often_as_allowed() -> None:
    failure = failure_of(ServerTimeoutError("late"))
    assert isinstance(POLICY.decide(lease(0), failure), Postponed)
    assert isinstance(POLICY.decide(lease(1), failure), Postponed)
    assert POLICY.decide(lease(2), failure) == Failed(error="timeout: late", final_url="http://h.example/")


def test_a_lasting_failure_is_final_at_once() -> None:
    failure = failure_of_status(404)
    assert failure
    assert isinstance(POLICY.decide(lease(), failure), Failed)


def test_waits_double_and_are_capped() -> None:
    """They are drawn evenly from 0 on (full jitter): those who failed together do not come back together."""
    for attempt in range(1, 12):
        waits = sorted(POLICY.wait_before(attempt) for _ in range(1000))
        bound = min(60.0, 2.0 * 2 ** (attempt - 1))
        assert 0.0 <= waits[0] < 0.1 * bound
        assert 0.4 * bound < waits[500] < 0.6 * bound
        assert 0.9 * bound < waits[-1] <= bound
    assert POLICY.wait_before(10_000) <= 60.0, "however many there were"


def test_what_the_server_asks_for_is_done_within_bounds() -> None:
    failure = failure_of_status(503)
    assert failure
    before = time.time()
    outcome = POLICY.decide(lease(), failure, retry_after=10.0)
    assert isinstance(outcome, Postponed)
    assert before + 10 <= outcome.not_before <= time.time() + 10
    outcome = POLICY.decide(lease(), failure, retry_after=10.0**9)
    assert isinstance(outcome, Postponed)
    assert outcome.not_before <= time.time() + 60


def test_retry_after_is_seconds_or_a_date() -> None:
    assert retry_after_of("120") == 120.0
    assert retry_after_of(" 7 ") == 7.0
    ahead = retry_after_of(formatdate(time.time() + 100, usegmt=True))
    assert ahead is not None
    assert 95 <= ahead <= 100
    assert retry_after_of(formatdate(0, usegmt=True)) == 0.0
    assert retry_after_of("soon") is None
    assert retry_after_of("") is None
    assert retry_after_of(None) is None
    assert retry_after_of("-5") is None
