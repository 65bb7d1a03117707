"""TextMemory: what the verbs of text memory work on: a store, its view, a system of methods, and who judges."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from mnemos.cube import EPOCH, MemCube, from_micros
from mnemos.embed.base import Embedder, Progress
from mnemos.errors import EmbedderError, NotFound, ReadOnly, StoreBusy, StoreError, StoreFull
from mnemos.guard.quarantine import read_trust, secrets_policy, trust_rules
from mnemos.reason.base import Reasoner
from mnemos.reason.fallback import FallbackReasoner
from mnemos.reason.rules import RuleReasoner
from mnemos.store.base import Store
from mnemos.store.setting import Setting
from mnemos.store.values import Entry
from mnemos.text.base import Law, Retriever, System
from mnemos.text.consolidate.report import Forgotten
from mnemos.text.forget.policy import Policy, apply_policy, policy_json
from mnemos.text.forget.strengthen import Recalls
from mnemos.text.recall.corpus import Corpus
from mnemos.text.recall.tuning import Installed
from mnemos.text.recall.view import CurrentView
from mnemos.zones import check_zone


class TextMemory:
    """The text memory of one space. Every verb takes it; a `Space` makes one and hands it on."""

    policy = Setting[Policy]("policy", lambda memory: memory.default_policy, Policy.from_json, policy_json)
    trust = Setting[Mapping[str, int]]("trust", lambda _: {}, read_trust, trust_rules)
    secrets = Setting[str]("secrets", lambda _: "redact", secrets_policy, secrets_policy)
    timezone = Setting[str]("timezone", lambda memory: memory.default_timezone, check_zone, check_zone)

    def __init__(
        self,
        name: str,
        store: Store,
        embedder: Embedder | None,
        clock: Callable[[], datetime],
        reasoner: Reasoner | None,
        system: System,
        timezone: str = "UTC",
    ) -> None:
        self.name, self.store, self.clock, self.default_timezone = name, store, clock, timezone
        self.rules = reasoner if isinstance(reasoner, RuleReasoner) else RuleReasoner()
        self.reasoner = reasoner or self.rules
        self.view = CurrentView(store, name)
        self.recalls = Recalls(store)
        self.tuning = Installed(store)
        store.on_erase(self._on_erase)
        store.on_stale(self._purge)
        self._last = EPOCH  # the latest time that `now` returned
        self._embedder = embedder
        self.use(system)

    def use(self, system: System) -> None:
        """Use the methods of a system from now on. A system whose retriever uses no vectors gets no embedder.

        Raises InvalidInput for a system whose law is not registered.
        """
        self.default_policy = Policy.of(system.law)
        self.system = system
        self.embedder = self._embedder if system.retrieve.uses_vector else None
        self._model_key: int | None = None
        self.view.drop()

    @property
    def judge(self) -> FallbackReasoner:
        """The model's judgements, and the rules' where it fails."""
        return FallbackReasoner(self.reasoner, self.rules)

    def model_key(self) -> int | None:
        """Return the number under which the store keeps this embedder's vectors; None without an embedder."""
        if self.embedder is not None and self._model_key is None:
            e = self.embedder
            try:
                self._model_key = self.store.vectors.model(e.name, e.revision, e.dimension)
            except EmbedderError:  # an endpoint that is down cannot say its dimension; writing and asking both warn
                return None
            except ReadOnly:  # the space has no vectors of this embedder
                return None
        return self._model_key

    def encode(self, cubes: Sequence[MemCube], progress: Progress | None = None) -> list[Entry]:
        """Return an entry for each cube, by the encoder of the system."""
        return self.system.encode.encode(cubes, self.embedder, progress)

    def retriever(self) -> Retriever:
        """Return the retriever of the system, as the space has tuned it."""
        return self.tuning.retriever(self.system.retrieve, self.embedder)

    def _on_erase(self, forms: Mapping[str, str]) -> None:
        """Bring the view up to date: erased text must not stay in RAM."""
        if "text" in forms.values():
            self._purge()

    def _purge(self) -> None:
        self.view.purge(self.model_key(), self.embedder)

    def corpus(self) -> Corpus | None:
        """Return the cubes of the space as they are now, by position; None when it has none."""
        snapshot = self.view.refresh(self.model_key(), self.embedder)
        return None if snapshot is None else snapshot.corpus

    @property
    def law(self) -> Law:
        """The law by which memories are strengthened and forgotten."""
        return self.policy.make_law()

    def now(self) -> datetime:
        """Return the time of what is written next: the clock's, or that of the last write if the clock went back."""
        if (last := self.store.audit.latest()) is not None:
            self._last = max(self._last, from_micros(last))
        self._last = max(self._last, self.clock())
        return self._last

    def recalled(self, ids: Sequence[str]) -> None:
        """Count cubes as recalled together, now: the law of the space makes them stronger. Not in a read-only space."""
        if ids and not self.store.read_only and self.recalls.note(ids, max(self._last, self.clock())):
            with suppress(StoreFull):  # they wait on
                self.recalls.write(self.law)

    def flush(self) -> int:
        """Persist recall counts not yet on disk; return the number of cubes updated."""
        return self.recalls.write(self.law)

    def rest(self) -> bool:
        """Persist recall counts and free the view, without waiting; return False if either is in use."""
        try:
            self.flush()
        except StoreBusy:
            return False
        except StoreError:  # a full or read-only disk: the counts wait in RAM
            pass
        self._model_key = None
        return self.view.try_drop()

    def apply_policy(self, *, preview: bool = False) -> Forgotten:
        """Archive and erase what the policy forgets now; with `preview` only say what. Recalls so far count."""
        with suppress(StoreFull):  # erasing makes room
            self.flush()
        return apply_policy(self.store, self.policy, self.now(), preview=preview)

    def get(self, cube_id: str) -> MemCube:
        """Return the current version of a cube. Raises NotFound."""
        cube = self.store.get([cube_id]).get(cube_id)
        if cube is None:
            raise NotFound(f"there is no cube {cube_id!r} in space {self.name!r}.")
        return cube

    def history(self, cube_id: str) -> Sequence[MemCube]:
        """Return all versions of a cube, oldest first. Raises NotFound."""
        return self.store.versions(cube_id) or [self.get(cube_id)]
