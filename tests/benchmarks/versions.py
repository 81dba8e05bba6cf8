"""What the figures were measured with."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.awake import may_keep_awake
from tests.servers.nginx import find_nginx

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = (
    "nephila",
    "aiohttp",
    "crawlee",
    "httptools",
    "httpx",
    "impit",
    "lxml",
    "parsel",
    "Scrapy",
    "selectolax",
    "Twisted",
    "uvloop",
)


def versions() -> list[str]:
    """The machine, what runs on it, and the packages that are measured, a line each."""
    return [
        f"{os.cpu_count()} cores, {_processor()}, {platform.system()} {platform.release()}; "
        f"idle ones {'kept awake' if may_keep_awake() else 'may sleep'}",
        f"{platform.python_implementation()} {platform.python_version()}, SQLite {sqlite3.sqlite_version}, "
        + ", ".join(_programs()),
        ", ".join(_packages()),
        f"load average of {os.getloadavg()[0]:.1f} in the minute before the start",
    ]


def _programs() -> Iterator[str]:
    if nginx := find_nginx():
        told = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=True).stderr
        yield f"nginx {told.strip().rpartition('/')[2]}"
    if wget2 := shutil.which("wget2"):
        told = subprocess.run([wget2, "--version"], capture_output=True, text=True, check=True).stdout
        yield f"wget2 {told.split()[2]}"


def _packages() -> Iterator[str]:
    for package in PACKAGES:
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            continue


def _processor() -> str:
    described = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    return next(
        (line.partition(": ")[2] for line in described.splitlines() if line.startswith("model name")), "unknown"
    )
