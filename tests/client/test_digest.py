"""Digest answers: the standard's vectors, and each rule of RFC 7616."""

import hashlib
import re

import pytest
from yarl import URL

from client.challenges import parse_challenges
from client.digest import DigestAnswers, DigestChallenge, choose_challenge, protects

needs_sha512_256 = pytest.mark.skipif("sha512_256" not in hashlib.algorithms_available, reason="OpenSSL lacks it")


def challenge_of(value: str) -> DigestChallenge:
    challenge = choose_challenge(parse_challenges([value]))
    assert challenge is not None
    return challenge


def fields_of(header: str) -> dict[str, str]:
    scheme, _, rest = header.partition(" ")
    assert scheme == "Digest"
    return {
        name: quoted or bare for name, quoted, bare in re.findall(r'([\w*]+)=(?:"((?:[^"\\]|\\.)*)"|([^,]*))', rest)
    }


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_first_example_of_the_standard(algorithm: str, response: str) -> None:
    """RFC 7616 §3.9.1."""
    challenge = challenge_of(
        f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    client_nonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    answers = DigestAnswers(challenge, "Mufasa", "Circle of Life", client_nonce=client_nonce)
    assert fields_of(answers.answer("GET", "/dir/index.html")) == {
        "username": "Mufasa",
        "realm": "http-auth@example.org",
        "uri": "/dir/index.html",
        "algorithm": algorithm,
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "nc": "00000001",
        "cnonce": client_nonce,
        "qop": "auth",
        "response": response,
        "opaque": "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
    }


@needs_sha512_256
def test_the_second_example_of_the_standard() -> None:
    """RFC 7616 §3.9.2, with the values of erratum 4897: the printed ones were made with another hash."""
    challenge = challenge_of(
        'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, '
        'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", '
        'opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true'
    )
    answers = DigestAnswers(
        challenge, "J\u00e4s\u00f8n Doe", "Secret, or not?", client_nonce="NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v"
    )
    fields = fields_of(answers.answer("GET", "/doe.json"))
    assert fields["username"] == "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
    assert fields["response"] == "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
    assert fields["userhash"] == "true"


def test_without_qop_as_in_the_first_digest() -> None:
    """RFC 2069, by hand: nothing of the client's goes into the response."""
    answers = DigestAnswers(challenge_of('Digest realm="r", nonce="n"'), "u", "p")
    fields = fields_of(answers.answer("GET", "/x"))
    key, subject = (hashlib.md5(text).hexdigest() for text in (b"u:r:p", b"GET:/x"))
    assert fields == {
        "username": "u",
        "realm": "r",
        "nonce": "n",
        "uri": "/x",
        "response": hashlib.md5(f"{key}:n:{subject}".encode()).hexdigest(),
    }


def test_the_key_of_a_session_is_made_once() -> None:
    """RFC 7616 §3.4.2: from the nonces of the first request, whatever nonce follows."""
    answers = DigestAnswers(
        challenge_of('Digest realm="r", nonce="n", qop=auth, algorithm=MD5-sess'), "u", "p", client_nonce="c"
    )
    key = hashlib.md5(hashlib.md5(b"u:r:p").hexdigest().encode() + b":n:c").hexdigest()
    subject = hashlib.md5(b"GET:/x").hexdigest()
    for nonce, count in (("n", 1), ("n", 2), ("m", 1)):
        answers.renew(nonce)
        expected = hashlib.md5(f"{key}:{nonce}:{count:08x}:c:auth:{subject}".encode()).hexdigest()
        fields = fields_of(answers.answer("GET", "/x"))
        assert (fields["response"], fields["nc"], fields["nonce"]) == (expected, f"{count:08x}", nonce)
        assert fields["algorithm"] == "MD5-sess"


def test_the_body_goes_into_an_auth_int_answer() -> None:
    answers = DigestAnswers(challenge_of('Digest realm="r", nonce="n", qop="auth-int"'), "u", "p", client_nonce="c")
    hasher = answers.challenge.hasher()
    hasher.update(b"body")
    key = hashlib.md5(b"u:r:p").hexdigest()
    subject = hashlib.md5(b"POST:/x:" + hashlib.md5(b"body").hexdigest().encode()).hexdigest()
    fields = fields_of(answers.answer("POST", "/x", hasher.hexdigest()))
    assert fields["response"] == hashlib.md5(f"{key}:n:00000001:c:auth-int:{subject}".encode()).hexdigest()
    assert fields["qop"] == "auth-int"


@pytest.mark.parametrize(
    ("name", "hash_name"),
    [("SHA", "sha1"), ("SHA-512", "sha512"), ("SHA256", "sha256"), ("sha-256-SESS", "sha256"), ("md5", "md5")],
)
def test_names_of_algorithms(name: str, hash_name: str) -> None:
    challenge = challenge_of(f"Digest realm=r, nonce=n, algorithm={name}")
    assert challenge.hasher().name == hash_name
    assert fields_of(DigestAnswers(challenge, "u", "p").answer("GET", "/"))["algorithm"] == name


def test_quotes_and_foreign_letters() -> None:
    challenge = challenge_of(r'Digest realm="a \"b\" \\c", nonce="n"')
    answers = DigestAnswers(challenge, 'say "u"', "p")
    header = answers.answer("GET", "/")
    assert r'realm="a \"b\" \\c"' in header
    assert r'username="say \"u\""' in header
    assert (
        fields_of(DigestAnswers(challenge, "J\u00e4s\u00f8n", "p").answer("GET", "/"))["username*"]
        == "UTF-8''J%C3%A4s%C3%B8n"
    )


def test_a_realm_that_is_not_utf_8_is_hashed_as_it_came() -> None:
    challenge = challenge_of('Digest realm="Zugang f\udcfcr", nonce="n"')
    key, subject = (hashlib.md5(text).hexdigest() for text in (b"u:Zugang f\xfcr:p", b"GET:/"))
    expected = hashlib.md5(f"{key}:n:{subject}".encode()).hexdigest()
    assert fields_of(DigestAnswers(challenge, "u", "p").answer("GET", "/"))["response"] == expected


# ---- which challenge is answered


@pytest.mark.parametrize(
    ("value", "algorithm"),
    [
        ("Basic realm=x, Digest nonce=a, algorithm=SHA-256, Digest nonce=b, algorithm=MD5", "SHA-256"),
        ("Digest nonce=a, algorithm=TIGER, Digest nonce=b, algorithm=MD5", "MD5"),
        ("Digest nonce=a, qop=auth-conf, Digest nonce=b, algorithm=MD5", "MD5"),
        ('Digest nonce="", Digest realm=x, Digest nonce=b, algorithm=MD5', "MD5"),
    ],
)
def test_the_first_challenge_that_can_be_answered(value: str, algorithm: str) -> None:
    assert challenge_of(value).algorithm == algorithm


@pytest.mark.parametrize(
    "value",
    ["", "Basic realm=x", "Bearer", "Digest", "Digest nonce=", "Digest nonce=a, algorithm=x", 'Digest nonce="a\nb"'],
)
def test_there_may_be_none(value: str) -> None:
    assert choose_challenge(parse_challenges([value])) is None


@pytest.mark.parametrize(
    ("qop", "chosen"),
    [
        ('"auth"', "auth"),
        ('"AUTH-INT , auth"', "auth"),
        ("auth-int", "auth-int"),
        ('"x, auth-int"', "auth-int"),
        ('""', None),
    ],
)
def test_the_quality_of_protection(qop: str, chosen: str | None) -> None:
    assert challenge_of(f"Digest nonce=a, qop={qop}").qop == chosen


def test_flags() -> None:
    challenge = challenge_of("Digest nonce=a, stale=TRUE, userhash=true")
    assert challenge.is_stale
    assert challenge.hashes_username
    challenge = challenge_of("Digest nonce=a, stale=false")
    assert not challenge.is_stale
    assert not challenge.hashes_username


# ---- where an answer is good


@pytest.mark.parametrize(
    ("domain", "url", "is_protected"),
    [
        ("", "https://example.com/any/path", True),
        ("", "http://example.com/", False),
        ("", "https://example.com:444/", False),
        ("", "https://other.example/", False),
        ("/a", "https://example.com/a", True),
        ("/a", "https://example.com/a?q", True),
        ("/a/", "https://example.com/a/b", True),
        ("/a", "https://example.com/ab", False),
        ("/a", "https://example.com/", False),
        ("/", "https://example.com/x", True),
        ("/x /a", "https://example.com/a/b", True),
        ("https://other.example/a", "https://other.example/a/b", True),
        ("https://other.example/a", "https://example.com/a/b", False),
        ("http://[", "https://example.com/", True),
        ("//[]]@/", "https://example.com/", True),
        ("//[v1.x]@ /a", "https://example.com/a/b", True),
        ("mailto:x", "https://example.com/", False),
    ],
)
def test_the_protection_space(domain: str, url: str, is_protected: bool) -> None:
    """RFC 7616 §3.3, domain."""
    challenge = challenge_of(f'Digest nonce=a, domain="{domain}"')
    assert protects(challenge, URL("https://example.com/a/login"), URL(url)) is is_protected
