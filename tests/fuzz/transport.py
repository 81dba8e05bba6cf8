"""The other end of what is tried without a network."""

from __future__ import annotations

import asyncio


class Unheard(asyncio.Transport):
    """A transport that takes what is written to nobody, and remembers whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.is_aborted = False

    def write(self, data: object) -> None:
        """What we say interests nobody here."""

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.is_aborted

    def abort(self) -> None:
        self.is_aborted = True

    def pause_reading(self) -> None:
        """Nothing more comes by itself."""

    def resume_reading(self) -> None:
        """Nor now."""
