"""Long work on many spaces: one task a space, so that a space has one writer."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mnemos.embed import Embedder, load
from mnemos.embed.portable import Portable
from mnemos.errors import InvalidInput, MnemosError
from mnemos.location import Location
from mnemos.space import Space
from mnemos.system import Mnemos
from mnemos.tasks import INLINE, Workers
from mnemos.text.consolidate.report import Consolidation
from mnemos.text.encode.spread import SpreadEncoder


@dataclass(frozen=True, slots=True)
class Opening:
    """How a worker opens the root: on another machine it must find the same folder, or reach the same database."""

    root: Location
    embedder: Portable | None = None  # None: words only
    reasoner: str | None = None  # as `Mnemos` takes it
    timezone: str | None = None
    actor: str | None = None
    blobs: str | None = None

    @staticmethod
    def of(memory: Mnemos, reasoner: str | None = None) -> Opening:
        """Return how to open the root of a memory again, with a reasoner that a spec names."""
        embedder = None if memory.embedder is None else Portable(memory.embedder)
        return Opening(memory.root, embedder, reasoner, memory.timezone, memory.actor, memory.blobs)

    def memory(self) -> Mnemos:
        """Open the root. Raises InvalidInput for a folder that is not on this machine, which is not made."""
        if isinstance(self.root, Path) and not self.root.is_dir():
            raise InvalidInput(
                f"the worker on {socket.gethostname()} finds no folder {self.root}: let every machine see it under the same "
                "path, use a database, or work on one machine with --workers."
            )
        embedder: str | Embedder = "none" if self.embedder is None else self.embedder.embedder
        return Mnemos(
            self.root,
            embedder=load(embedder) or "none",
            reasoner=self.reasoner,
            timezone=self.timezone,
            actor=self.actor,
            blobs=self.blobs,
        )


@dataclass(frozen=True, slots=True)
class Consolidate:
    """Consolidates a space until nothing is left to do; see `Space.consolidate`."""

    limit: int | None = None

    def __call__(self, space: Space) -> Consolidation:
        """Return what was done."""
        return space.consolidate(limit=self.limit)


@dataclass(frozen=True, slots=True)
class Reindex:
    """Computes the vectors that are missing in a space; see `Space.reindex`."""

    sample: int | None = None

    def __call__(self, space: Space) -> int:
        """Return the number of vectors."""
        return space.reindex(sample=self.sample)


Work = Callable[[Space], object]


@dataclass(frozen=True, slots=True)
class Task:
    """Work on one space."""

    opening: Opening
    name: str
    work: Work


@dataclass(frozen=True, slots=True)
class Done:
    """What came of the work on a space: its result, or the problem that ended it."""

    name: str
    result: object = None
    problem: str = ""


def on_spaces(opening: Opening, names: Sequence[str], work: Work, workers: Workers = INLINE) -> Iterator[Done]:
    """Do work on each space, one task a space; yield what came of each, in the order in which they are finished.

    A space that cannot be worked on (damaged, busy, gone) costs the others nothing. Raises WorkerLost, and InvalidInput
    for a root or an embedder that workers cannot use.
    """
    return workers.run(work_on, (Task(opening, name, work) for name in names))


def work_on(task: Task) -> Done:
    """Open a space, work on it and close it."""
    with task.opening.memory() as memory:
        try:
            return Done(task.name, task.work(memory.existing(task.name)))
        except MnemosError as error:
            return Done(task.name, problem=str(error))


def spread(space: Space, workers: Workers) -> None:
    """Let workers encode what is added to a space in bulk from now on; the space itself is still written here."""
    if workers is not INLINE:
        system = space.text.system
        space.text.use(replace(system, encode=SpreadEncoder(system.encode, workers)))
