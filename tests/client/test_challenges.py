"""WWW-Authenticate as the standard writes it and as servers do."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from client.challenges import parse_challenges, parse_parameters


@pytest.mark.parametrize(
    ("value", "challenges"),
    [
        ("", []),
        (" , ,", []),
        ("Basic", [("basic", {}, None)]),
        ('Basic realm="simple"', [("basic", {"realm": "simple"}, None)]),
        # RFC 9110 §11.6.1
        (
            'Basic realm="simple", Newauth realm="apps", type=1, title="Login to \\"apps\\""',
            [
                ("basic", {"realm": "simple"}, None),
                ("newauth", {"realm": "apps", "type": "1", "title": 'Login to "apps"'}, None),
            ],
        ),
        ("NTLM, Negotiate", [("ntlm", {}, None), ("negotiate", {}, None)]),
        ("Negotiate YII+/~==, NTLM abc", [("negotiate", {}, "YII+/~=="), ("ntlm", {}, "abc")]),
        (
            'Digest REALM = "a, b" ,nonce=xyz,,  qop="auth,auth-int"',
            [("digest", {"realm": "a, b", "nonce": "xyz", "qop": "auth,auth-int"}, None)],
        ),
        ("Digest realm=some words, nonce=a==", [("digest", {"realm": "some words", "nonce": "a=="}, None)]),
        ('Digest realm="a", realm="b", nonce=', [("digest", {"realm": "a", "nonce": ""}, None)]),
        ('Digest realm="open, nonce=x', [("digest", {"realm": '"open', "nonce": "x"}, None)]),
        ('realm="nobody\'s", Basic realm="x"', [("basic", {"realm": "x"}, None)]),
        ('"junk", Basic realm="x" junk', [("basic", {"realm": "x"}, None), ("junk", {}, None)]),
    ],
)
def test_one_header(value: str, challenges: list[tuple[str, dict[str, str], str | None]]) -> None:
    assert parse_challenges([value]) == challenges


def test_several_headers() -> None:
    assert [challenge.scheme for challenge in parse_challenges(["Digest nonce=a", "Basic, Bearer"])] == [
        "digest",
        "basic",
        "bearer",
    ]


def test_parameters_without_a_scheme() -> None:
    assert parse_parameters('nextnonce="a b", rspauth="x", nc=00000001') == {
        "nextnonce": "a b",
        "rspauth": "x",
        "nc": "00000001",
    }
    assert parse_parameters("") == {}


@given(st.text())
@example("=")
@example('a="' * 3000)
@example("a " * 5000)
@example("a =" + " " * 5000)
@example("a " + "b" * 5000 + "=")
@example(",=" * 5000)
def test_reading_never_fails(value: str) -> None:
    parse_challenges([value])
    parse_parameters(value)
