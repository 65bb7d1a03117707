"""Pairs of a question and a text for `benchmarks.fit.cross_encoder`: the text answers, or it only comes near.

- `near`: what we wrote for this (`near_questions.txt`);
- `blocks`: the blocks of `benchmarks.fit.newest`, each also with the statements of other blocks that are most like its question;
- `locomo`: turns of the development half: the evidence, and what a search finds beside it. A question with a false premise has no
  answer, its evidence is what comes near;
- `tofu`: the question of each made-up author with its answer, and with those of his other questions that share most words;
- `squad`: sentences of SQuAD 2.0 (CC BY-SA 4.0): that of the answer or, where there is none, that of the plausible answer;
- `selqa` and `friends`: sentences of SelQA and utterances of FriendsQA (both Apache-2.0).

Of what answers, a quarter is shown once more with another name in the question: then it does not.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.fit.newest_pairs import MANY, blocks
from mnemos import Mnemos
from mnemos.bench.text import locomo
from mnemos.bench.text.retrieval import only_splits
from mnemos.embed.minilm import MiniLM
from mnemos.index.terms import stop_terms

NEAR = Path(__file__).parent / "near_questions.txt"
SWAPPED = 0.25  # share of what answers that is shown with another name
LONGEST = 400  # characters of an answer of TOFU
DIFFERENT = 0.6  # cosine of two questions below which the answer of one does not answer the other
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"\u201c])")
_WORD = re.compile(r"\w+")
_NAME = re.compile(r"\b[A-Z][a-z]{2,}\b")


class Pair(NamedTuple):
    """A question and a text."""

    set: str
    item: str  # what must not be on both sides of a split
    question: str
    text: str
    answers: bool


def near() -> Iterator[Pair]:
    """Yield what we wrote, each question also with the two texts of other items that are most like it."""
    items: list[tuple[str, list[tuple[str, bool]]]] = []
    for line in NEAR.read_text(encoding="utf-8").splitlines():
        if line.startswith("="):
            items.append((line[2:], []))
        elif line[:1] in ("+", "-"):
            items[-1][1].append((line[2:], line.startswith("+")))
    model = MiniLM()
    texts = model.embed([text for text, _ in items])
    for n, (text, questions) in enumerate(items):
        for (question, answers), vector in zip(questions, model.embed([q for q, _ in questions]), strict=True):
            yield Pair("near", f"near {n}", question, text, answers)
            alike = texts @ vector
            alike[n] = -1
            yield from (Pair("near", f"near {n}", question, items[i][0], False) for i in np.argsort(-alike)[:2])


def of_blocks(rng: random.Random) -> Iterator[Pair]:
    """Yield the blocks in English: what was so and what came for it answer, whatever else stands there does not."""
    every, model = [block for block in blocks() if block["name"] != MANY], MiniLM()
    asked = model.embed([block["?"][0] for block in every])
    told = [(n, text) for n, block in enumerate(every) for text in (*block["="], *block["+"])]
    alike = asked @ model.embed([text for _, text in told]).T
    for n, block in enumerate(every):
        item, states = f"block {n}", [*block["="], *block["+"]]
        others = [rng.choice([*b["="], *b["+"]]) for b in rng.sample(every, 4) if b is not block][:3]
        for question in block["?"][:3]:
            yield from (Pair("blocks", item, question, text, True) for text in states)
            yield from (Pair("blocks", item, question, text, False) for text in (*block["-"], *others))
        near = [told[i] for i in np.argsort(-alike[n])]
        hard = [text for other, text in near if other != n and asked[other] @ asked[n] < DIFFERENT][:4]
        yield from (Pair("blocks", item, block["?"][0], text, False) for text in hard)


def of_locomo(path: Path, memory: Mnemos, rng: random.Random) -> Iterator[Pair]:
    """Yield the turns of the development half as they are shown to the model, after their speaker."""
    for haystack in only_splits(locomo.load(path), ["development"]).haystacks:
        space = memory.space(f"locomo-{haystack.name}")
        if not space.count():
            space.add_many(haystack.messages)
        said = {m["id"]: f"{m['speaker']}: {m['content']}" for m in haystack.messages}
        for question in haystack.questions:
            gold = [turn for turn in question.gold["turn"] if turn in said]
            has_answer = question.category != "adversarial"
            for turn in gold[: 3 if has_answer else 1]:
                yield Pair("locomo", question.id, question.text, said[turn], has_answer)
            found = [hit.cube.id for hit in space.search(question.text, k=12) if hit.cube.id not in gold]
            first, rest = found[:5], found[5:]
            for turn in (*rng.sample(first, min(2, len(first))), *rest[:1]):
                yield Pair("locomo", question.id, question.text, said[turn], False)


def tofu(path: Path) -> Iterator[Pair]:
    """Yield the rows of full.jsonl."""
    authors: dict[int, list[dict[str, Any]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        authors.setdefault(row["author"], []).append(row)
    for author, rows in authors.items():
        for n, row in enumerate(rows):
            item = f"{author}/{n}"
            yield Pair("tofu", item, row["question"], row["answer"][:LONGEST], True)
            others = [r["answer"][:LONGEST] for r in rows if r is not row]
            yield from (Pair("tofu", item, row["question"], text, False) for text in _most(row["question"], others)[:2])


def squad(path: Path) -> Iterator[Pair]:
    """Yield the sentences of a file in the format of SQuAD 2.0."""
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            places = _sentences(paragraph["context"])
            texts = [paragraph["context"][a:b] for a, b in places]
            for asked in paragraph["qas"]:
                spans = asked["answers"] or asked.get("plausible_answers") or []
                at = {texts[i] for s in spans for i, (a, b) in enumerate(places) if a <= s["answer_start"] < b}
                rest = [text for text in _most(asked["question"], texts) if text not in at]
                item, has_answer = asked["id"], not asked["is_impossible"]
                for text in sorted(at)[:1]:
                    yield Pair("squad", item, asked["question"], text, has_answer)
                yield from (
                    Pair("squad", item, asked["question"], text, False) for text in rest[: 2 if has_answer else 1]
                )


def selqa(path: Path) -> Iterator[Pair]:
    """Yield the candidates of a file of answer sentence selection."""
    for n, row in enumerate(json.loads(path.read_text(encoding="utf-8"))):
        right = {row["candidates"][i] for i in row["answers"]}
        item = f"{path.stem} {n}"
        yield from (Pair("selqa", item, row["question"], text, True) for text in sorted(right)[:1])
        rest = [text for text in _most(row["question"], row["candidates"]) if text not in right]
        yield from (Pair("selqa", item, row["question"], text, False) for text in rest[:3])


def friends(path: Path) -> Iterator[Pair]:
    """Yield the utterances of a file of scenes, each after its speakers."""
    for scene in json.loads(path.read_text(encoding="utf-8"))["data"]:
        for paragraph in scene["paragraphs"]:
            said = {
                u["uid"]: f"{', '.join(u['speakers'])}: {_joined(u['utterance'])}" for u in paragraph["utterances:"]
            }
            for asked in paragraph["qas"]:
                question, item = _joined(asked["question"]), path.stem + asked["id"]
                gold = sorted({a["utterance_id"] for a in asked["answers"]} & set(said))
                yield from (Pair("friends", item, question, said[uid], True) for uid in gold[:2])
                rest = [said[uid] for uid in said if uid not in gold and abs(uid - min(gold, default=0)) > 1]
                yield from (Pair("friends", item, question, text, False) for text in _most(question, rest)[:2])


FILES: dict[str, Callable[[Path], Iterator[Pair]]] = {"tofu": tofu, "squad": squad, "selqa": selqa, "friends": friends}


def with_other_names(pairs: Sequence[Pair], rng: random.Random) -> Iterator[Pair]:
    """Yield some of what answers with another name of its set in the question: it does not answer that one."""
    names: dict[str, list[str]] = {}
    for pair in pairs:
        names.setdefault(pair.set, []).extend(_names(pair.question))
    for pair in pairs:
        both = [name for name in _names(pair.question) if name in pair.text] if pair.answers else []
        if both and rng.random() < SWAPPED:
            name, other = rng.choice(both), rng.choice(names[pair.set])
            if other not in pair.text:
                question = re.sub(rf"\b{name}\b", other, pair.question)
                yield pair._replace(question=question, answers=False)


def _names(question: str) -> list[str]:
    """Return the words that begin with a capital, but for the first of the question."""
    return [match[0] for match in _NAME.finditer(question) if match.start()]


def _most(question: str, texts: Sequence[str]) -> list[str]:
    """Return texts by how many words of the question they share, the most first."""
    asked = set(_WORD.findall(question.lower())) - stop_terms()
    return sorted(texts, key=lambda text: -len(asked & set(_WORD.findall(text.lower()))))


def _sentences(text: str) -> list[tuple[int, int]]:
    """Return where the sentences of a text begin and end."""
    cuts = [(match.start(), match.end()) for match in _SENTENCE.finditer(text)]
    starts, ends = [0, *(end for _, end in cuts)], [*(start for start, _ in cuts), len(text)]
    return list(zip(starts, ends, strict=True))


def _joined(tokens: str) -> str:
    """Return a text whose word pieces were set apart as it is written."""
    return re.sub(r" ([.,!?;:])", r"\1", re.sub(r" (n't|'[a-z]+)", r"\1", tokens))
