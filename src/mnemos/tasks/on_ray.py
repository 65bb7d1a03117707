"""Workers on a Ray cluster, or on a Ray that is started on this machine (extra `ray`)."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from types import TracebackType
from typing import Any

from mnemos.distribution import install_command
from mnemos.errors import MnemosError
from mnemos.tasks.base import AHEAD, TRIES, R, T, lost

LOCAL = "local"
USAGE = "RAY_USAGE_STATS_ENABLED"  # what Ray would send to its makers; a Ray that is started here sends nothing


class RayWorkers:
    """Implements `Workers` on Ray (Moritz et al., arXiv 1712.05889): a task takes one core, and Ray retries lost ones.

    `address` is "local", "auto" or HOST:PORT; `count` bounds the workers (default: the cores of the cluster). The
    machines of a cluster need the same Mnemos and Python. A Ray that this process has connected to before is used as it
    is. Raises MnemosError where the package is missing or no cluster answers.
    """

    def __init__(self, address: str, count: int | None = None) -> None:
        if importlib.util.find_spec("ray") is None:
            raise MnemosError(f"work on Ray needs the package ray: {install_command('ray')}.")
        self.address, self._wanted = address, count
        self._count: int | None = None
        self._own = False

    @property
    def count(self) -> int:
        """The number of workers; connects to the cluster to count its cores."""
        if self._count is None:
            self._connect()
            self._count = self._wanted or max(1, int(_ray().cluster_resources().get("CPU", 1)))
        return self._count

    def run(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """Yield the results in the order in which they are finished; see `Workers.run`."""
        ray, most = _ray(), AHEAD * self.count
        remote = ray.remote(num_cpus=1, max_retries=TRIES - 1)(function)
        waiting = iter(tasks)
        running: dict[Any, T] = {}
        done = False
        try:
            while running or not done:
                while not done and len(running) < most:
                    found = list(islice(waiting, 1))
                    done = not found
                    running |= {remote.remote(task): task for task in found}
                for reference in ray.wait(list(running), num_returns=1)[0] if running else ():
                    task = running.pop(reference)
                    try:
                        result: R = ray.get(reference)
                    except ray.exceptions.RayTaskError as error:
                        raise _of_task(error.cause) from None
                    except ray.exceptions.RayError as error:  # after Ray's own tries
                        raise lost(task) from error
                    yield result
        finally:
            for reference in running:
                ray.cancel(reference)

    def _connect(self) -> None:
        ray = _ray()
        if ray.is_initialized():
            return
        os.environ.setdefault(USAGE, "0")
        more: dict[str, Any] = {"num_cpus": self._wanted, "include_dashboard": False} if self.address == LOCAL else {}
        try:
            ray.init(self.address, log_to_driver=False, logging_level=logging.ERROR, **more)
        except (ConnectionError, ValueError, RuntimeError) as error:
            line = str(error).strip().partition("\n")[0]
            raise MnemosError(
                f"no Ray answers at {self.address!r} ({line:.200}). Start one with `ray start --head` and give its HOST:PORT, "
                "or give local, which starts one for as long as the work takes."
            ) from error
        self._own = True

    def __enter__(self) -> RayWorkers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._own:
            _ray().shutdown()
            self._own, self._count = False, None


def _of_task(error: Exception) -> Exception:
    """Return the error of a function; a plain one where the function could not be imported."""
    if isinstance(error, RuntimeError) and "failed to import" in str(error):
        missing = str(error).strip().rpartition("\n")[2]
        return MnemosError(
            f"the workers of the cluster cannot import Mnemos ({missing}): install the same version there."
        )
    return error


def _ray() -> Any:
    """Return the package, which takes a second to import."""
    return importlib.import_module("ray")
