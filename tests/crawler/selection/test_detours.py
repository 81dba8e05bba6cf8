"""URLs that lead to each other are told, and what is remembered for it is bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.selection.detours import Detours

if TYPE_CHECKING:
    import pytest


def test_who_leads_back_is_told_from_who_leads_on() -> None:
    detours = Detours()
    assert not detours.leads_back("a", "b")
    assert not detours.leads_back("b", "c")
    assert not detours.leads_back("x", "b")
    assert detours.leads_back("c", "a")
    assert not detours.leads_back("y", "a"), "which leads round, but not to y"
    assert not detours.leads_back("z", "z"), "which leads nowhere"


def test_what_was_noted_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crawler.selection.detours.MOST_DETOURS", 2)
    detours = Detours()
    for url in ("a", "b", "c"):
        assert not detours.leads_back(url, f"{url}{url}")
    assert detours.leads_back("cc", "c")
    assert not detours.leads_back("aa", "a")


def test_earlier_runs_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crawler.selection.detours.MOST_DETOURS", 3)
    detours = Detours()
    detours.remember([("x", "y"), ("b", "x"), ("a", "b"), ("b", "c"), ("long", "x" * 5000)])
    assert detours.leads_back("c", "a"), "by way of b, that led to c lately"
    assert not detours.leads_back("y", "x")


def test_long_urls_are_not_kept() -> None:
    detours = Detours()
    long = "x" * 5000
    assert not detours.leads_back("a", long)
    assert not detours.leads_back(long, "a")
