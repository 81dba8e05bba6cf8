"""The command `crawl`. Each module holds a group of commands and imports what they need when they run: so it starts fast."""

from crawler.cli.main import main

__all__ = ["main"]
