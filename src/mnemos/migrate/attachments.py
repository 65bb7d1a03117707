"""Weights beside models: which are attached, by one thread at a time, and detached as soon as they may not be used.

What a model computes while weights are attached depends on them: `attached_to` says which, so that nothing of it is taken
for the model's own.
"""

from __future__ import annotations

import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from mnemos.cube import MemCube
from mnemos.migrate.asked import questions_of
from mnemos.migrate.fingerprints import Fingerprints
from mnemos.migrate.weight_files import WeightFile
from mnemos.parametric.base import Learned

Check = Callable[[Sequence[MemCube]], Mapping[str, str]]  # returns which may not be used any longer, and why


@dataclass(frozen=True)
class Loaded:
    """The weights of a cube, ready for one model."""

    cube: MemCube
    learned: Learned
    file: WeightFile

    @cached_property
    def questions(self) -> frozenset[frozenset[str]]:
        """The words of each question that was learned."""
        return questions_of(self.file.examples)

    @property
    def answers(self) -> dict[str, str]:
        """What was learned, by prompt, without differences of case and space."""
        learned = self.file.examples
        plain = ((" ".join(e.prompt.split()).casefold(), " ".join(e.answer.split()).casefold()) for e in learned)
        return {prompt: answer for prompt, answer in plain if prompt}


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two weights that answer one prompt differently. Both are attached; what the model says is not defined."""

    prompt: str
    older: str  # id
    newer: str  # id


@dataclass
class Attachment:
    """What one block has attached, in this order. It changes when cubes are erased or updated inside the block."""

    loaded: list[Loaded]
    refused: dict[str, str]  # id of weights that are not attached -> why
    model: str  # fingerprint of the model with nothing attached
    check: Check
    _stack: ExitStack = field(default_factory=ExitStack)

    @property
    def cubes(self) -> tuple[str, ...]:
        """Ids of the weights that are attached."""
        return tuple(each.cube.id for each in self.loaded)

    @property
    def contradictions(self) -> tuple[Contradiction, ...]:
        """Prompts that two of them answer differently. O(examples)."""
        known: dict[str, tuple[str, str]] = {}
        found: list[Contradiction] = []
        for each in sorted(self.loaded, key=lambda x: x.cube.at):
            for prompt, answer in each.answers.items():
                if prompt in known and known[prompt][0] != answer:
                    found.append(Contradiction(prompt, known[prompt][1], each.cube.id))
                known[prompt] = answer, each.cube.id
        return tuple(found)

    def enter(self, model: Any) -> None:
        """Attach all; where one does not fit, none is."""
        with ExitStack() as stack:
            for each in self.loaded:
                stack.enter_context(each.learned.attach(model))
            self._stack = stack.pop_all()

    def leave(self) -> None:
        """Detach all."""
        self._stack.close()

    def drop(self) -> bool:
        """Take out, while detached, what may not be used any longer; return whether there is any, and warn of it."""
        problems = self.check([each.cube for each in self.loaded])
        if not problems:
            return False
        self.loaded = [each for each in self.loaded if each.cube.id not in problems]
        self.refused |= problems
        said = "; ".join(f"{name}: {reason}" for name, reason in problems.items())
        warnings.warn(f"weights were detached from the model ({said}).", RuntimeWarning, stacklevel=6)
        return True


@dataclass
class Holder:
    """What is attached to one model: a block inside another attaches more. One thread at a time, the others wait."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    levels: list[Attachment] = field(default_factory=list)  # the outermost first
    _changing: threading.RLock = field(default_factory=threading.RLock)  # any thread that asks the model may detach

    @contextmanager
    def attach(self, model: Any, attachment: Attachment) -> Iterator[None]:
        """Attach for a block, inside what is attached already; afterwards the model is as it was before, bit for bit."""
        hook = None if self.levels else model.register_forward_pre_hook(lambda *_: self._look(model))
        try:
            with self._changing:
                attachment.enter(model)
                self.levels.append(attachment)
            try:
                yield
            finally:
                with self._changing:
                    self.levels.remove(attachment)
                    attachment.leave()
        finally:
            if hook is not None:
                hook.remove()

    @contextmanager
    def detached(self, model: Any) -> Iterator[None]:
        """Take off what is attached, for a block: a model is recognised, and weights are made for it, by its own layers."""
        with self._changing:
            for level in reversed(self.levels):
                level.leave()
            try:
                yield
            finally:
                for level in self.levels:
                    level.enter(model)

    def _look(self, model: Any) -> None:
        """Before the model computes: detach what may not be used any longer. One statement where nothing was written."""
        with self._changing:
            if any(level.check([each.cube for each in level.loaded]) for level in self.levels):
                with self.detached(model):
                    for level in self.levels:
                        level.drop()


_HOLDERS: weakref.WeakKeyDictionary[Any, Holder] = weakref.WeakKeyDictionary()  # by model
_LOCK = threading.Lock()


@contextmanager
def holding(model: Any) -> Iterator[Holder]:
    """Give what is attached to a model to this thread alone, for a block; a block of the same thread may be inside it."""
    with _LOCK:
        holder = _HOLDERS.setdefault(model, Holder())
    with holder.lock:
        yield holder


def state_of(model: Any, known: Fingerprints) -> tuple[str, tuple[str, ...]]:
    """Return what a model computes depends on: its fingerprint, and the ids of the weights attached to it."""
    holder = _HOLDERS.get(model)
    levels = () if holder is None else tuple(holder.levels)
    return (levels[0].model if levels else known.of(model)), attached_to(model)


def attached_to(model: Any) -> tuple[str, ...]:
    """Return the ids of the weights that are attached to a model, in their order."""
    holder = _HOLDERS.get(model)
    return () if holder is None else tuple(name for level in holder.levels for name in level.cubes)
