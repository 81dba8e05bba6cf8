"""Deprecation warnings that name the caller's line, however deep in the client they are raised."""

from __future__ import annotations

import os
import sys
from abc import ABCMeta
from pathlib import Path
from typing import Final
from warnings import warn

_HERE: Final = f"{Path(__file__).parent}{os.sep}"
_ABC: Final = ABCMeta.__new__.__code__.co_filename
"""The frame between a caller's subclass of an abstract class and `__init_subclass__`."""


def deprecated(message: str) -> None:
    """Raise a `DeprecationWarning` at the nearest caller outside this package: Python shows it only to that code's author."""
    level = 2
    frame = sys._getframe(1)
    while _is_ours(frame.f_code.co_filename) and frame.f_back is not None:
        frame = frame.f_back
        level += 1
    warn(message, DeprecationWarning, stacklevel=level)


def _is_ours(filename: str) -> bool:
    return filename.startswith(_HERE) or filename == _ABC
