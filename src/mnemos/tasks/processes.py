"""Workers in processes of this machine."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_all_start_methods, get_context
from types import TracebackType

from mnemos.tasks.base import AHEAD, TRIES, R, T, lost

START = (
    "forkserver" if "forkserver" in get_all_start_methods() else "spawn"
)  # a fork would copy locks that threads hold


class Processes:
    """Implements `Workers` with a pool of processes, which are started anew when one of them is killed.

    A program that uses it needs the usual `if __name__ == "__main__":`, since new processes import its main module.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool: ProcessPoolExecutor | None = None

    def run(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        """Yield the results in the order in which they are finished; see `Workers.run`."""
        waiting, again = iter(tasks), list[tuple[T, int]]()  # those whose worker was lost, with their tries
        running: dict[Future[R], tuple[T, int, ProcessPoolExecutor]] = {}
        try:
            while True:
                while len(running) < AHEAD * self.count and (
                    found := again[:1] or [(t, 0) for t in islice(waiting, 1)]
                ):
                    again = again[1:]
                    (task, tries), pool = found[0], self._started()
                    try:
                        running[pool.submit(function, task)] = task, tries + 1, pool
                    except BrokenProcessPool:  # a worker was killed since the last look
                        self._end(pool)
                        again.append((task, tries))
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    task, tries, pool = running.pop(future)
                    try:
                        result = future.result()
                    except (BrokenProcessPool, CancelledError) as error:  # whose process it was is not known
                        if tries == TRIES:
                            raise lost(task) from error
                        self._end(pool)
                        again.append((task, tries))
                    else:
                        yield result
        finally:
            for future in running:
                future.cancel()

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = get_context(START)
            if START == "forkserver":
                context.set_forkserver_preload([__name__])  # imports Mnemos once, and not in each process
            self._pool = ProcessPoolExecutor(self.count, context, _begin)
        return self._pool

    def _end(self, pool: ProcessPoolExecutor | None) -> None:
        """End a pool; the next task starts another. What it has not finished is cancelled."""
        if self._pool is pool is not None:
            self._pool = None
            pool.shutdown(cancel_futures=True)

    def __enter__(self) -> Processes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(self._pool)


def _begin() -> None:
    """Leave Ctrl-C to the process that commits: it ends the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
