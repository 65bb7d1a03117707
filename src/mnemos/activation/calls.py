"""Calls of a model: which cache a call of this thread reads into, and what is installed while several need it."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor


class Recorder(ABC):
    """A cache that is told of the calls of a model, and records what the model reads and says, as its method asks for.

    A base class, not a protocol: every call of a model asks which kind of cache it is given.
    """

    @property
    @abstractmethod
    def needs_tokens(self) -> bool:
        """Whether tokens and logits are recorded."""

    @property
    @abstractmethod
    def needs_hidden_states(self) -> bool:
        """Whether a layer records what it reads."""

    @property
    @abstractmethod
    def given(self) -> Any:
        """The layer that was given keys in this call and has not attended yet; None: there is none."""

    @abstractmethod
    def begin(self) -> None:
        """Begin a call. Raises InvalidInput for a cache that another call uses, or that one has left half-way."""

    @abstractmethod
    def take_mask(self, mask: Tensor | None) -> None:
        """Take the padding mask (B, tokens read) of a call. Raises InvalidInput for padding that a method misreads."""

    @abstractmethod
    def end(self, failed: bool) -> None:
        """End a call. Raises InvalidInput if a layer was not attended to."""

    @abstractmethod
    def record_tokens(self, ids: Tensor) -> None:
        """Record the ids (B, q) of a call that begins."""

    @abstractmethod
    def record_logits(self, logits: Tensor | None) -> None:
        """Record the logits (B, q or less, V) of a call that has ended."""

    @abstractmethod
    def record_hidden_states(self, layer: int, states: Tensor) -> None:
        """Record what a layer reads in the call that it begins, (B, q, width)."""


class _Thread(threading.local):
    """The calls that a thread is in, the innermost last: the cache of ours that each reads into, or None."""

    def __init__(self) -> None:
        self.caches: list[Recorder | None] = []


_THREAD = _Thread()


def cache_of_call() -> Recorder | None:
    """Return the cache of ours that the innermost call of this thread reads into; None: there is none."""
    return _THREAD.caches[-1] if _THREAD.caches else None


def watch_calls(module: Any) -> Callable[[], None]:
    """Tell caches of ours when a call of a module begins and ends; return what stops that.

    The call of a part that reads into the same cache as the call around it is part of that.
    """

    def enter(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        around, cache = cache_of_call(), kwargs.get("past_key_values")
        _THREAD.caches.append(None)
        if isinstance(cache, Recorder):
            if cache is not around:
                cache.begin()
            _THREAD.caches[-1] = cache

    def leave(_: Any, args: tuple[Any, ...], output: Any) -> None:
        cache = _THREAD.caches.pop() if _THREAD.caches else None
        if cache is not None and cache is not cache_of_call():
            cache.end(failed=output is None)

    hooks = (
        module.register_forward_pre_hook(enter, with_kwargs=True),
        module.register_forward_hook(leave, always_call=True),
    )

    def stop() -> None:
        for hook in hooks:
            hook.remove()

    return stop


@contextmanager
def call_of(cache: Recorder) -> Iterator[None]:
    """Read into a cache as a call of a model does: what attends in the block, in this thread, attends to it."""
    cache.begin()
    _THREAD.caches.append(cache)
    failed = True
    try:
        yield
        failed = False
    finally:
        _THREAD.caches.pop()
        cache.end(failed)


@contextmanager
def calls_forgotten() -> Iterator[None]:
    """Forget, at the end of a block, the calls that an interrupt has cut off in it."""
    depth = len(_THREAD.caches)
    try:
        yield
    finally:
        del _THREAD.caches[depth:]


class Installed:
    """What is installed for as long as anybody uses it: the first who asks installs it, the last removes it.

    Threads may share it. Counts are by an object's identity; the object is kept alive by the block that uses it.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._uses: dict[int, int] = {}
        self._undo: dict[int, Callable[[], object]] = {}

    @contextmanager
    def use(self, thing: object, install: Callable[[], Callable[[], object]]) -> Iterator[None]:
        """Install something for `thing` unless it is there; `install` returns what removes it."""
        key = id(thing)
        with self._lock:
            if not self._uses.get(key):
                self._undo[key] = install()
            self._uses[key] = self._uses.get(key, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                self._uses[key] -= 1
                if not self._uses[key]:
                    del self._uses[key]
                    self._undo.pop(key)()
