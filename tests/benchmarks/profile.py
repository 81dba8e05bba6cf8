"""Where the time of a whole crawl goes: a flame graph, drawn by py-spy. `make bench-profile` runs this.

Usage: python -m tests.benchmarks.profile [--site NAME] [--output FILE] [--rate N] [--python-only]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path

from tests.benchmarks.contenders import NEPHILA
from tests.benchmarks.sites import SITES


def main() -> None:
    options = _options()
    site = next(site for site in SITES if site.name == options.site)
    spy = shutil.which("py-spy", path=sysconfig.get_path("scripts"))
    if lacking := site.lacking() + ([] if spy else ["py-spy"]):
        raise SystemExit(f"not installed: {', '.join(lacking)}")
    output = options.output.resolve()
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name, site.served(Path(name)) as served:
        native = [] if options.python_only else ["--native"]
        record = ["record", *native, "--threads", "--rate", str(options.rate), "--format", "flamegraph"]
        command = [str(spy), *record, "--output", output, "--", *NEPHILA.command(served)]
        subprocess.run(command, cwd=name, check=True)
    print(f"{output} shows where the time went")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tests.benchmarks.profile", description="Draw where the time of a crawl goes."
    )
    parser.add_argument("--site", choices=[site.name for site in SITES], default="docs")
    parser.add_argument("--output", type=Path, default=Path("build/profile.svg"))
    parser.add_argument("--rate", type=int, default=200, help="samples a second")
    parser.add_argument(
        "--python-only", action="store_true", help="leave out the frames of C; that slows the crawl less"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
