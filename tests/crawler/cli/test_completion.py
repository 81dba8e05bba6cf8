"""What the shell completes behind `crawl`."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.proof.command import COMMAND


def completed(typed: str) -> list[str]:
    """What bash is told of the last word of a line."""
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split(" ")) - 1), "_CRAWL_COMPLETE": "bash_complete"}
    ended = subprocess.run([COMMAND], env={**os.environ, **words}, capture_output=True, text=True, check=False)
    return ended.stdout.split()


@pytest.mark.parametrize(
    ("typed", "options"),
    [
        ("crawl sta", ["plain,status"]),
        ("crawl run bo", ["file,bo"]),
        ("crawl run books.py -s max_pages", ["plain,max_pages=", "plain,max_pages_per_host="]),
        ("crawl retry --kind ti", ["plain,timeout"]),
        ("crawl status bo", ["file,bo"]),
        ("crawl export books.crawl pa", ["plain,pages"]),
        ("crawl export books.crawl pages -o bo", ["file,bo"]),
        ("crawl run books.py --revalidate bo", ["file,bo"]),
        ("crawl fetch https://library.example/ -o bo", ["file,bo"]),
    ],
)
def test_what_is_begun_is_completed(typed: str, options: list[str]) -> None:
    assert completed(typed) == options
