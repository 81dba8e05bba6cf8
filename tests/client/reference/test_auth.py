"""Credentials: Basic and Digest, as nginx and httpbin check them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from yarl import URL

from client import BasicAuth, ClientSession, DigestAuthMiddleware, TraceConfig, encode_basic_auth
from tests.client.reference.table import exercises

if TYPE_CHECKING:
    from tests.client.reference.servers.nginx import Addresses


@exercises("encode_basic_auth", "BasicAuth.encode")
async def test_basic_credentials_can_be_a_header(session: ClientSession, nginx: Addresses) -> None:
    header = encode_basic_auth("somebody", "opensesame")
    assert header == BasicAuth("somebody", "opensesame").encode()
    async with session.get(f"{nginx.plain}private", headers={"Authorization": header}) as response:
        assert response.status == 200


@exercises("BasicAuth.from_url")
async def test_basic_credentials_can_be_in_the_url(session: ClientSession, nginx: Addresses) -> None:
    url = URL(f"{nginx.plain}private").with_user("somebody").with_password("opensesame")
    assert BasicAuth.from_url(url) == BasicAuth("somebody", "opensesame")
    async with session.get(url) as response:
        assert response.status == 200
        assert response.url.user is None


@exercises(
    "BasicAuth(login)",
    "BasicAuth(password)",
    "BasicAuth(encoding)",
    "BasicAuth.login",
    "BasicAuth.password",
    "BasicAuth.encoding",
    "BasicAuth.decode",
)
@pytest.mark.parametrize(("encoding", "status"), [("utf-8", 200), ("latin-1", 401)])
async def test_basic_credentials_have_an_encoding(
    session: ClientSession, httpbin: str, encoding: str, status: int
) -> None:
    auth = BasicAuth("käse", "schlüssel", encoding)
    assert (auth.login, auth.password, auth.encoding) == ("käse", "schlüssel", encoding)
    assert BasicAuth.decode(auth.encode(), encoding) == auth
    async with session.get(f"{httpbin}basic-auth/käse/schlüssel", auth=auth) as response:
        assert response.status == status


@exercises("DigestAuthMiddleware", "DigestAuthMiddleware(login)", "DigestAuthMiddleware(password)")
@pytest.mark.parametrize("qop", ["auth", "auth-int"])
@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "SHA-512"])
async def test_digest_challenges_are_answered(httpbin: str, qop: str, algorithm: str) -> None:
    url = f"{httpbin}digest-auth/{qop}/somebody/opensesame/{algorithm}"
    for password, status in (("opensesame", 200), ("wrong", 401)):
        digest = DigestAuthMiddleware("somebody", password)
        async with ClientSession(middlewares=[digest]) as session, session.get(url) as response:
            assert response.status == status


@exercises("DigestAuthMiddleware(preemptive)")
@pytest.mark.parametrize(("preemptive", "requests"), [(True, 3), (False, 4)])
async def test_digest_answers_may_come_before_the_question(httpbin: str, preemptive: bool, requests: int) -> None:
    sent = 0

    async def count(*_signal: object) -> None:
        nonlocal sent
        sent += 1

    trace = TraceConfig()
    trace.on_request_headers_sent.append(count)
    digest = DigestAuthMiddleware("somebody", "opensesame", preemptive)
    async with ClientSession(middlewares=[digest], trace_configs=[trace]) as session:
        for _ in range(2):
            async with session.get(f"{httpbin}digest-auth/auth/somebody/opensesame") as response:
                assert response.status == 200
    assert sent == requests
