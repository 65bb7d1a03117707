"""Bulk work as tasks that run somewhere: in this process, in processes of this machine, or on a Ray cluster."""

from __future__ import annotations

import os

from mnemos.errors import InvalidInput
from mnemos.tasks.base import INLINE, WorkerLost, Workers

__all__ = ["INLINE", "WorkerLost", "Workers", "load_workers"]


def load_workers(count: int | None = None, ray: str | None = None) -> Workers:
    """Return `count` processes, workers of the Ray cluster at an address, or, without both, this process.

    At most four processes a core are made.
    `ray` is "local" (a Ray on this machine for as long as the work takes), "auto" (the one that runs here) or HOST:PORT.
    A context manager; nothing is started before it is entered. Raises InvalidInput.
    """
    if count is not None and count < 1:
        raise InvalidInput(f"workers is {count}: give 1 or more.")
    if ray is not None:
        from mnemos.tasks.on_ray import RayWorkers

        return RayWorkers(ray, count)
    if count is None:
        return INLINE
    from mnemos.tasks.processes import Processes

    return Processes(min(count, 4 * (os.cpu_count() or 1)))
