"""Bank: the cases of one name in RAM with what their outcomes taught, brought up to date by what is new."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemos.cube import MemCube
from mnemos.store.values import Filter
from mnemos.text.agent.shelf import rows_of
from mnemos.text.agent.worth import Worth, words_of
from mnemos.text.memory import TextMemory

CASE, OUTCOME = "agent-case", "agent-outcome"  # kinds of the cubes
MOST = 16  # banks that stay in RAM; the one used longest ago goes first
NOTHING: NDArray[np.int64] = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Case:
    """What was done in a situation, and what came of it; with a name it is a concept."""

    id: str
    situation: str  # for a concept: the cues by which it is found
    plan: str
    reward: float  # from 0, it failed, to 1, it succeeded; 0.5: not known
    name: str | None = None  # of a concept
    parameters: Mapping[str, str] = field(default_factory=dict)  # of a concept: names and types
    chance: float = 0.0  # that it helps in the situation that was asked for
    similarity: float = 0.0  # to that situation, by words

    @staticmethod
    def of(cube: MemCube) -> Case:
        """Return the case that a cube holds."""
        data = cube.metadata
        name, parameters = data["name"], dict(data["parameters"])
        return Case(cube.id, data["situation"], data["plan"], float(data["reward"]), name, parameters)


@dataclass(frozen=True, slots=True)
class Known:
    """A case, its words, and a mark of its plan."""

    case: Case
    words: frozenset[str]
    mark: str


class Bank:
    """What is known of one bank. It is a function of its rows: the same in every process, and after an archive."""

    def __init__(self, memory: TextMemory, name: str) -> None:
        self._memory = memory
        self._filters = [Filter(kind=kind, session=name, superseded=True) for kind in (CASE, OUTCOME)]
        self.clear()

    def clear(self) -> None:
        """Drop everything: erased text must not stay in RAM. The next `refresh` reads all rows."""
        self.known: dict[str, Known] = {}
        self.worth = Worth()
        self.ids: set[str] = set()  # of the cubes that were read
        self._keys, self._token = NOTHING, object()

    def is_fresh(self, token: object | None) -> bool:
        """Tell whether nobody wrote since the `refresh` with this change token."""
        return token is not None and token == self._token

    def refresh(self, token: object | None) -> None:
        """Learn what is new. After an erasure or a revision all is learned anew. O(new), and a look at the keys of the bank.

        `token` is the change token of the store from before the transaction that this is called in.
        """
        store = self._memory.store
        keys = np.sort(np.concatenate([np.asarray(store.keys(filter), np.int64) for filter in self._filters]))
        if not np.array_equal(keys[: len(self._keys)], self._keys):
            self.clear()
        after = int(self._keys[-1]) if len(self._keys) else 0
        if len(keys) > len(self._keys):
            self._learn([row for filter in self._filters for row in rows_of(self._memory, filter, after)])
        self._keys, self._token = keys, token

    def _learn(self, rows: list[tuple[int, MemCube]]) -> None:
        self.ids |= {cube.id for _, cube in rows}
        for _, cube in rows:
            if cube.kind == CASE:  # a concept that was revised is newer than outcomes of it
                case = Case.of(cube)
                self.known[case.id] = Known(case, words_of(case.situation), _mark(case.plan))
        for _, cube in sorted(rows, key=lambda row: row[0]):
            if cube.kind == OUTCOME:
                self._learn_outcome(cube.metadata, words_of(cube.text))
            elif cube.metadata.get("told") and cube.metadata["name"] is None:
                known = self.known[cube.id]
                self.worth.learn(known.words, None, frozenset(), known.mark, 0.5, known.case.reward)

    def _learn_outcome(self, about: Mapping[str, Any], words: frozenset[str]) -> None:
        for name in about["cases"]:
            if (known := self.known.get(name)) is not None:
                reward = float(about["reward"])
                self.worth.learn(words, name, known.words, known.mark, known.case.reward, reward)


class Banks:
    """The banks of a space. Safe across threads; what is erased, here or where the store tells of it, leaves RAM at once."""

    def __init__(self, memory: TextMemory) -> None:
        self._memory = memory
        self._lock = Lock()
        self._banks: OrderedDict[str, Bank] = OrderedDict()
        memory.store.on_erase(self._on_erase)
        memory.store.on_stale(self._clear)

    @contextmanager
    def use(self, name: str) -> Iterator[Bank]:
        """Yield a bank, up to date; nobody else changes it in the meantime. The store may not be used in the block."""
        store = self._memory.store
        token = store.change_token()
        if token is None:  # inside a transaction, which may be rolled back
            bank = Bank(self._memory, name)
            bank.refresh(None)
            yield bank
            return
        with ExitStack() as held:
            with store.transaction(write=False):
                held.enter_context(self._lock)  # after the store: who has a transaction may ask for a bank
                bank = self._banks.setdefault(name, Bank(self._memory, name))
                self._banks.move_to_end(name)
                while len(self._banks) > MOST:
                    self._banks.popitem(last=False)
                if not bank.is_fresh(token):
                    bank.refresh(token)
            yield bank

    def _on_erase(self, forms: Mapping[str, str]) -> None:
        with self._lock:
            for bank in self._banks.values():
                if not bank.ids.isdisjoint(forms):
                    bank.clear()

    def _clear(self) -> None:
        with self._lock:
            for bank in self._banks.values():
                bank.clear()


def _mark(plan: str) -> str:
    return hashlib.blake2b(" ".join(plan.split()).casefold().encode(), digest_size=8).hexdigest()
