"""The engine: jobs go to Dask's workers, results come as they are ready.

A job is a name and JSON text; a worker imports the function by its name. So nothing but text goes
over the network, and a worker that dies is replaced: Dask gives its jobs to another one.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any

from snncompile.errors import BackendError, InputError
from snncompile.study.store import hash_value

WINDOW = 2
"""Jobs that wait for each thread of a worker, so that it is never idle."""
CONNECT_S = 30
"""Seconds after which what answers at an address is no scheduler."""
REACH_S = 5
"""Seconds after which nothing answers at an address."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Variables that say how many threads a library takes."""

GONE = (
    "the Dask scheduler is gone; results so far are kept: start it and give the same command again"
)
"""Said where the connection ended and did not come back."""

Work = tuple[str, tuple[Any, ...]]
"""Name of a job, the same for the same job; arguments of the function, text and numbers."""


@dataclass(frozen=True)
class Failure:
    """A job that has no result: its worker died again and again, or a mistake of ours."""

    reason: str


def import_dask() -> Any:
    """Return the module `distributed`.

    Raises:
        InputError: a package of the extra is missing.
    """
    for name in ("optuna", "dask", "distributed"):
        try:
            importlib.import_module(name)
        except ImportError:
            raise InputError(
                f"a sweep needs {name}, which is not installed: pip install 'snncompile[sweep]'"
            ) from None
    return importlib.import_module("distributed")


@contextmanager
def open_engine(
    scheduler: str | None = None, workers: int | None = None, threads: int = 1
) -> Iterator[Engine]:
    """Give an engine of local workers, or of a scheduler that runs already.

    Args:
        scheduler: address of a Dask scheduler, such as `tcp://10.0.0.5:8786`; None: local workers.
        workers: processes of local workers; None: one per core.
        threads: of each local worker's libraries; a worker runs one job at a time.

    Raises:
        InputError: a package is missing, or there is no such scheduler.
    """
    distributed = import_dask()
    if scheduler is None:
        count = workers or os.cpu_count() or 1
        with (
            _hide_script(),
            _start_workers(distributed, count, threads) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield Engine(client)
        return
    check_scheduler(scheduler)
    try:
        client = distributed.Client(scheduler, timeout=CONNECT_S)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error) or type(error).__name__
        raise InputError(f"no Dask scheduler at {scheduler}: {reason}") from None
    with client:
        yield Engine(client)


def check_scheduler(address: str) -> None:
    """Refuse an address at which no Dask scheduler answers; Dask itself would try for long.

    Dask's side of a connection speaks first, other than that of HTTP.

    Raises:
        InputError: it is no address, or nothing answers there.
    """
    addressing = importlib.import_module("distributed.comm.addressing")
    try:
        scheme, location = addressing.parse_address(address)
        if scheme not in ("tcp", "tls"):
            return
        with socket.create_connection(addressing.parse_host_port(location), REACH_S) as probe:
            if scheme == "tcp" and not probe.recv(1):
                raise OSError("what answers there is something else")
    except TimeoutError:
        raise InputError(f"no Dask scheduler at {address}: no answer in {REACH_S} s") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"no Dask scheduler at {address}: {reason}; `dask scheduler` prints its address, such"
            " as tcp://10.0.0.5:8786"
        ) from None


@contextmanager
def _hide_script() -> Iterator[None]:
    """Keep new processes from importing the script that runs: jobs need none of it.

    `multiprocessing` looks for `__spec__` and `__file__` of `__main__`; without them a script needs
    no `if __name__ == "__main__":`. Workers that replace others are started later, so this holds
    while there is an engine.
    """
    main = sys.modules["__main__"]
    kept = {name: getattr(main, name) for name in ("__spec__", "__file__") if hasattr(main, name)}
    main.__spec__ = None
    if "__file__" in kept:
        del main.__file__
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(main, name, value)


@contextmanager
def _start_workers(distributed: Any, workers: int, threads: int) -> Iterator[Any]:
    """Give a cluster of processes on this machine, each with so many threads for its libraries."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update({name: str(threads) for name in THREADS})
    try:
        cluster = distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=50,
        )
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    with cluster:
        yield cluster


@dataclass(frozen=True)
class Engine:
    """Dask's workers."""

    client: Any

    @property
    def dashboard(self) -> str | None:
        """Address of Dask's dashboard; None where the scheduler has none."""
        with suppress(Exception):
            link = self.client.dashboard_link
            return str(link) if link else None
        return None

    @property
    def threads(self) -> int:
        """Threads of all workers, each for one job; 0 before the first worker is there.

        Raises:
            BackendError: the scheduler is gone.
        """
        try:
            return int(sum(self.client.nthreads().values()))
        except (AttributeError, OSError, RuntimeError):  # a client that is closed has no scheduler
            raise BackendError(GONE) from None

    @property
    def slots(self) -> int:
        """Jobs that run at a time."""
        return max(1, self.threads)

    def run(
        self, function: Callable[..., str], jobs: Iterator[Work]
    ) -> Iterator[tuple[str, str | Failure]]:
        """Yield the name and the result of each job, as they are ready.

        Jobs are taken while there is room, so that they may be made while others run.

        Args:
            function: of a module, called with the arguments of a job in a worker.
            jobs: no two of one name.

        Raises:
            BackendError: the scheduler is gone.
        """
        running: dict[Any, str] = {}
        ready = importlib.import_module("distributed").as_completed()
        try:
            while self._fill(function, jobs, running, ready) or running:
                future = next(ready)
                if future.status in ("cancelled", "lost"):
                    raise BackendError(GONE)
                yield running.pop(future), _collect(future)
                future.release()
        finally:
            if self.client.status == "running":  # else it is closed, and its jobs are gone
                self.client.cancel(list(running))

    def _fill(
        self,
        function: Callable[..., str],
        jobs: Iterator[Work],
        running: dict[Any, str],
        ready: Any,
    ) -> bool:
        """Submit jobs while there is room; return whether there was one."""
        submitted = False
        while len(running) < WINDOW * self.slots:
            job = next(jobs, None)
            if job is None:
                break
            name, arguments = job
            key = f"{function.__name__}-{hash_value(arguments)}"  # others may have jobs there, too
            future = self.client.submit(function, *arguments, key=key)
            running[future] = name
            ready.add(future)
            submitted = True
            if not ready.queue.empty():
                break  # a result waits
        return submitted


class EngineOnDemand:
    """An engine that is opened for its first job: where all results are there, nothing starts."""

    def __init__(self, stack: ExitStack, opened: Callable[[], None], **options: Any) -> None:
        """Keep the options of `open_engine`; the stack closes the engine, `opened` is called."""
        self.stack, self.opened, self.options = stack, opened, options
        self.engine: Engine | None = None

    @property
    def dashboard(self) -> str | None:
        """Address of Dask's dashboard; None before the first job."""
        return None if self.engine is None else self.engine.dashboard

    @property
    def threads(self) -> int | None:
        """Threads of all workers; None before the first job."""
        return None if self.engine is None else self.engine.threads

    def run(
        self, function: Callable[..., str], jobs: Iterator[Work]
    ) -> Iterator[tuple[str, str | Failure]]:
        """Yield the name and the result of each job; see `Engine.run`."""
        first = next(jobs, None)
        if first is None:
            return
        if self.engine is None:
            self.engine = self.stack.enter_context(open_engine(**self.options))
            self.opened()
        yield from self.engine.run(function, chain([first], jobs))


def _collect(future: Any) -> str | Failure:
    """Return the result of a job that has ended, or why it has none."""
    error = future.exception()
    if error is None:
        return str(future.result())
    if type(error).__name__ == "KilledWorker":
        return Failure("its worker died again and again; more memory per worker may help")
    if isinstance(error, BackendError):
        return Failure(str(error))
    return Failure(f"{type(error).__name__}: {' '.join(str(error).split())}")
