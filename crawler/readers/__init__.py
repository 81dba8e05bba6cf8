"""Spiders in processes of their own: for crawls that one core is not enough for."""

from crawler.readers.pool import Readers

__all__ = ["Readers"]
