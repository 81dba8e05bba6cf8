"""Settings: typed, checked, and from which source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from crawler.errors import SettingError
from crawler.settings import Settings, from_environment, from_project, with_overrides

if TYPE_CHECKING:
    from pathlib import Path


def test_texts_become_what_the_setting_is() -> None:
    settings = with_overrides(
        Settings(), {"concurrency": "12", "robots": "false", "delay": "0.5", "max-pages": 3}, source="here"
    )
    assert (settings.concurrency, settings.robots, settings.delay, settings.max_pages) == (12, False, 0.5, 3)


def test_what_is_not_named_stays() -> None:
    settings = with_overrides(Settings(concurrency=7), {"delay": 1}, source="here")
    assert settings == Settings(concurrency=7, delay=1.0)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"concurency": 1}, r"here: there is no setting 'concurency'; did you mean 'concurrency'\?"),
        ({"delay": "-1"}, "here: delay = '-1': .*>= 0"),
        ({"concurrency": 0}, "here: concurrency = 0: .*>= 1"),
        ({"concurrency": "many"}, "here: concurrency = 'many': Expected `int`"),
        ({"robots": "maybe"}, "here: robots = 'maybe': Expected `bool`"),
        ({"delay": "\udcff"}, r"here: delay = '\\udcff': it is no text"),
        ({"user_agent": "bot \udcff"}, r"here: user_agent = 'bot \\udcff': it is no text"),
        ({1: 2}, "here: there is no setting 1"),
    ],
)
def test_mistakes_are_named(values: dict[Any, Any], complaint: str) -> None:
    with pytest.raises(SettingError, match=complaint):
        with_overrides(Settings(), values, source="here")


def test_settings_that_are_no_mapping_are_a_mistake() -> None:
    with pytest.raises(SettingError, match=r"here are \[\('delay', 1\)\]; they are a mapping"):
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
