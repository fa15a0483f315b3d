"""Where compiled kernels are kept, and when they are stale.

Numba's own cache looks at the one file that a kernel stands in. A kernel that calls another file's
kernel, or reads its constants, would then go on with machine code of the old callee. Here a
kernel's stamp covers its file and every file of ours that it imports, however indirectly.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
from pathlib import Path

from numba.core.caching import UserProvidedCacheLocator

from headway.cache import cache_folder

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = frozenset(
    ("headway", "carla_bridge", "perception", "language", "world_model", "planner", "scenarios")
)
_IMPORT = re.compile(r"^(?:from ([\w.]+) )?import (\([^)]*\)|.*)$", re.MULTILINE)


def kernel_folder() -> Path:
    """Return the folder of machine code; with checked indices it is another one.

    To numba's cache the two are the same.
    """
    checked = os.environ.get("NUMBA_BOUNDSCHECK", "0") not in ("", "0")
    return cache_folder() / ("kernels-checked" if checked else "kernels")


class KernelCacheLocator(UserProvidedCacheLocator):
    """Tells numba where a kernel of ours is cached and what it was compiled from."""

    def __init__(self, py_func: object, py_file: str) -> None:
        super().__init__(py_func, py_file)
        subpath = self.get_suitable_cache_subpath(py_file)
        self._cache_path = str(kernel_folder() / subpath)

    def get_source_stamp(self) -> bytes:
        """Return a digest of the kernel's file and of all of ours that it imports."""
        digest = hashlib.sha256()
        for path in sorted(_closure(Path(self._py_file).resolve())):
            digest.update(_digest(path))
        return digest.digest()

    @classmethod
    def from_function(cls, py_func: object, py_file: str) -> KernelCacheLocator | None:
        """Return a locator for a kernel of ours, None for anybody else's."""
        if not Path(py_file).resolve().is_relative_to(ROOT):
            return None
        locator = cls(py_func, py_file)
        try:
            locator.ensure_cache_path()
        except OSError:
            return None
        return locator


@functools.cache
def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


@functools.cache
def _closure(path: Path) -> frozenset[Path]:
    """Return `path` and the files of ours that it imports, however indirectly."""
    found = {path}
    todo = [path]
    while todo:
        for other in _imported(todo.pop()):
            if other not in found:
                found.add(other)
                todo.append(other)
    return frozenset(found)


@functools.cache
def _imported(path: Path) -> frozenset[Path]:
    """Return the files of ours that `path` imports at its top level."""
    files = set()
    for module, names in _IMPORT.findall(path.read_text()):
        wanted = [module, *(f"{module}.{n}" for n in re.findall(r"\w+", names))] if module else [
            name.split(" as ")[0].strip() for name in names.split(",")
        ]  # fmt: skip
        for name in wanted:
            if name.partition(".")[0] in PACKAGES:
                base = ROOT / name.replace(".", "/")
                for file in (base.with_suffix(".py"), base / "__init__.py"):
                    if file.is_file():
                        files.add(file)
    return frozenset(files)
