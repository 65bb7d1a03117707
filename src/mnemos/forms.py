"""The other forms of a space: keys and values, states, and weights. Nothing here imports PyTorch before it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Unpack

from mnemos.cube import Hit, MemCube
from mnemos.distribution import install_command
from mnemos.errors import InvalidInput
from mnemos.registry import installed
from mnemos.store.base import Store
from mnemos.text.context import withheld
from mnemos.text.memory import TextMemory
from mnemos.text.read import pick
from mnemos.text.recall.filters import Filters

if TYPE_CHECKING:
    from mnemos.migrate.base import Activated, Mode, Render
    from mnemos.migrate.gate import LearnReport
    from mnemos.migrate.labels import Labels
    from mnemos.migrate.learning import Learning
    from mnemos.migrate.prefill import PrefillCache
    from mnemos.migrate.states import States
    from mnemos.migrate.weights import Weights
    from mnemos.parametric.base import Carrier


class Forms:
    """What a `Space` does with models. Each is made when it is first asked for."""

    text: TextMemory
    store: Store
    clock: Callable[[], datetime]
    _activations: PrefillCache | None = None
    _weights: Weights | None = None
    _states: States | None = None
    _labels: Mapping[str, Labels] = MappingProxyType({})

    @property
    def activations(self) -> PrefillCache:
        """The keys and values that models have computed of its cubes, in RAM and on disk. Needs PyTorch."""
        if self._activations is None:
            from mnemos.migrate.prefill import PrefillCache

            self._activations = PrefillCache(self.store, self.clock)
        return self._activations

    def activate(
        self, what: str | Sequence[str | MemCube], model: Any, tokenizer: Any, *, mode: Mode = "exact",
        recompute: float = 0.15, question: str | None = None, k: int = 10, render: Render | None = None,
        **filters: Unpack[Filters],
    ) -> Activated:  # fmt: skip
        """Return cubes as a prefix that a transformer has already read, without prefill if it was computed before.

        `what` is a query (its `k` best cubes, oldest first; takes the filters of `search`), or cubes or ids in the order of the
        prompt. `render` turns a cube into text. With `mode="block"` cubes that were read alone are joined in any order, and the
        share `recompute` of their tokens, chosen for the `question` (or query), is computed again; see
        `migrate.prefill.PrefillCache.activate`. Raises NotFound.
        """
        from mnemos.migrate.pieces import render as to_line

        picked, asked = pick(self.text, what, k, filters), question or (what if isinstance(what, str) else None)
        return self.activations.activate(
            picked, model, tokenizer, mode=mode, render=render or to_line, recompute=recompute, question=asked
        )

    @property
    def states(self) -> States:
        """What models with a memory of their own (`mnemos.neural`) remember of its cubes. Needs PyTorch."""
        if self._states is None:
            from mnemos.migrate.states import States

            self._states = States(self.store, self.clock)
        return self._states

    def labels(self, name: str = "labels") -> Labels:
        """Return a classifier of texts that learns from every example and forgets what is erased; see `migrate.labels`.

        Raises InvalidInput without PyTorch, and without an embedder.
        """
        if not installed("parametric"):
            raise InvalidInput(f"a classifier of texts needs PyTorch: {install_command('torch')}.")
        if name not in self._labels:
            from mnemos.migrate.labels import Labels

            self._labels = {**self._labels, name: Labels(self.text, name)}
        return self._labels[name]

    @property
    def weights(self) -> Weights:
        """What models have learned of its cubes by heart: see, attach, measure and remove it. Needs PyTorch."""
        if self._weights is None:
            from mnemos.migrate.weights import Weights

            self._weights = Weights(self.store, self.clock)
        return self._weights

    def learn(
        self, what: str | Sequence[str | MemCube], model: Any, tokenizer: Any, *, into: str | Carrier = "adapter",
        how: Learning | None = None, k: int = 10, **filters: Unpack[Filters],
    ) -> LearnReport:  # fmt: skip
        """Let a model learn cubes by heart, beside its own weights; keep what it learned if it breaks nothing.

        `what` is a query (its `k` best cubes without those that a prompt would not show; takes the filters of `search`), or
        cubes or ids. `into` is a carrier: `mnemos methods --form parametric` lists them. What a gate asks is in `how`
        (`migrate.learning.Learning`). Takes seconds to minutes. The report says what was measured, and why weights were not
        kept; the texts stay in any case. Raises NotFound, InvalidInput where nothing can be learned, and Conflict.
        """
        picked, left_out = pick(self.text, what, k, filters), dict[str, str]()
        if isinstance(what, str):
            left_out = dict(withheld(self.text, what, [Hit(cube, 0.0, {}) for cube in picked]))
            picked = [cube for cube in picked if cube.id not in left_out]
        report = self.weights.learn(picked, model, tokenizer, into, how)
        return replace(report, left_out={**left_out, **report.left_out})

    def _flush_forms(self) -> int:
        """Persist the counts of use; return how many."""
        made = [form for form in (self._activations, self._weights) if form is not None]
        return sum(form.flush() for form in made)

    def _rest_forms(self) -> None:
        """Free what is in RAM."""
        for form in (self._activations, self._weights):
            if form is not None:
                form.rest()
