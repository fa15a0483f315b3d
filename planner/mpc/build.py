"""Generate the stage functions' C code and compile it with the loop, once, into the user's cache.

The library's name is a digest of everything that it is made from: the generated code, the loop,
CasADi's version (HPIPM and BLASFEO come from its wheel), the compiler and the processor. It is
built beside its place and moved there in one step, so that two processes may start at once.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import casadi as ca

from headway.bicycle import ModelState
from headway.cache import cache_folder
from headway.cost import NUM_COST_PARAMS, NUM_ROWS, NUM_STAGE_PARAMS, CostParam
from planner.mpc.problem import NS, NU, NX, Problem

SOURCES = tuple(
    Path(__file__).with_name(name) for name in ("rti.c", "kkt.c", "newton.c", "adjoint.c")
)
HEADERS = tuple(Path(__file__).with_name(name) for name in ("rti.h", "kkt.h"))
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fPIC", "-shared", "-std=c11",
         "-D_POSIX_C_SOURCE=200112L")  # fmt: skip
QP_MODE = "SPEED"


class NoCompilerError(RuntimeError):
    """The fast solver cannot be built here; its message says why."""


def compiler() -> str:
    """Return the C compiler's command: $CC, cc or gcc.

    Raises:
        NoCompilerError: there is none.
    """
    for name in (os.environ.get("CC"), "cc", "gcc", "clang"):
        if name and shutil.which(name):
            return name
    raise NoCompilerError("no C compiler found ($CC, cc, gcc, clang)")


@cache
def solver_library() -> Path:
    """Return the compiled solver; compiles it when it is not in the cache.

    Raises:
        NoCompilerError: there is no compiler, or it fails; what it said is in the message.
    """
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        defines = write_sources(folder)
        command = compiler()
        target = cache_folder() / "mpc" / f"rti-{_digest(folder, defines, command)}.so"
        if target.exists():
            return target
        wheel = Path(ca.__file__).parent
        target.parent.mkdir(parents=True, exist_ok=True)
        built = target.with_suffix(f".{os.getpid()}")
        done = subprocess.run(
            [
                command, *FLAGS, *defines, f"-I{folder}", f"-I{wheel / 'include'}",
                f"-I{SOURCES[0].parent}", str(folder / "model.c"), *map(str, SOURCES),
                "-o", str(built),
                f"-L{wheel}", f"-Wl,-rpath,{wheel}", "-lhpipm", "-lblasfeo", "-lm",
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise NoCompilerError(f"{command} failed: {done.stderr.strip()[-2000:]}")
        built.replace(target)
        return target


def write_sources(folder: Path) -> list[str]:
    """Write model.c and model.h into `folder`; return the sizes as compiler flags."""
    problem = Problem()
    functions = [
        problem.linearise(), problem.linearise_end(), problem.advance(), problem.finish(),
        problem.curve(), problem.curve_end(), problem.sensitivity(True), problem.sensitivity(False),
    ]  # fmt: skip
    generator = ca.CodeGenerator("model.c", {"with_header": True})
    for function in functions:
        generator.add(function)
    generator.generate(f"{folder}/")
    sizes = {
        "NX": NX, "NU": NU, "NS": NS, "NH": NUM_ROWS, "NP": NUM_STAGE_PARAMS,
        "NG": NUM_COST_PARAMS, "SPEED_AT": int(ModelState.SPEED), "LINEAR": int(CostParam.LINEAR),
        "QUADRATIC": int(CostParam.QUADRATIC), "QP_MODE": QP_MODE,
        "MAX_ARGS": max(f.sz_arg() for f in functions),
        "MAX_RES": max(f.sz_res() for f in functions),
        "WORK_W": max(f.sz_w() for f in functions) + 1,
        "WORK_IW": max(f.sz_iw() for f in functions) + 1,
    }  # fmt: skip
    return [f"-D{name}={value}" for name, value in sizes.items()]


def _digest(folder: Path, defines: list[str], command: str) -> str:
    """A digest of what the library is made from and of the machine that it is made on."""
    parts = [path.read_bytes() for path in (folder / "model.c", *SOURCES, *HEADERS)]
    told = subprocess.run([command, "--version"], capture_output=True, check=False).stdout
    facts = [
        *FLAGS,
        *defines,
        version("casadi"),
        str(ca.__file__),
        platform.machine(),
        _processor(),
    ]
    digest = hashlib.sha256()
    for part in (*parts, told, *(fact.encode() for fact in facts)):
        digest.update(part)
        digest.update(b"\0")
    return digest.hexdigest()[:24]


def _processor() -> str:
    """What -march=native looks at: the processor's features, or its name where none are told."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")
