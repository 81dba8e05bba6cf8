"""Basic credentials and where they come from."""

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from client.auth import BasicAuth, encode_basic_auth, load_netrc, netrc_auth

logins = st.text(st.characters(max_codepoint=255, exclude_characters=":"))
passwords = st.text(st.characters(max_codepoint=255))


def test_the_example_of_the_standard() -> None:
    """RFC 7617 §2 and §2.1."""
    assert BasicAuth("Aladdin", "open sesame").encode() == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert encode_basic_auth("test", "123\u00a3") == "Basic dGVzdDoxMjPCow=="


def test_it_is_a_named_tuple_with_defaults() -> None:
    login, password, encoding = BasicAuth("me")
    assert (login, password, encoding) == ("me", "", "latin1")
    assert BasicAuth(login="me", password="x", encoding="utf-8") == ("me", "x", "utf-8")
    assert isinstance(BasicAuth("me"), tuple)


@given(logins, passwords, st.sampled_from(["latin1", "utf-8"]))
def test_decoding_undoes_encoding(login: str, password: str, encoding: str) -> None:
    auth = BasicAuth(login, password, encoding)
    assert BasicAuth.decode(auth.encode(), encoding) == auth
    assert encode_basic_auth(login, password, encoding) == auth.encode()


def test_a_login_cannot_hold_a_colon() -> None:
    for make in (BasicAuth, encode_basic_auth):
        with pytest.raises(ValueError, match="colon"):
            make("a:b", "c")


@pytest.mark.parametrize(("login", "password"), [(None, "x"), ("x", None)])
def test_none_is_refused(login: str, password: str) -> None:
    with pytest.raises(ValueError, match="cannot be None"):
        BasicAuth(login, password)


@pytest.mark.parametrize("header", ["", "Basic", "Bearer abc", "Basic !", "Basic YWJj", "Basic \u00e4", "Basic gDpi"])
def test_what_is_no_basic_header_is_refused(header: str) -> None:
    with pytest.raises(ValueError, match="not Basic credentials"):
        BasicAuth.decode(header, encoding="utf-8")


def test_the_scheme_is_matched_without_case() -> None:
    assert BasicAuth.decode("bAsIc YTpi") == BasicAuth("a", "b")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://example.com/", None),
        ("http://me@example.com/", ("me", "")),
        ("http://:secret@example.com/", ("", "secret")),
        ("http://me:secret@example.com/", ("me", "secret")),
        ("http://a%3Ab:c%40d@example.com/", ("a:b", "c@d")),
    ],
)
def test_credentials_in_urls(url: str, expected: tuple[str, str] | None) -> None:
    auth = BasicAuth.from_url(URL(url))
    assert auth == (expected and (*expected, "latin1"))


def test_credentials_in_urls_can_always_be_sent() -> None:
    auth = BasicAuth.from_url(URL("http://\u0436:%80@example.com/"))
    assert auth is not None
    assert auth.encode() == encode_basic_auth("\u0436", "%80", "utf-8")


def test_a_text_has_no_credentials() -> None:
    """They are read from a yarl.URL only."""
    with pytest.raises(TypeError, match="not a str"):
        BasicAuth.from_url("http://login:password@a.example/")  # type: ignore[arg-type]


def test_what_the_encoding_cannot_express_is_an_error() -> None:
    with pytest.raises(UnicodeEncodeError):
        BasicAuth("\u0436").encode()
    assert BasicAuth("\u0436", encoding="utf-8").encode() == "Basic 0LY6"


# ---- netrc

NETRC = """
machine example.com login me password secret
machine quiet.example account only
default login anyone password guess
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)
    return tmp_path


@pytest.mark.parametrize("name", [".netrc", "_netrc"])
def test_a_netrc_file_at_home(home: Path, name: str) -> None:
    (home / name).write_text(NETRC)
    assert netrc_auth("example.com") == ("me", "secret", "utf-8")
    assert netrc_auth("quiet.example") == ("only", "", "utf-8")
    assert netrc_auth("other.example") == ("anyone", "guess", "utf-8")


def test_the_file_can_be_read_once_for_many_hosts(home: Path) -> None:
    (home / ".netrc").write_text("machine a.example login a password b")
    file = load_netrc()
    assert file is not None
    (home / ".netrc").unlink()
    assert netrc_auth("a.example", file) == ("a", "b", "utf-8")
    assert netrc_auth("b.example", file) is None


def test_the_environment_names_another_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".netrc").write_text(NETRC)
    (home / "other").write_text("machine example.com login you password p")
    monkeypatch.setenv("NETRC", str(home / "other"))
    assert netrc_auth("example.com") == ("you", "p", "utf-8")


def test_no_file_is_nothing_to_talk_about(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert home
    assert netrc_auth("example.com") is None
    assert not caplog.records


def test_a_file_that_cannot_be_used_is_told_to_the_log(
    home: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.WARNING)
    (home / ".netrc").write_text("machine a\nlogim b")
    assert load_netrc() is None
    assert ".netrc, line 2" in caplog.messages[-1]
    (home / ".netrc").unlink()
    (home / ".netrc").mkdir()
    assert load_netrc() is None
    assert str(home / ".netrc") in caplog.messages[-1]
    monkeypatch.setenv("NETRC", str(home / "missing"))
    assert load_netrc() is None
    assert "which does not exist" in caplog.messages[-1]


def test_an_environment_can_be_given(home: Path) -> None:
    (home / ".netrc").write_text(NETRC)
    (home / "other").write_text("machine example.com login you password p")
    assert netrc_auth("example.com", load_netrc({"NETRC": str(home / "other")})) == ("you", "p", "utf-8")
    assert load_netrc({"HOME": str(home / "elsewhere")}) is None


def test_without_a_home_there_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NETRC", raising=False)
    monkeypatch.delenv("HOME")

    def homeless() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(Path, "home", homeless)
    assert load_netrc() is None
