"""TextMemory: what the verbs of text memory work on: a store, its view, and who embeds, judges and tells the time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from mnemos.cube import MemCube
from mnemos.embed import Embedder
from mnemos.errors import EmbedderError, NotFound
from mnemos.guard.quarantine import secrets_policy, trust_rules
from mnemos.reason.base import Reasoner
from mnemos.reason.rules import RuleReasoner
from mnemos.store.base import Store
from mnemos.store.setting import Setting
from mnemos.text.forget.base import Law
from mnemos.text.forget.policy import Policy, policy_json
from mnemos.text.forget.strengthen import Recalls
from mnemos.text.recall.view import CurrentView


class TextMemory:
    """The text memory of one space. Every verb takes it; a `Space` makes one and hands it on."""

    policy = Setting[Policy]("policy", Policy(), Policy.from_json, policy_json)
    trust = Setting[Mapping[str, int]]("trust", {}, json.loads, trust_rules)
    secrets = Setting[str]("secrets", "redact", str, secrets_policy)

    def __init__(
        self,
        name: str,
        store: Store,
        embedder: Embedder | None,
        clock: Callable[[], datetime],
        reasoner: Reasoner | None = None,
    ) -> None:
        self.name, self.store, self.embedder, self.clock = name, store, embedder, clock
        self.rules = reasoner if isinstance(reasoner, RuleReasoner) else RuleReasoner()
        self.reasoner = reasoner or self.rules
        self.view = CurrentView(store, name)
        store.on_erase(self._on_erase)
        self.recalls = Recalls(store)
        self._model_key: int | None = None

    def model_key(self) -> int | None:
        """Return the number under which the store keeps this embedder's vectors; None without an embedder."""
        if self.embedder is not None and self._model_key is None:
            e = self.embedder
            try:
                self._model_key = self.store.vectors.model(e.name, e.revision, e.dimension)
            except EmbedderError:  # an endpoint that is down cannot say its dimension; writing and asking both warn
                return None
        return self._model_key

    def _on_erase(self, forms: Mapping[str, str]) -> None:
        """Free the view: erased text must not stay in RAM."""
        if "text" in forms.values():
            self.view.drop()

    @property
    def law(self) -> Law:
        """The law by which memories are strengthened and forgotten."""
        return self.policy.make_law()

    def recalled(self, ids: Sequence[str]) -> None:
        """Count cubes as recalled together, now: the law of the space makes them stronger."""
        if ids and self.recalls.note(ids, self.clock()):
            self.recalls.write(self.law)

    def flush(self) -> int:
        """Write the recalls that are in RAM only; return how many cubes changed."""
        return self.recalls.write(self.law)

    def get(self, cube_id: str) -> MemCube:
        """Return the current version of a cube. Raises NotFound."""
        cube = self.store.get([cube_id]).get(cube_id)
        if cube is None:
            raise NotFound(f"there is no cube {cube_id!r} in space {self.name!r}.")
        return cube

    def history(self, cube_id: str) -> Sequence[MemCube]:
        """Return all versions of a cube, oldest first. Raises NotFound."""
        return self.store.versions(cube_id) or [self.get(cube_id)]
