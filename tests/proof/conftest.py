"""The generated site, served."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.proof.site import Site
from tests.servers.web import WebServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server() -> Iterator[WebServer]:
    """The generated site."""
    with WebServer(Site().answer) as server:
        yield server
