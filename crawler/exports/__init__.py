"""Outputs: files that follow what the crawl has committed, with each item in each file exactly once."""

from crawler.exports.formats import open_export, write_all
from crawler.exports.protocol import Cursor, Export

__all__ = ["Cursor", "Export", "open_export", "write_all"]
