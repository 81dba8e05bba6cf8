"""Nephila's crawler: what spiders are written with, and what runs them."""

from crawler.crawl import Crawl, Report
from crawler.errors import CrawlError
from crawler.page import Page
from crawler.request import Links, Request
from crawler.settings import Settings
from crawler.spider import Spider
from crawler.stats import Stats
from crawler.web.scope import Scope

__all__ = ["Crawl", "CrawlError", "Links", "Page", "Report", "Request", "Scope", "Settings", "Spider", "Stats"]
