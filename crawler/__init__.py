"""Nephila's crawler: what spiders are written with, and what runs them.

Each name is imported when it is first asked for. Importing any module of this package runs this one, and the command starts
four times as fast if what runs a crawl comes only with a crawl.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crawler.crawl import Crawl
    from crawler.errors import CrawlError, Retry, Stop
    from crawler.page import Page
    from crawler.report import Report
    from crawler.request import Links, Request
    from crawler.settings import Settings
    from crawler.spider import ErrorText, Spider
    from crawler.stats import Stats
    from crawler.web.form_bodies import File
    from crawler.web.scope import Scope

__all__ = [
    "Crawl",
    "CrawlError",
    "ErrorText",
    "File",
    "Links",
    "Page",
    "Report",
    "Request",
    "Retry",
    "Scope",
    "Settings",
    "Spider",
    "Stats",
    "Stop",
]

_HOMES = {
    "Crawl": "crawler.crawl",
    "CrawlError": "crawler.errors",
    "ErrorText": "crawler.spider",
    "File": "crawler.web.form_bodies",
    "Links": "crawler.request",
    "Page": "crawler.page",
    "Report": "crawler.report",
    "Request": "crawler.request",
    "Retry": "crawler.errors",
    "Scope": "crawler.web.scope",
    "Settings": "crawler.settings",
    "Spider": "crawler.spider",
    "Stats": "crawler.stats",
    "Stop": "crawler.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value
