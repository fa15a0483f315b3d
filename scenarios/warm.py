"""`make kernels`: compile the numba kernels once, with a bar, before the first drive.

A few seconds of a real drive, server and film included, call every kernel that a drive calls; numba
keeps the machine code in the user's cache. What has been compiled is seen there, whichever process
did it. A second call finds its stamp and returns at once.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

import numba
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from headway.kernel_cache import PACKAGES, ROOT, kernel_folder

SHORT_DRIVE = ("town=grid", "seed=1", "episode.time_limit_s=4.0", "output.rerun=false")


def kernel_sources() -> list[Path]:
    """Return our files that hold kernels."""
    files = (file for package in sorted(PACKAGES) for file in (ROOT / package).rglob("*.py"))
    return [file for file in files if "njit" in file.read_text()]


def stamp(sources: list[Path]) -> Path:
    """Return the file whose presence says that these sources were compiled on this machine."""
    digest = hashlib.sha256(f"{numba.__version__} {sys.version} {ROOT}".encode())
    for file in sorted(sources):
        digest.update(file.read_bytes())
    return kernel_folder() / f"warm-{digest.hexdigest()[:16]}"


def compiled_since(begin: float) -> int:
    """Return how many kernels were written to the cache since `begin` (wall clock) [s]."""
    files = kernel_folder().glob("*/*.nbi")
    return sum(file.stat().st_mtime >= begin for file in files)


def warm() -> None:
    """Compile what a drive needs unless that was done.

    Raises:
        SystemExit: the drive failed; its words are shown.
    """
    sources = kernel_sources()
    done = stamp(sources)
    if done.exists():
        return
    total = sum(file.read_text().count("@njit") for file in sources)
    title = TextColumn("compiling kernels (once, a few minutes)")
    columns = (title, BarColumn(30), MofNCompleteColumn(), TimeElapsedColumn())
    bar = Progress(*columns, console=Console(stderr=True))
    begin = time.time()
    with TemporaryDirectory() as folder, TemporaryFile("w+") as words, bar:
        command = [sys.executable, "-m", "headway.cli", "drive", *SHORT_DRIVE]
        drive = subprocess.Popen(
            [*command, f"output.folder={folder}"], stdout=words, stderr=subprocess.STDOUT
        )
        try:
            task = bar.add_task("kernels", total=total)
            while drive.poll() is None:
                bar.update(task, completed=min(compiled_since(begin), total))
                time.sleep(0.3)
        finally:  # Ctrl-C: what was compiled stays, the next call goes on from there
            drive.terminate()
            drive.wait()
        if drive.returncode:
            words.seek(0)
            raise SystemExit(f"the first drive failed:\n{words.read()}")
        bar.update(task, completed=total)
    done.parent.mkdir(parents=True, exist_ok=True)
    done.touch()


if __name__ == "__main__":
    warm()
