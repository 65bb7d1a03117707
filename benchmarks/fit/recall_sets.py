"""The questions that the fusion is fitted to: sets, variants of them, and the signals of each question's candidates.

A set is never seen in one shape only. Its variants show the gate what it has to tell apart, without another label:

- `noise`: the vectors are random, and the embedder claims to know every language;
- `mute`: the words of the question that its gold has are taken away;
- `flat`: nobody speaks, and there are no sessions;
- `mix`: sessions, speakers and times are given at random;
- `one`: all haystacks in one space;
- `few`: a small space for each question: its gold and some of the others, or of what stands around it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemos import Mnemos
from mnemos.bench.text import beam, factconsolidation, lifebench, locomo, locomo_plus, qmsum, realmem, xquad
from mnemos.bench.text.hands import Item, packaged
from mnemos.bench.text.retrieval import only_splits
from mnemos.bench.text.task import Haystack, Question, Task
from mnemos.embed.languages import fluency_of
from mnemos.index.stems import tag
from mnemos.index.terms import FORM, PLAIN, forms
from mnemos.store.values import IndexRow
from mnemos.text.encode.messages import moment
from mnemos.text.recall.corpus import Corpus
from mnemos.text.recall.names import without_speakers
from mnemos.text.recall.query import Query, everywhere, make_query
from mnemos.text.recall.signals import Read, read

QUESTIONS, OF_VARIANT = 300, 80  # of one set, and of one variant of it, at most
LOADERS: dict[str, Callable[[Path], Task]] = {
    "locomo": locomo.load, "beam": beam.load, "realmem": realmem.load, "lifebench": lifebench.load,
    "locomo-plus": locomo_plus.load, "factconsolidation": factconsolidation.load, "qmsum": qmsum.load, "xquad": xquad.load,
}  # fmt: skip
VARIANTS = {
    "locomo": ("one", "noise", "mute", "flat"), "lifebench-en": ("noise", "mute"), "factconsolidation": ("noise", "mix"),
    "xquad-en": ("noise", "mute"), "xquad-zh": ("mix",),
}  # fmt: skip
FEW = (2, 3, 4, 6, 9, 14, 20)  # other cubes of a `few` space
DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it was read: candidates are positions of the corpus."""

    set: str  # with its variant, as "noise~locomo"
    corpus: Corpus
    read: Read
    shown: NDArray[np.bool_]
    gold: tuple[int, ...]  # positions
    wanted: int  # gold items asked for, found in the corpus or not
    sessions: tuple[str, ...]  # gold sessions
    words_only: Read


def sets(paths: Mapping[str, Path]) -> dict[str, Task]:
    """Return the development halves of the sets whose paths are given; LifeBench and XQuAD by language."""
    found: dict[str, Task] = {}
    for name, path in paths.items():
        task = LOADERS[name](path)
        if name in ("lifebench", "xquad"):
            for label, split in _by_language(task):
                found[f"{name}-{label}"] = split
        else:
            found[name] = only_splits(task, ["development"])
    return found


def hands() -> dict[str, Task]:
    """Return small memories that people wrote, one space each: what one hand told, where nothing ends; and what is asked.

    Hand b stays out of the fits, so that it can say how they do.
    """
    told = [item for item in packaged("statements", bool)["hand_a"] if item["kind"] != "end"]
    lists = packaged("silence", bool)["hand_d"]
    return {"hand-a": _of_hand("hand-a", told), "hand-d": _of_hand("hand-d", lists)}


def _of_hand(name: str, items: Sequence[Item]) -> Task:
    haystacks = []
    for item in items:
        told = [text if isinstance(text, dict) else {"text": text} for text in item["told"]]
        messages = [
            {"id": f"{item['id']}-{i}", "at": f"2024-03-{1 + i:02}T10:00"}
            | {part: text[part] for part in ("text", "at", "speaker", "role", "session", "source") if part in text}
            for i, text in enumerate(told)
        ]
        asked = item.get("asked") or [{"question": item["question"], "answer": [item["answer"]]}]
        questions = [
            Question(f"{item['id']}/{i}", q["question"], {"told": gold}, name, "development", messages[-1]["at"])
            for i, q in enumerate(asked)
            if (gold := tuple(f"{item['id']}-{a}" for a in q["answer"]))
        ]
        haystacks.append(Haystack(item["id"], messages, questions))
    return Task(name, {"told": "cubes"}, haystacks, {})


def _by_language(task: Task) -> Iterator[tuple[str, Task]]:
    """Yield (label, task) by the language of texts and questions: "de", and "de-en" for a question to English texts."""
    for haystack in task.haystacks:
        language = haystack.name.split("-")[1]
        groups: dict[str, list[Question]] = {}
        for q in haystack.questions:
            asked = q.id.split("/")[0]
            groups.setdefault(language if asked == language else f"{asked}-{language}", []).append(q)
        for label, questions in groups.items():
            yield label, replace(task, haystacks=[replace(haystack, questions=questions)])


def ask(name: str, task: Task, memory: Mnemos, variant: str = "", seed: int = 0) -> Iterator[Asked]:
    """Yield a sample of the questions of a set, each read from its space. Spaces that are there are not written again."""
    rng = random.Random(seed)
    every = [(h, q) for h in task.haystacks for q in h.questions]
    picked = rng.sample(every, min(len(every), OF_VARIANT if variant else QUESTIONS))
    whole = _merged(task, memory) if variant == "one" else None
    for haystack in task.haystacks:
        questions = [q for h, q in picked if h is haystack]
        if not questions:
            continue
        rows, ids = whole or _rows(task, haystack, memory)
        corpus = Corpus()
        corpus.add(_changed(rows, variant, rng))
        prefix = haystack.name if whole else ""
        every_place = {cube: i for i, cube in enumerate(ids)}
        for question in questions:
            gold = next(iter(question.gold.values()))
            place = every_place
            if variant == "few":
                corpus, place = _few(rows, {g: place[g] for g in gold if g in place}, rng)
            asked = _query(question, corpus, memory, variant, rng)
            at = tuple(place[prefix + g] for g in gold if prefix + g in place)
            if variant == "mute":
                asked = _muted(asked, [rows[i] for i in at])
            shown = _shown(question, haystack, corpus)
            sessions = tuple(prefix + s for s in question.gold.get("session", ()))
            inside = {i for i, s in enumerate(corpus.session_names) if s in sessions}
            if not at and sessions:  # only the session is known
                at = tuple(i for i in np.flatnonzero(shown).tolist() if corpus.layout().session[i] in inside)
            if shown.any() and at:
                told, words = read(corpus, asked, shown), read(corpus, asked.without_vector(), shown)
                yield Asked(
                    f"{variant}~{name}" if variant else name, corpus, told, shown, at, len(gold), sessions, words
                )


def _rows(task: Task, haystack: Haystack, memory: Mnemos) -> tuple[list[IndexRow], list[str]]:
    """Return the rows of a haystack's space and the ids of their cubes, written at the first use."""
    space = memory.space(f"{task.name}-{haystack.name}")
    if not space.cubes(limit=1).items:
        space.add_many(haystack.messages)
    text = space.text
    rows = text.store.changes(0, text.model_key()).rows
    cubes = text.store.by_key([row.key for row in rows])
    return rows, [cubes[row.key].id for row in rows]


def _merged(task: Task, memory: Mnemos) -> tuple[list[IndexRow], list[str]]:
    """Return the rows of all haystacks as of one space; sessions and ids begin with the name of their haystack."""
    rows: list[IndexRow] = []
    ids: list[str] = []
    for haystack in task.haystacks:
        own, names = _rows(task, haystack, memory)
        rows += [replace(r, session=r.session and haystack.name + r.session) for r in own]
        ids += [haystack.name + name for name in names]
    return [replace(row, key=key) for key, row in enumerate(rows, 1)], ids


def _changed(rows: Sequence[IndexRow], variant: str, rng: random.Random) -> list[IndexRow]:
    """Return the rows as a variant has them."""
    if variant == "noise":
        noise = np.random.default_rng(rng.randrange(2**32))
        return [replace(r, vector=None if r.vector is None else noise.normal(size=len(r.vector))) for r in rows]
    if variant == "flat":
        return [replace(r, session=None, speaker=None, role=None) for r in rows]
    if variant == "mix":
        places = rng.sample(range(len(rows)), len(rows))
        return [
            replace(r, session=f"s{p // 12}", speaker=rng.choice(["Ana", "Bo", "Cleo"]), at=(p // 12) * DAY + p)
            for r, p in zip(rows, places, strict=True)
        ]
    return list(rows)


def _few(rows: Sequence[IndexRow], gold: Mapping[str, int], rng: random.Random) -> tuple[Corpus, dict[str, int]]:
    """Return a small space of the gold and some other rows, and where the gold is in it."""
    many, inside = rng.choice(FEW), rng.choice(list(gold.values()) or [0])
    others = rng.sample(range(len(rows)), min(len(rows), many))
    if rng.random() < 0.5:  # a piece of the conversation
        start = max(inside - rng.randint(0, many), 0)
        others = [*range(start, min(start + many + 1, len(rows)))]
    kept = sorted({*others, *gold.values()})
    corpus = Corpus()
    corpus.add([replace(rows[i], key=key) for key, i in enumerate(kept, 1)])
    return corpus, {name: kept.index(i) for name, i in gold.items()}


def _query(question: Question, corpus: Corpus, memory: Mnemos, variant: str, rng: random.Random) -> Query:
    embedder = memory.embedder
    assert embedder is not None
    vector = embedder.embed([without_speakers(question.text, corpus)])[0]
    fluency = fluency_of(embedder)
    if variant == "noise":
        vector = np.random.default_rng(rng.randrange(2**32)).normal(size=len(vector)).astype(np.float32)
        vector, fluency = vector / np.linalg.norm(vector), everywhere
    return make_query(question.text, vector, moment(question.asked_at, "asked_at") or datetime.now(UTC), fluency)


def _muted(query: Query, gold: Sequence[IndexRow]) -> Query:
    """Return the question without the words that its gold has; one word is always left."""
    had = frozenset(term for row in gold for term in row.terms)
    tags = frozenset(term[1:].partition(":")[0] for term in had if term.startswith(FORM)) - {PLAIN, tag("en")}
    left = tuple(word for word in query.content if had.isdisjoint(forms(word, tags)))
    return replace(query, content=left or query.content[:1])


def _shown(question: Question, haystack: Haystack, corpus: Corpus) -> NDArray[np.bool_]:
    """Return the cubes that a question may find: RealMem's come from sessions before its own."""
    shown = corpus.alive.copy()
    where: dict[str, Any] = dict(question.filters).get("where") or {}
    for name, bound in where.items():
        known = [message["metadata"][name] < bound["$lt"] for message in haystack.messages]
        shown &= np.array(known, dtype=bool)
    return shown
