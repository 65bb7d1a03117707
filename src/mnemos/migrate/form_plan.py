"""A plan for a space: which memories should move to another form, and why. Nothing is moved here. No torch."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from mnemos.cube import MemCube
from mnemos.guard.secrets import scan
from mnemos.guard.trust import Trust, trust_of
from mnemos.migrate.form_schedule import FormChoice, FormCosts, FormSchedule, MemoryForm, MemoryUse
from mnemos.migrate.weight_cubes import ALL, stale, weight_cubes
from mnemos.store.base import Store
from mnemos.store.values import Filter

DAY = 86_400.0
PAGE = 1_000


@dataclass(frozen=True, slots=True)
class FormMove:
    """A memory that should have another form."""

    id: str
    now: MemoryForm
    choice: FormChoice

    @property
    def to(self) -> MemoryForm:
        """The form that it should have."""
        return self.choice.form


@dataclass(frozen=True, slots=True)
class Forms:
    """Which cubes have which form besides text, and how often they were used in it."""

    weights: dict[str, list[str]]  # id of a text -> ids of what it has become and may be used
    kv: dict[str, list[str]]
    uses: Counter[str]
    last: dict[str, datetime]
    shelved: set[str]  # texts whose weights somebody has archived: they are not learned again

    @staticmethod
    def of(store: Store) -> Forms:
        """Return the forms of all texts. O(weights and keys and values)."""
        found = Forms(defaultdict(list), defaultdict(list), Counter(), {}, set())
        learned = weight_cubes(store)
        old = stale(store, learned)
        for cube in learned:
            if cube.state == "archived":
                found.shelved.update(cube.parents)
            for parent in cube.parents if cube.id not in old else ():
                found._note(found.weights, parent, cube)
        for _, cube in store.select(Filter(kind="kv", state=None), limit=ALL):
            found._note(found.kv, str(cube.metadata.get("cube", "")), cube)
        return found

    def _note(self, where: dict[str, list[str]], name: str, cube: MemCube) -> None:
        where[name].append(cube.id)
        self.uses[name] += cube.recalls
        if cube.recalled_at is not None:
            self.last[name] = max(cube.recalled_at, self.last.get(name, cube.recalled_at))


def plan(
    store: Store, costs: FormCosts, schedule: FormSchedule, now: datetime, *, tokens: Callable[[str], int] | None = None,
    days: float | None = None, refused: Collection[tuple[str, int]] = (),
) -> list[FormMove]:  # fmt: skip
    """Return what should move, the largest saving first. `days` is when the policy archives what is not recalled.

    `refused` are (id, version) of texts that the gate has refused. A text is private if its metadata say so, or it holds a
    secret; what came from a source that anyone can write to never becomes weights either. One scan, O(N).
    """
    forms, after, moves = Forms.of(store), 0, list[FormMove]()
    while rows := store.select(Filter(), after=after, limit=PAGE):
        after = rows[-1][0]
        texts = [cube for _, cube in rows if cube.form == "text"]
        keys = dict(zip([c.id for c in texts], store.keys_of([c.id for c in texts]), strict=True))
        stated = Counter(fact.key for fact in store.facts.of(list(keys.values())))
        for cube in texts:
            facts = max(stated[keys[cube.id]], 1)
            told = cube.learned if cube.version == 1 else store.versions(cube.id)[0].learned
            use = _use(cube, told, forms, facts, now, tokens or _estimate, days, (cube.id, cube.version) in refused)
            choice = schedule.choose(use, costs)
            if choice.form != use.form:
                moves.append(FormMove(cube.id, use.form, choice))
    return sorted(moves, key=lambda move: (-_saving(move), move.id))


def _saving(move: FormMove) -> float:
    """Return the seconds that a move is expected to save."""
    known = move.choice.costs
    return known.get(move.now, math.inf) - known[move.to]


def _use(
    cube: MemCube, told: datetime, forms: Forms, facts: int, now: datetime, tokens: Callable[[str], int],
    days: float | None, refused: bool,
) -> MemoryUse:  # fmt: skip
    last = max(filter(None, (cube.recalled_at, forms.last.get(cube.id))), default=cube.learned)
    age, idle, settled = (max((now - since).total_seconds() / DAY, 0.0) for since in (told, last, cube.learned))
    form: MemoryForm = "weights" if cube.id in forms.weights else "kv" if cube.id in forms.kv else "text"
    untrusted = trust_of(cube.role, cube.source) is Trust.UNTRUSTED
    made = MemoryUse(
        tokens(cube.text), facts, cube.recalls + forms.uses[cube.id], max(age, idle), idle, cube.version - 1,
        settled if cube.version > 1 else math.inf, form, private=bool(cube.metadata.get("private")) or bool(scan(cube.text)),
        refused=refused or untrusted or cube.id in forms.shelved,
    )  # fmt: skip
    return made if days is None or cube.pinned else replace(made, forget_in=max(days - idle, 0.0))


def _estimate(text: str) -> int:
    return len(text) // 4 + 1


def moved_down(
    held: Mapping[str, Sequence[str]], wanted: Mapping[str, MemoryForm], form: Literal["weights", "text"]
) -> list[str]:
    """Return the ids of weights, or of keys and values, that none of their texts is to have any longer.

    Weights go where no text that they were learned from stays one ("weights"); keys and values where it becomes text.
    """
    texts = defaultdict[str, list[str]](list)
    for text, ids in held.items():
        for name in ids:
            texts[name].append(text)
    stays = {"weights": ("weights",), "text": ("weights", "kv")}[form]
    return [name for name, of in texts.items() if not any(wanted.get(text, stays[0]) in stays for text in of)]
