"""A Dask scheduler and workers as processes of their own on loopback, to be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

THREADS = {name: "1" for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")}


class Cluster:
    """A scheduler and its workers."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.workers = folder, []
        self.file = folder / "scheduler.json"
        self.scheduler = self.start(
            "dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", self.file,
            "--no-dashboard",
        )  # fmt: skip
        wait_until(self.file.exists)

    @property
    def address(self) -> str:
        import json

        return json.loads(self.file.read_text())["address"]

    def start(self, module: str, *arguments: object) -> subprocess.Popen:
        """Start one of distributed's programs."""
        command = [sys.executable, "-m", f"distributed.cli.{module}", *map(str, arguments)]
        with (self.folder / f"{module}-{len(self.workers)}.log").open("wb") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, env=os.environ | THREADS, cwd=self.folder
            )

    def add_worker(self) -> subprocess.Popen:
        """Start a worker that nothing starts again."""
        worker = self.start(
            "dask_worker", self.address, "--no-nanny", "--nthreads", "1", "--host", "127.0.0.1",
            "--no-dashboard",
        )  # fmt: skip
        self.workers.append(worker)
        return worker

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


def kill(process: subprocess.Popen) -> None:
    """End a process as `kill -9` does."""
    process.send_signal(signal.SIGKILL)
    process.wait()


def wait_until(condition: Callable[[], object], seconds: float = 120) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: it does not.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{condition} does not come true")
        time.sleep(0.02)
