"""WWW-Authenticate headers, and the answers to what is found in them."""

from random import Random

from client.challenges import parse_challenges, parse_parameters
from client.digest import DigestAnswers, choose_challenge
from tests.fuzz.text import header

_WORDS = [
    *("Digest ", "Basic ", "Negotiate ", "realm=", "nonce=", "nonce=x", "qop=auth", 'qop="auth,auth-int"', "opaque=", "domain="),
    *("algorithm=", "MD5", "SHA-256-sess", "stale=true", "userhash=true", ", ", ",", "=", '"', "\\", " ", "abc=="),
]  # fmt: skip


class Target:
    def execute(self, random: Random) -> None:
        value = header(random, _WORDS)
        parse_parameters(value)
        challenge = choose_challenge(parse_challenges([value, header(random, _WORDS)]))
        if challenge is not None:
            try:
                answer = DigestAnswers(challenge, "m\u00e9", "p").answer("GET", "/", "0")
            except UnicodeEncodeError:  # a lone surrogate: no header that was received can hold one
                return
            assert answer.startswith("Digest username")
            assert not set(answer) & set("\r\n\0")
