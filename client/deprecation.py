"""Deprecation warnings that name the caller's line, however deep inside the client they arise."""

from __future__ import annotations

import os
import sys
from abc import ABCMeta
from pathlib import Path
from typing import Final
from warnings import warn

_HERE: Final = f"{Path(__file__).parent}{os.sep}"
_ABC: Final = ABCMeta.__new__.__code__.co_filename
"""What stands between a class of the caller's, derived from an abstract one, and what that says to it."""


def deprecated(message: str) -> None:
    """Warn with `DeprecationWarning`, as if the nearest caller outside this package had: Python shows it to its author only."""
    level = 2
    frame = sys._getframe(1)
    while _is_ours(frame.f_code.co_filename) and frame.f_back is not None:
        frame = frame.f_back
        level += 1
    warn(message, DeprecationWarning, stacklevel=level)


def _is_ours(filename: str) -> bool:
    return filename.startswith(_HERE) or filename == _ABC
