"""Settings: typed, checked, and from which source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from crawler.errors import SettingError
from crawler.settings import Settings, checked, from_environment, from_project, with_overrides

if TYPE_CHECKING:
    from pathlib import Path


def test_texts_become_what_the_setting_is() -> None:
    settings = with_overrides(
        Settings(), {"concurrency": "12", "robots": "false", "delay": "0.5", "max-pages": 3}, source="here"
    )
    assert (settings.concurrency, settings.robots, settings.delay, settings.max_pages) == (12, False, 0.5, 3)


def test_headers_are_a_table_or_its_json() -> None:
    for value in ({"Accept-Language": "de"}, '{"Accept-Language": "de"}'):
        assert with_overrides(Settings(), {"headers": value}, source="here").headers == {"Accept-Language": "de"}


def test_what_is_not_named_stays() -> None:
    settings = with_overrides(Settings(concurrency=7), {"delay": 1}, source="here")
    assert settings == Settings(concurrency=7, delay=1.0)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"concurency": 1}, r"here: there is no setting 'concurency'; did you mean 'concurrency'\?"),
        ({"DOWNLOAD_DELAY": 1}, r"here: there is no setting 'DOWNLOAD_DELAY'; did you mean 'delay'\?"),
        ({"cookies": 1}, "here: there is no setting 'cookies'; docs/settings.md lists them all"),
        ({"delay": "-1"}, "here: delay = '-1': it takes a number from 0 to 1,000,000,000"),
        ({"retry_wait": 0}, "here: retry_wait = 0: it takes a number above 0"),
        ({"concurrency": 0}, "here: concurrency = 0: it takes a whole number from 1"),
        ({"concurrency": "many"}, "here: concurrency = 'many': it takes a whole number from 1"),
        ({"robots": "maybe"}, "here: robots = 'maybe': it takes true or false"),
        ({"headers": {"a": 1}}, r"here: headers = \{'a': 1\}: it takes a table of texts"),
        ({"headers": "Accept: x"}, "here: headers = 'Accept: x': it takes a table of texts"),
        ({"headers": {"a b": "x"}}, "this is not a header that can be sent"),
        ({"headers": {"Host": "x"}}, "host differs with each request"),
        ({"headers": {"user-agent": "x"}}, "set user_agent instead"),
        ({"proxy": "ftp://me:s3cret@h:1"}, "here: proxy = 'ftp://h:1': not the URL of a proxy"),
        ({"proxy": "me:s3cret@h:1"}, "here: proxy = 'h:1': not the URL of a proxy"),
        ({"proxy": "socks4://me:s3cret@h:1"}, "here: proxy = 'socks4://h:1': a SOCKS 4 proxy takes a user name"),
        ({"proxy": "http://me:s3cret@h:1/\udcff"}, r"here: proxy = 'http://h:1/\\udcff': it is not valid text"),
        ({"proxy": ["http://me:s3cret@h"]}, r"here: proxy = .*//h'.*: it takes a text"),
        ({"user_agent": ""}, "here: user_agent = '': it takes a text that is not empty"),
        ({"delay": "\udcff"}, r"here: delay = '\\udcff': it is not valid text"),
        ({"user_agent": "bot \udcff"}, r"here: user_agent = 'bot \\udcff': it is not valid text"),
        ({1: 2}, "here: there is no setting 1"),
    ],
)
def test_mistakes_are_named(values: dict[Any, Any], complaint: str) -> None:
    with pytest.raises(SettingError, match=complaint) as error:
        with_overrides(Settings(), values, source="here")
    assert "s3cret" not in str(error.value)


def test_a_proxy_can_be_named_and_taken_back() -> None:
    proxied = from_environment(Settings(), {"CRAWL_PROXY": "socks5h://me:s3cret@h", "CRAWL_NO_PROXY": "a.b"})
    assert (proxied.proxy, proxied.no_proxy) == ("socks5h://me:s3cret@h", "a.b")
    assert "s3cret" not in repr(proxied)
    assert with_overrides(proxied, {"proxy": ""}, source="here").proxy == ""
    assert with_overrides(proxied, {"proxy": None}, source="here").proxy is None


def test_settings_made_from_python_can_be_checked() -> None:
    assert checked(Settings(delay=1)) == Settings(delay=1.0)
    with pytest.raises(SettingError, match="Settings: delay = 'x': it takes a number"):
        checked(Settings(delay="x"))  # type: ignore[arg-type]


def test_settings_that_are_no_mapping_are_a_mistake() -> None:
    with pytest.raises(SettingError, match=r"here must be a mapping"):
        with_overrides(Settings(), [("delay", 1)], source="here")  # type: ignore[arg-type]


def test_the_project_file_is_found_above(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.crawl]\ndelay = 2\nuser-agent = 'x/1'\n")
    folder = tmp_path / "deep" / "below"
    folder.mkdir(parents=True)
    assert from_project(Settings(), folder) == Settings(delay=2.0, user_agent="x/1")


@pytest.mark.parametrize("text", ["[tool.crawl\n", f"x = {'[' * 5000}{']' * 5000}"], ids=["no TOML", "nested"])
def test_a_project_file_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(SettingError, match=r"pyproject\.toml cannot be read"):
        from_project(Settings(), tmp_path)


def test_the_environment_speaks_in_capitals() -> None:
    settings = from_environment(Settings(), {"CRAWL_PER_HOST": "9", "PATH": "/bin"})
    assert settings == Settings(per_host=9)
    with pytest.raises(SettingError, match=r"CRAWL_\*"):
        from_environment(Settings(), {"CRAWL_PRE_HOST": "9"})
