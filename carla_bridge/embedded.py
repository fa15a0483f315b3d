"""A headless CARLA server in a process of its own, started and ended by us.

The child is this very module run with `-m`: it asks the kernel to be ended together with its
parent, so that even a killed `headway` leaves no server behind, and then becomes
`carla_bridge.headless`.
"""

from __future__ import annotations

import contextlib
import os
import re
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

READY = re.compile(r"headway server: listening on (\S+):(\d+)")
POLL_S = 0.01  # [s] between two looks at what the child has printed
GRACE_S = 3.0  # [s] from SIGTERM to SIGKILL
PR_SET_PDEATHSIG = 1  # prctl(2)


class ServerFailed(RuntimeError):
    """The embedded server did not come up, or died; the message holds what it printed."""


class EmbeddedServer:
    """`python -m carla_bridge.headless` on a free port; a context manager.

    Args:
        town: name of the town that it opens.
        seed: of its randomness.
        start_timeout_s: [s] allowed until it listens; the first start compiles kernels.
        progress: gets each line that the server prints while it starts.
    """

    def __init__(
        self,
        town: str,
        seed: int = 0,
        start_timeout_s: float = 300.0,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        self._log = tempfile.NamedTemporaryFile(  # noqa: SIM115 - lives as long as the server
            prefix="headway-server-", suffix=".log", delete=False
        )
        command = [sys.executable, "-m", "carla_bridge.embedded", str(os.getpid())]
        command += ["--port", "0", "--town", town, "--seed", str(seed)]
        # Its own session: Ctrl-C must reach us alone, so that we can still put the world back.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.host = "127.0.0.1"
        self.port = 0
        try:
            self._wait_ready(town, start_timeout_s, progress)
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the server's process runs."""
        return self._process.poll() is None

    def output(self, num_lines: int = 30) -> str:
        """The last lines that the server printed."""
        try:
            text = Path(self._log.name).read_text(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-num_lines:])

    def close(self) -> None:
        """End the server; safe to call twice."""
        if self.alive:
            self._process.terminate()
            try:
                self._process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._log.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._log.name)

    def __enter__(self) -> EmbeddedServer:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _wait_ready(
        self, town: str, timeout_s: float, progress: Callable[[str], None] | None
    ) -> None:
        deadline = time.monotonic() + timeout_s
        with open(self._log.name, errors="replace") as log:
            pending = ""
            while True:
                died = not self.alive  # asked before reading: what it said last is still read
                pending += log.read()
                *lines, pending = pending.split("\n")
                for line in lines:
                    if match := READY.search(line):
                        self.host, self.port = match[1], int(match[2])
                        return
                    if progress is not None and line.strip():
                        progress(line)
                if died:
                    raise ServerFailed(
                        f"the embedded server for town {town!r} ended with exit code "
                        f"{self._process.returncode} before it was ready:\n{self.output()}"
                    )
                if time.monotonic() > deadline:
                    raise ServerFailed(
                        f"the embedded server for town {town!r} was not ready within "
                        f"{timeout_s:g} s; it printed:\n{self.output() or '(nothing)'}"
                    )
                time.sleep(POLL_S)


def _main() -> None:
    """Run in the child: die with the parent, then be the server."""
    import ctypes  # noqa: PLC0415 - only the child needs it

    parent = int(sys.argv.pop(1))
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it died before we had asked
        sys.exit(1)
    runpy.run_module("carla_bridge.headless", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main()
