"""Compiles the modules that gain most by it, where there is a C compiler; where there is none, they work as they are written."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from Cython.Build import cythonize
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from setuptools import Distribution, Extension
from setuptools.errors import BaseError, CCompilerError

SOURCES = [Path("crawler/web/scan.py"), Path("crawler/frontier/marks.py")]
RULES = {"language_level": 3, "boundscheck": True, "wraparound": False, "annotation_typing": False}
"""Indices are checked, as the documents are anybody's; the types are those of the .pxd files, not of the annotations."""


class CompileHook(BuildHookInterface[Any]):
    """Puts the compiled modules beside their sources, and into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by Hatchling before it builds a wheel, or what an editable installation needs of one."""
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        for source in SOURCES:
            for outdated in (root / source.parent).glob(f"{source.stem}.*.so"):
                outdated.unlink()  # should the new one fail, the old one must not stand in for it
        try:
            compiled = [_compile(root, source) for source in SOURCES]
        except (BaseError, CCompilerError) as error:
            self.app.display_warning(f"nothing is compiled, and crawls are slower: {error}")
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["artifacts"].extend(compiled)


def _compile(root: Path, source: Path) -> str:
    """Compile a module in place; returns the path of what came of it, from `root`."""
    module = ".".join(source.with_suffix("").parts)
    with tempfile.TemporaryDirectory() as folder:
        extension = Extension(module, [str(root / source)], extra_compile_args=["-O3", "-g0"])
        extensions = cythonize([extension], build_dir=folder, compiler_directives=RULES, quiet=True)
        command = Distribution({"ext_modules": extensions}).get_command_obj("build_ext")
        command.build_temp = command.build_lib = folder
        command.ensure_finalized()
        command.run()
        built = Path(command.get_ext_fullpath(module))
        shutil.copy(built, root / source.parent)
    return str(source.parent / built.name)
