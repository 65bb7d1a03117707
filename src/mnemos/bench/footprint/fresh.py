"""A measurement in a process of its own, so that nothing that ran before is in what it takes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any


def fresh(function: Callable[..., Any], *args: Any) -> Any:
    """Return what a function of a module returns, called in a new process on one thread."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_alone, function, args).result()


def _alone(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    from mnemos.bench.kv.threads import one_thread

    with one_thread():
        return function(*args)
