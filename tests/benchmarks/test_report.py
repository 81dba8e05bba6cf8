"""The report is what the figures say, and can be written again from their files."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest

from tests.benchmarks import report
from tests.benchmarks.ledger import Ledger, Run, ratios
from tests.benchmarks.measure import Spread
from tests.benchmarks.plots import Panel, drawing

if TYPE_CHECKING:
    from pathlib import Path


def _run(contender: str, number: int, cpu: float, *, subject: str = "docs") -> Run:
    return Run(subject=subject, contender=contender, round=number, work=1000, cpu=cpu, wall=2 * cpu, peak_bytes=10**8)


def _ledger(file: Path, *runs: Run) -> Ledger:
    ledger = Ledger(file, ["2 cores"])
    for run in runs:
        ledger.add(run)
    return ledger


def test_a_ledger_reads_what_it_wrote(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path / "figures.json", _run("Nephila", 0, 1.0), _run("Scrapy", 0, 9.0))
    assert Ledger.read(tmp_path / "figures.json") == ledger


def test_a_ledger_begins_anew_unless_it_is_to_go_on(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    _ledger(file, _run("Nephila", 0, 1.0))
    assert Ledger.begin(file, resume=True, versions=[]).has("docs", "Nephila", 0)
    assert not Ledger.begin(file, resume=False, versions=[]).has("docs", "Nephila", 0)


def test_a_run_that_was_measured_again_counts_once(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path / "figures.json", _run("Nephila", 0, 1.0), _run("Nephila", 0, 2.0))
    assert [run.cpu for run in ledger.of("docs")["Nephila"]] == [2.0]


def test_ratios_are_formed_within_a_round() -> None:
    """A machine that is slow for a round is slow for both."""
    ours = [_run("Nephila", 0, 1.0), _run("Nephila", 1, 10.0), _run("Nephila", 2, 1.0)]
    theirs = [_run("Scrapy", 1, 90.0), _run("Scrapy", 0, 9.0)]
    assert ratios(ours, theirs) == [9.0, 9.0]


def test_the_page_shows_what_was_measured(tmp_path: Path) -> None:
    figures = tmp_path / "benchmarks"
    _ledger(figures / "crawls.json", _run("Scrapy", 0, 10.0), _run("Nephila", 0, 0.5), _run("Nephila", 1, 0.25))
    subject = "1,000 bytes, 64 at once"
    _ledger(figures / "client.json", _run("Nephila", 0, 1.0, subject=subject), _run("aiohttp", 0, 2.0, subject=subject))
    report.write(tmp_path)
    page = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    assert "| Nephila | 3,000 (2,000–4,000) |" in page  # noqa: RUF001 - a range
    assert "| Scrapy | 20.00 | 20.00 | 1.00 |" in page
    assert "| 1,000 bytes, 64 at once | aiohttp | 500 | 2.00 |" in page
    assert "![Documentation](benchmarks/crawls-docs.svg)" in page
    assert ElementTree.parse(figures / "crawls-docs.svg").getroot().get("role") == "img"


@pytest.mark.parametrize("median", [0.01, 3.0, 4e6])
def test_a_drawing_keeps_within_its_bounds(median: float) -> None:
    panels = [
        Panel(title="a & b", bars={"<Nephila>": Spread(median, median / 2, median * 2), "other": Spread(1, 1, 1)})
    ]
    root = ElementTree.fromstring(drawing("figures", panels, ours="<Nephila>"))
    bars = root.findall("{*}rect")
    assert [bar.get("class") for bar in bars] == ["ours", "bar"]
    assert all(float(bar.get("x", "")) + float(bar.get("width", "")) < float(root.get("width", "")) for bar in bars)
