"""A compiled kernel is stale as soon as anything that it was compiled from changes."""

import os
import subprocess
import sys
from pathlib import Path

from headway import kernel_cache
from scenarios import warm

CALLEE = "from numba import njit\n\n@njit(cache=True)\ndef gain(x):\n    return {gain} * x\n"
CALLER = (
    "import headway\nfrom numba import njit\nfrom planner_probe.callee import gain\n\n"
    "@njit(cache=True)\ndef twice(x):\n    return 2.0 * gain(x)\n"
)
PROBE = (
    "import sys, pathlib; import headway.kernel_cache as k\n"
    "k.ROOT = pathlib.Path(sys.argv[1]); k.PACKAGES = k.PACKAGES | {'planner_probe'}\n"
    "sys.path.insert(0, sys.argv[1])\n"
    "from planner_probe.caller import twice\n"
    "print(twice(1.0), sum(twice.stats.cache_hits.values()))"
)


def test_an_edit_in_a_callees_file_recompiles_the_caller(tmp_path: Path) -> None:
    package = tmp_path / "planner_probe"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "caller.py").write_text(CALLER)

    def run(gain: float) -> tuple[float, int]:
        (package / "callee.py").write_text(CALLEE.format(gain=gain))
        out = subprocess.run(
            [sys.executable, "-c", PROBE, str(tmp_path)],
            # Python's own cache tells files of one second and one size apart no more.
            env=os.environ
            | {"HEADWAY_CACHE": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        return float(out[0]), int(out[1])

    assert run(3.0) == (6.0, 0)
    assert run(3.0) == (6.0, 1)  # from the cache
    assert run(5.0) == (10.0, 0)  # numba alone would still answer 6


def test_checked_code_and_unchecked_lie_apart_and_each_is_warmed(monkeypatch) -> None:
    monkeypatch.delenv("NUMBA_BOUNDSCHECK", raising=False)
    plain, warmed = kernel_cache.kernel_folder(), warm.stamp([])
    monkeypatch.setenv("NUMBA_BOUNDSCHECK", "1")
    assert kernel_cache.kernel_folder() != plain
    assert warm.stamp([]) != warmed


def test_closure_follows_packages_and_names() -> None:
    names = {
        str(p.relative_to(kernel_cache.ROOT))
        for p in kernel_cache._closure(kernel_cache.ROOT / "carla_bridge/headless/motion.py")
    }
    assert {"headway/vehicle/__init__.py", "headway/vehicle/kernel.py"} <= names
