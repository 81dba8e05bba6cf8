"""Digest authentication as a client middleware (RFC 7616)."""

from yarl import URL

from client.body import Body
from client.challenges import parse_challenges, parse_parameters
from client.digest import DigestAnswers, DigestChallenge, choose_challenge, protects
from client.middleware import Handler
from client.request import ClientRequest
from client.response import ClientResponse

__all__ = ["DigestAuthMiddleware"]


class DigestAuthMiddleware:
    """Answers Digest challenges with a login and a password: ``ClientSession(middlewares=[DigestAuthMiddleware(…)])``.

    The credentials are used for the origin of the first request, and for URIs that a challenge from there names as its
    domain; other origins, to which a redirect may lead, are not sent them. With `preemptive`, later requests within the
    domain of the last challenge carry credentials at once. Requests with their own Authorization header are left alone. If
    the body of a request cannot be sent twice, its 401 is returned.
    """

    def __init__(self, login: str, password: str, preemptive: bool = True) -> None:
        if login is None or password is None:
            raise ValueError("login and password cannot be None")
        if ":" in login:
            raise ValueError(f"a login cannot hold a colon: {login!r}")
        self._login = login
        self._password = password
        self._preemptive = preemptive
        self._origin: URL | None = None
        self._answers: DigestAnswers | None = None
        self._challenged: URL | None = None  # where the challenge came from

    async def __call__(self, request: ClientRequest, handler: Handler) -> ClientResponse:
        """Send a request, and send it again with an answer if the server responds with a challenge."""
        can_repeat = request.body is None or request.body.can_replay
        if "Authorization" in request.headers or not self._may_authenticate(request.url):
            return await handler(request)
        known = self._known_answers(request.url, can_read_body=can_repeat)
        nonce = known.nonce if known else None
        if known is not None:
            await _authorize(request, known)
        response = await handler(request)
        challenge = self._read(response, request.url, nonce)
        if challenge is None or not can_repeat:
            return response
        response.release()
        self._answers = DigestAnswers(challenge, self._login, self._password)
        self._challenged = request.url
        await _authorize(request, self._answers)
        response = await handler(request)
        self._read(response, request.url, challenge.nonce)
        return response

    def _may_authenticate(self, url: URL) -> bool:
        if self._origin is None:
            self._origin = url.origin()
        return url.origin() == self._origin or self._is_protected(url)

    def _known_answers(self, url: URL, *, can_read_body: bool) -> DigestAnswers | None:
        """Return the answers to use before the server sends a challenge, or None to wait for one."""
        answers = self._answers
        if not self._preemptive or answers is None or not self._is_protected(url):
            return None
        return answers if can_read_body or answers.challenge.qop != "auth-int" else None

    def _is_protected(self, url: URL) -> bool:
        if self._answers is None or self._challenged is None:
            return False
        return protects(self._answers.challenge, self._challenged, url)

    def _read(self, response: ClientResponse, url: URL, nonce: str | None) -> DigestChallenge | None:
        """Return the challenge to answer, if any; a request that used `nonce` is not repeated with the same one."""
        if response.status != 401:
            info = response.headers.get("Authentication-Info")
            next_nonce = parse_parameters(info).get("nextnonce") if info and nonce else None
            if next_nonce and self._answers is not None and self._is_protected(url):
                self._answers.renew(next_nonce)
            return None
        challenge = choose_challenge(parse_challenges(response.headers.getall("WWW-Authenticate", ())))
        if challenge is None or (challenge.nonce == nonce and not challenge.is_stale):
            return None
        return challenge


async def _authorize(request: ClientRequest, answers: DigestAnswers) -> None:
    body_digest = await _hash(request.body, answers) if answers.challenge.qop == "auth-int" else None
    request.headers["Authorization"] = answers.answer(request.method, request.url.raw_path_qs, body_digest)


async def _hash(body: Body | None, answers: DigestAnswers) -> str:
    hasher = answers.challenge.hasher()
    if body is not None:
        async for part in body.parts():
            hasher.update(part)
    return hasher.hexdigest()
