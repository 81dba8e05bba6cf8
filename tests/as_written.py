"""A module that is compiled at installation, as it is written, beside what was made of it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType


def as_written(installed: ModuleType) -> ModuleType:
    """The plain Python of an installed module, whichever form of it that is."""
    *_, name = installed.__name__.split(".")
    spec = importlib.util.spec_from_file_location(
        f"{name}_as_written", Path(str(installed.__file__)).with_name(f"{name}.py")
    )
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
