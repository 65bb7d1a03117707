"""States: what a model with a memory of its own remembers of a space's cubes, kept beside them as a cube.

The state of such a model (`mnemos.neural`) has the same size however much it has read. It is a memory of form activation:
stored once, and gone on with in another process, instead of reading the texts again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from mnemos.cube import MemCube, new_id
from mnemos.errors import Conflict, InvalidInput, NotFound, StoreCorrupt
from mnemos.migrate.base import Render, tokenize
from mnemos.migrate.fingerprints import Fingerprints
from mnemos.migrate.pieces import render as to_line
from mnemos.migrate.weight_cubes import ALL, digest_of, stale, sweep, write
from mnemos.neural.base import State
from mnemos.neural.model import LM
from mnemos.store.base import Store
from mnemos.store.values import STATES, Filter


@dataclass
class States:
    """The states of models that have read cubes of a space; erased with any cube that was read.

    A state says what its texts said when they were read: it is refused once one of them was superseded or archived, and
    erased where one was updated.
    """

    store: Store  # of the cubes; keeps the states beside them
    clock: Callable[[], datetime]  # tells the time
    _fingerprints: Fingerprints = field(default_factory=Fingerprints)

    def __post_init__(self) -> None:
        sweep(self.store)

    def list(self) -> list[MemCube]:
        """Return the cubes of states, the one read first first; their metadata say of which model, and how much it read."""
        found = [cube for _, cube in self.store.select(Filter(kind=STATES, state=None), limit=ALL)]
        return sorted(found, key=lambda cube: (cube.at, cube.id))

    def read(
        self, cubes: Sequence[MemCube], model: LM, tokenizer: Any, *, after: MemCube | None = None, render: Render = to_line
    ) -> MemCube:  # fmt: skip
        """Let a model read cubes in this order, behind what the state `after` has read; return the cube of its new state.

        Costs one pass over the new text. Raises InvalidInput without cubes, for a cube of another form and for a state of
        another model; Conflict where a cube changed meanwhile. Nothing is stored then.
        """
        if not cubes or any(cube.form != "text" for cube in cubes):
            raise InvalidInput("a model reads texts: give at least one cube, all of form text.")
        tokens = torch.tensor([[t for cube in cubes for t in tokenize(tokenizer, render(cube))]])
        before = None if after is None else self.load(after, model)
        with torch.no_grad():
            state = model(tokens, before)[1]
        return self.keep(state, model, [*self._read(after), *cubes], tokens.shape[1] + self._tokens(after))

    def keep(self, state: State, model: LM, cubes: Sequence[MemCube], tokens: int) -> MemCube:
        """Store the state of one sequence after these cubes; return its cube. Raises as `read` does."""
        known = self._fingerprints.of(model)
        data = bytes(
            save({name: t.contiguous() for name, t in state.items()}, {"mnemos": json.dumps({"model": known})})
        )
        now, unique = self.clock(), {cube.id: cube for cube in cubes}
        metadata = {
            "model": known, "tokens": tokens, "digest": digest_of(data), "bytes": len(data),
            "versions": {cube.id: cube.version for cube in unique.values()},
        }  # fmt: skip
        cube = MemCube(
            id=new_id(), text="", space=self.store.space, at=now, learned=now, form="activation", kind=STATES,
            source="mnemos", parents=tuple(unique), metadata=metadata,
        )  # fmt: skip
        write(self.store, cube, data, "memories of the texts")
        return cube

    def load(self, cube: str | MemCube, model: LM) -> State:
        """Return a state, to go on with: `model(tokens, state)`.

        Raises NotFound, Conflict where a text was superseded or archived since, InvalidInput for another model, and
        StoreCorrupt for a damaged payload.
        """
        name = cube if isinstance(cube, str) else cube.id
        found = self.store.get([name]).get(name)
        if found is None or found.kind != STATES:
            raise NotFound(f"there is no state {name!r} in space {self.store.space!r}: `space.states.list()` has them.")
        if reason := stale(self.store, [found]).get(name):
            raise Conflict(f"the state {name} is not used: {reason}; read the texts again.")
        if found.metadata["model"] != self._fingerprints.of(model):
            raise InvalidInput(
                f"the state {name} is of another model, or this one was trained since: read the texts again."
            )
        try:
            with self.store.blobs.local(name) as path:
                data = path.read_bytes()
            if digest_of(data) == found.metadata["digest"]:
                state: State = load(data)
                return state
        except (OSError, SafetensorError, ValueError) as error:
            raise StoreCorrupt(
                f"the state {name} cannot be read ({error}): erase it and read the texts again."
            ) from error
        raise StoreCorrupt(f"the state {name} is damaged: erase it and read the texts again.")

    def _read(self, state: MemCube | None) -> Sequence[MemCube]:
        """Return the cubes that a state has read."""
        return () if state is None else tuple(self.store.get(state.parents).values())

    @staticmethod
    def _tokens(state: MemCube | None) -> int:
        return 0 if state is None else int(str(state.metadata["tokens"]))
