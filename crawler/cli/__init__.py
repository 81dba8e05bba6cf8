"""The command `crawl`. Each module holds a group of commands, and imports what they need only when they run, so that it starts fast."""

from crawler.cli.main import main

__all__ = ["main"]
