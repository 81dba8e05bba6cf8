"""Names from Scrapy, and what to use here instead: hints for those who come from there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.spider import READY_MADE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crawler.spider import Spider

IN_SCRAPY = {
    "meta": "page.context",
    "cb_kwargs": "page.context",
    "xpath": "css, with CSS selectors",
    "attrib": "attributes",
    "get": "text(), of one node",
    "getall": "text(), of each node",
    "extract": "text(), of each node",
    "extract_first": "text(), of one node",
    "logger": "logging.getLogger(__name__)",
    "process_item": "keep_item(item, page)",
}
"""Names from Scrapy, and what to use here instead."""

OF_PIPELINES = {
    "ItemAdapter": "keep_item gets the item itself",
    "DropItem": "keep_item drops an item by returning None",
}
"""Names of Scrapy's pipelines, and how the same is done here."""

OF_SPIDERS = {
    "allowed_domains": "scope",
    "custom_settings": "settings",
    "handle_httpstatus_list": "failed(), with error.page",
    "http_user": "a middleware",
    "process_item": "keep_item(item, page)",
    "rules": "page.follow_all(…), and scope",
    "start_requests": "start()",
}
"""Attributes of Scrapy's spiders that do nothing here, and what to use instead."""


def without_effect(spider: Spider) -> Iterator[tuple[str, str]]:
    """The attributes of a spider that are Scrapy's and do nothing here, and what to use instead. Those of a ready-made spider, whatever
    their names, are its own."""
    for name, ours in OF_SPIDERS.items():
        owner = next((kind for kind in reversed(type(spider).__mro__) if name in vars(kind)), None)
        if owner and owner.__module__.removeprefix("spiders.") not in READY_MADE:
            yield name, ours
