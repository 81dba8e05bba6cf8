"""A frontier of a million URLs holds each once, in memory that does not grow with it beyond the marks of what was seen."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.proof.command import unmeasured

if TYPE_CHECKING:
    from collections.abc import Mapping

REPOSITORY = Path(__file__).parents[2]
URLS = 1_000_000
TAKEN = 50_000
MB = 1_000_000


@pytest.mark.timeout(600)
def test_a_million_urls_are_held_exactly_and_in_little_memory(tmp_path: Path) -> None:
    """What `make bench-frontier` does with ten million, and looks through itself: each URL is there once, in one place."""
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "tests.benchmarks.frontier", "--urls", str(URLS), "--taken", str(TAKEN)]
    subprocess.run(
        [*command, "--folder", tmp_path, "--report", report], cwd=REPOSITORY, env=unmeasured(), check=True, timeout=600
    )
    figures = json.loads(report.read_text())["Nephila"]
    growth: Mapping[str, Any] = figures["growth"]
    parts = growth["parts"]
    assert (parts[-1]["urls"], growth["offered"]) == (URLS, 3 * URLS)
    assert growth["taken"] >= TAKEN
    assert growth["peak_bytes"] < 160 * MB
    assert parts[-1]["resident_bytes"] - parts[4]["resident_bytes"] < URLS // 2 * 40
    assert growth["disk_bytes"] < 160 * URLS
    assert figures["opening"]["peak_bytes"] < 160 * MB
