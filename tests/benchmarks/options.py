"""What the benchmarks' command lines have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def common(parser: argparse.ArgumentParser, *, rounds: int = 5) -> None:
    """How often, and where the figures go: without a file they are shown, and gone."""
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--figures", type=Path, help="the file that takes the figures")
    parser.add_argument("--resume", action="store_true", help="go on where that file ends")


def names(text: str) -> list[str]:
    """A list with commas."""
    return text.split(",")


def numbers(text: str) -> list[int]:
    """A list of numbers with commas; they may have underscores."""
    return [int(number) for number in text.split(",")]
