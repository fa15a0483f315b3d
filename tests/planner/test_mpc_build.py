"""The compiled solver's making: from an empty cache, by two at once, and without a compiler."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from planner.mpc.problem import Limits
from planner.mpc.solver import RtiSolver

from .mpc_problems import CALM, DT, dozen, shared

ROOT = Path(__file__).resolve().parents[2]
SOLVE = """
import sys, numpy as np
from planner.mpc.problem import Limits
from planner.mpc.solver import make_solver
from tests.planner.mpc_problems import CALM, DT, dozen, shared
solver = make_solver(DT, Limits())
make_solver(DT, Limits())
x0, stages = dozen()["slow lead at 10"]
found = solver.solve(x0, CALM, stages, shared(), iterations=50)
np.save(sys.argv[1], found.states)
print(type(solver).__name__, found.status)
"""


def start(folder: Path, number: int, **environment: str) -> subprocess.Popen[str]:
    """Solve in a fresh process with an empty cache."""
    variables = {**os.environ, "HEADWAY_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", SOLVE, str(folder / f"states{number}.npy")],
        env=variables | environment, cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.fixture(scope="module")
def states() -> np.ndarray:
    """What the compiled solver of this process finds."""
    x0, stages = dozen()["slow lead at 10"]
    return RtiSolver(DT, Limits()).solve(x0, CALM, stages, shared(), iterations=50).states


def test_two_processes_compile_at_once(tmp_path: Path, states: np.ndarray):
    both = [start(tmp_path, number) for number in range(2)]
    for number, process in enumerate(both):
        out, err = process.communicate(timeout=100)
        assert out.split()[0] == "RtiSolver", err
        np.testing.assert_array_equal(np.load(tmp_path / f"states{number}.npy"), states)
    # One library, and nothing half-made beside it.
    assert [file.suffix for file in (tmp_path / "cache/mpc").iterdir()] == [".so"]


@pytest.mark.parametrize("environment", [{"CC": "/bin/false"}, {"CC": "", "PATH": ""}],
                         ids=["it fails", "there is none"])  # fmt: skip
def test_without_a_compiler_sqpmethod_finds_the_same(
    tmp_path: Path, states: np.ndarray, environment: dict[str, str]
):
    out, err = start(tmp_path, 0, **environment).communicate(timeout=100)
    assert out.split() == ["ReferenceSolver", "ok"], err
    assert err.count("slow fallback") == 1
    np.testing.assert_allclose(np.load(tmp_path / "states0.npy"), states, atol=5e-3)


def test_a_cache_that_cannot_be_written_is_no_exception(tmp_path: Path, states: np.ndarray):
    (tmp_path / "file").write_text("")
    process = start(tmp_path, 0, HEADWAY_CACHE=str(tmp_path / "file"))
    out, err = process.communicate(timeout=100)
    assert out.split() == ["ReferenceSolver", "ok"], err
    np.testing.assert_allclose(np.load(tmp_path / "states0.npy"), states, atol=5e-3)
