"""A measurement in a process of its own, so that nothing that ran before is in what it takes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any


def fresh(function: Callable[..., Any], *args: Any) -> Any:
    """Return what a function of a module returns, called in a new process on one thread, which has read libraries alone."""
    context = get_context("forkserver")
    # optimisers load torch._dynamo at their first step
    context.set_forkserver_preload(["torch", "torch._dynamo", function.__module__])
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_alone, function, args).result()


def _alone(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    from mnemos.bench.kv.threads import one_thread

    with one_thread():
        return function(*args)
