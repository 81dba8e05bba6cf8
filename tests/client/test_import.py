"""What `import client` loads, and what it leaves for later."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import client

RARE = (
    *("websockets", "aiodns", "publicsuffixlist", "email", "tempfile", "hashlib", "uvloop", "brotli", "backports.zstd"),
    *("client.forms", "client.multipart_writer", "client.websocket"),
)


def test_what_few_programs_use_is_not_loaded() -> None:
    """A crawl is to start at once, and to leave memory for its pages."""
    program = [sys.executable, "-c", "import client, sys; print(*sys.modules)"]
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    loaded = subprocess.run(program, check=True, capture_output=True, text=True, env=unmeasured).stdout.split()
    assert "client.session" in loaded
    assert not set(RARE) & set(loaded)


def test_every_public_name_is_there_when_it_is_asked_for() -> None:
    assert set(client.__all__) <= set(dir(client))
    namespace: dict[str, object] = {}
    exec("from client import *", namespace)
    assert set(client.__all__) <= set(namespace)


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        client.nothing  # type: ignore[attr-defined]  # noqa: B018
