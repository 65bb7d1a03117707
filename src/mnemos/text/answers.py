"""Answers: a cache of what was answered, which forgets with the memories that the answers were made of.

An answer is a cube that is derived from the memories it used. So it is erased with each of them, in every process and form.
One of which a memory has changed since, was superseded, archived or said to be over, is not served again. The rules by
category are in `recall.semantic_cache`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from mnemos.arguments import check_share, check_text, check_texts
from mnemos.cube import MemCube, new_id, to_micros
from mnemos.embed.base import embed_questions
from mnemos.errors import InvalidInput, NotFound
from mnemos.guard.secrets import redact_cube
from mnemos.store.setting import Setting
from mnemos.store.values import Entry, Filter
from mnemos.text.base import DAY
from mnemos.text.encode.messages import clean
from mnemos.text.memory import TextMemory
from mnemos.text.recall.query import bounded
from mnemos.text.recall.semantic_cache import Category, particulars

KIND = "answer"  # of the cubes
OF_ANSWERS = Filter(kind=KIND, state=None)
DEFAULT = "default"  # the category of what has none, and whose rules count for a category without its own
LOOKED_AT = 5  # nearest questions of which the answers are checked
SERVED = "answer"  # in the metadata of a turn: the id of the cached answer that was served in it
Categories = Mapping[str, Category]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer from the cache."""

    text: str
    question: str  # to which it was given
    similarity: float
    id: str  # of its cube
    used: tuple[str, ...]  # ids of the memories that it was made of


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Memories as they were when they were read for an answer that is still to be made."""

    at: int  # microseconds
    states: Mapping[str, list[object]]  # by id


@dataclass(frozen=True, slots=True)
class _Row:
    cube: MemCube
    question: str
    category: str
    scope: str


def _read(text: str) -> Categories:
    return {name: Category(**fields) for name, fields in json.loads(text).items()}


def _write(categories: Categories) -> str:
    if not isinstance(categories, Mapping) or not all(isinstance(c, Category) for c in categories.values()):
        raise InvalidInput(f"categories is {categories!r:.80}, expected a mapping of names to Category.")
    return json.dumps({check_text(name, "a category"): asdict(c) for name, c in categories.items()})


class Answers:
    """The cache of the answers of one space. Safe across threads and processes; needs an embedder."""

    categories = Setting[Categories]("answers", lambda _: {}, _read, _write)  # assign to change the rules

    def __init__(self, memory: TextMemory) -> None:
        self.memory, self.store = memory, memory.store
        self._rows: dict[int, _Row] = {}
        self._matrix: NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._usable: list[_Row] = []  # those whose vectors are of this embedder
        self._lock = Lock()
        self.store.on_erase(self._purge)

    def rules(self, category: str) -> Category:
        """Return the rules of a category: its own, or the default ones."""
        known = self.categories
        return known.get(category) or known.get(DEFAULT) or Category()

    def snapshot(self, used: Sequence[str]) -> Snapshot:
        """Return memories as they are now, for `put` after a model was asked: one that changes meanwhile is noticed."""
        found = self.store.get(check_texts(used, "used"))
        return Snapshot(to_micros(self.memory.now()), {name: _state(cube) for name, cube in found.items()})

    def put(
        self, question: str, answer: str, used: Sequence[str], category: str = DEFAULT, *, scope: str = "",
        snapshot: Snapshot | None = None,
    ) -> str | None:  # fmt: skip
        """Keep an answer and return its id; None where its category is off. One embedding and one commit.

        `used` are the ids of the memories that it was made of, such as those that `context` cites: it is erased with each.
        An answer to the same question in the category is replaced. `scope` tells apart answers that are not each other's,
        such as those of two models. With a `snapshot` an answer of which a memory has changed since is not kept. Raises
        NotFound for an id that is not there.
        """
        rules, text = self.rules(check_text(category, "category")), _asked(question)
        answer, parents = clean(check_text(answer, "answer")), sorted(set(check_texts(used, "used")))
        if not rules.on:
            return None
        vector, now = self._vector(text), self.memory.now()
        with self.store.transaction():
            found = self.store.get(parents)
            if missing := [name for name in parents if name not in found]:
                raise NotFound(
                    f"there is no cube {missing[0]!r} in space {self.memory.name!r}; the answer was not kept."
                )
            if snapshot is not None and self._changed(snapshot, found):
                return None
            about = {
                "category": category, "scope": check_text(scope, "scope"), "asked": len(text), "model": self._model(),
                "made of": [_state(found[p]) for p in parents],
                "vector": base64.b64encode(vector.astype("<f2").tobytes()).decode("ascii"),
            }  # fmt: skip
            cube = MemCube(
                id=new_id(), text=f"{text}\n{answer}", space=self.memory.name, at=now, learned=now, form="parametric",
                kind=KIND, source="mnemos", parents=tuple(parents), metadata=about,
            )  # fmt: skip
            if redact_cube(cube, self.memory.secrets).text != cube.text:
                return None  # a secret is not kept, and without it the answer is another
            gone = self._to_drop(category, scope, text, rules, to_micros(now))
            if gone:
                self.store.erase(gone)
            self.store.insert([Entry(cube, ())], None)
        return cube.id

    def get(
        self, question: str, category: str = DEFAULT, *, shown: Sequence[str] | None = None, load: float = 0.0,
        scope: str = "",
    ) -> Answer | None:  # fmt: skip
        """Return the answer to the most similar question of the category and scope that still holds; None without one.

        `shown` are the ids of the memories that a prompt for this question would show now: an answer that was made without
        one of them is not served, unless that one was a cached answer itself or its question (its metadata have the id of
        that as `answer`) and says what this one was made with.
        `load` of the model behind, 0 to 1, makes the rules less strict. Cost: one embedding and a scan of the answers'
        vectors, about 5 ms for 1,000 answers.
        """
        rules, text, load = (
            self.rules(check_text(category, "category")),
            _asked(question),
            check_share(load, "load") or 0.0,
        )
        rows, matrix = self._refreshed()
        keys = [key for key, row in enumerate(rows) if (row.category, row.scope) == (category, scope)]
        if not rules.on or not keys:
            return None
        similar, mine = matrix[keys] @ self._vector(text), particulars(text)
        now, needed = to_micros(self.memory.now()), set(() if shown is None else check_texts(shown, "shown"))
        for place in np.argsort(-similar, kind="stable")[:LOOKED_AT]:
            row, similarity = rows[keys[place]], float(similar[place])
            if similarity < rules.least(load):
                break
            young = now - to_micros(row.cube.learned) < rules.lasting(load) * DAY
            fits = young and mine == particulars(row.question) and self._knows(row.cube, needed)
            if fits and self._holds(row.cube):
                if not self.store.read_only:
                    self.store.lives.count_uses([(row.cube.id, 1, now)])
                answer = row.cube.text[len(row.question) + 1 :]
                return Answer(answer, row.question, similarity, row.cube.id, row.cube.parents)
        return None

    def drop(self, category: str | None = None) -> int:
        """Erase the answers of a category, or all; return how many."""
        gone = [row.cube.id for row in self._refreshed()[0] if category in (None, row.category)]
        return len(self.store.erase(gone)) if gone else 0

    def __len__(self) -> int:
        return len(self.store.keys(OF_ANSWERS))

    def _knows(self, answer: MemCube, shown: set[str]) -> bool:
        """Tell whether an answer was made of all these memories, but for those that repeat it, or what it was made of."""
        more = self.store.get(sorted(shown - set(answer.parents)))
        if not more:
            return True
        said = {(cube.role, cube.text) for cube in self.store.get(answer.parents).values()}
        return all(
            SERVED in cube.metadata and (cube.metadata[SERVED] == answer.id or (cube.role, cube.text) in said)
            for cube in more.values()
        )

    def _changed(self, snapshot: Snapshot, now: Mapping[str, MemCube]) -> bool:
        """Tell whether a memory has changed, or a fact that it states has ended, since it was read."""
        if any(name not in now or _state(now[name]) != state for name, state in snapshot.states.items()):
            return True
        facts = self.store.facts.of(self.store.keys_of(sorted(snapshot.states)))
        return any(fact.ended is not None and fact.ended >= snapshot.at for fact in facts)

    def _holds(self, answer: MemCube) -> bool:
        """Tell whether all that an answer was made of is as it was."""
        found = self.store.get(answer.parents)
        now, since = self.memory.now(), to_micros(answer.learned)
        for name, was in zip(answer.parents, answer.metadata["made of"], strict=True):
            cube = found.get(name)
            if cube is None or _state(cube) != was:
                return False
            if cube.valid_to is not None and answer.learned < cube.valid_to <= now:
                return False
        facts = self.store.facts.of(self.store.keys_of(answer.parents))
        return not any(fact.ended is not None and fact.ended >= since for fact in facts)

    def _to_drop(self, category: str, scope: str, question: str, rules: Category, now: int) -> list[str]:
        """Return the answers of a category that a new one displaces: to the same question, too old, or one too many."""
        mine = [row for row in self._refreshed()[0] if row.category == category]
        old = [
            row.cube.id
            for row in mine
            if (row.scope, row.question) == (scope, question)
            or now - to_micros(row.cube.learned) >= rules.lasting(1.0) * DAY
        ]
        rest = [row.cube.id for row in mine if row.cube.id not in old]
        if len(rest) < rules.most:
            return old
        cubes = sorted(self.store.get(rest).values(), key=lambda c: c.recalled_at or c.learned)
        return old + [c.id for c in cubes[: len(rest) + 1 - rules.most]]

    def _refreshed(self) -> tuple[list[_Row], NDArray[np.float32]]:
        """Return the answers as they are now, with their vectors, (n, D)."""
        with self._lock:
            keys, model = self.store.keys(OF_ANSWERS).tolist(), self._model()
            if keys != list(self._rows):
                new = self.store.by_key([key for key in keys if key not in self._rows])
                made = self._rows | {key: _row(cube) for key, cube in new.items()}
                self._rows = {key: made[key] for key in keys if key in made}
                self._usable = [row for row in self._rows.values() if row.cube.metadata["model"] == model]
                vectors = [np.frombuffer(base64.b64decode(r.cube.metadata["vector"]), "<f2") for r in self._usable]
                self._matrix = np.array(vectors, dtype=np.float32)  # (n, D)
            return self._usable, self._matrix

    def _purge(self, forms: Mapping[str, str]) -> None:
        """Free what is held in RAM: erased text must not stay there."""
        with self._lock:
            self._rows, self._usable, self._matrix = {}, [], np.zeros((0, 0), np.float32)

    def _vector(self, question: str) -> NDArray[np.float32]:
        if self.memory.embedder is None:
            raise InvalidInput(
                f"space {self.memory.name!r} has no embedder, and finds no similar questions: open it with one."
            )
        return np.asarray(embed_questions(self.memory.embedder, [question])[0], dtype=np.float32)

    def _model(self) -> str:
        e = self.memory.embedder
        return "" if e is None else f"{e.name} {e.revision}"


def _asked(question: str) -> str:
    text = " ".join(clean(bounded(check_text(question, "question"))).split())
    if not text:
        raise InvalidInput("question is empty: give what was asked.")
    return text


def _state(cube: MemCube) -> list[object]:
    return [cube.version, cube.state, None if cube.valid_to is None else cube.valid_to.isoformat()]


def _row(cube: MemCube) -> _Row:
    about = cube.metadata
    return _Row(cube, cube.text[: about["asked"]], about["category"], about.get("scope", ""))
