"""Contexts of texts that are read alone and joined, with questions: memories of LoCoMo, and facts in prose."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemos.transfer.benchmarks import locomo_turns

NAMES = ("Marta", "Ilja", "Noor", "Pedro", "Hana", "Tomas", "Lucia", "Viktor", "Amara", "Jonas", "Selma", "Rafael")
FACTS = {
    "favourite fruit": ("mango", "plum", "papaya", "cherry", "banana", "grape"),
    "city of birth": ("Lisbon", "Oslo", "Prague", "Cairo", "Lima", "Dublin"),
    "pet": ("parrot", "rabbit", "goat", "hamster", "pony", "lizard"),
    "password": ("window", "silver", "engine", "candle", "rocket", "anchor"),
}
ANSWERED = (1, 2, 4)  # LoCoMo's categories with an answer in the text: multi-hop, temporal, single-hop


@dataclass(frozen=True)
class Context:
    """Texts in the order in which they are joined, and what is asked about them."""

    texts: tuple[str, ...]
    asked: tuple[tuple[str, str], ...]  # what is said to the model, and the answer, which begins with a space


def memories(sample: dict[str, Any], rng: random.Random, questions: int, texts: int) -> Context:
    """Return turns of a conversation: the evidence of some questions and others, in random order."""
    turns = {
        str(t["id"]): f"[{t['at']:%Y-%m-%d}] {t['speaker']}: {t['content']}\n"  # as `migrate.pieces.render` has it
        for t in locomo_turns(sample)
    }
    fit = [
        q for q in sample["qa"]
        if q["category"] in ANSWERED and 0 < len(q["evidence"]) <= 2 and all(e in turns for e in q["evidence"])
    ]  # fmt: skip
    chosen = rng.sample(fit, questions)
    names = list(dict.fromkeys(e for q in chosen for e in q["evidence"]))
    names += rng.sample([name for name in turns if name not in names], max(texts - len(names), 0))
    rng.shuffle(names)
    asked = tuple((f"Question: {q['question']}\nShort answer:", f" {q['answer']}") for q in chosen)
    return Context(tuple(turns[name] for name in names), asked)


def facts(sentences: list[str], rng: random.Random, count: int) -> Context:
    """Return pieces of prose, each with a fact about somebody between its sentences; every fact is asked for."""
    at, texts, asked = rng.randrange(len(sentences) - 2 * count), [], []
    for i, name in enumerate(rng.sample(NAMES, count)):
        what = rng.choice(sorted(FACTS))
        answer = rng.choice(FACTS[what])
        before, after = sentences[at + 2 * i], sentences[at + 2 * i + 1]
        texts.append(f"{before} The {what} of {name} is {answer}. {after}\n")
        asked.append((f"Question: What is the {what} of {name}?\nAnswer: The {what} of {name} is", f" {answer}"))
    return Context(tuple(texts), tuple(asked))


def prose(path: Path) -> list[str]:
    """Return the sentences of medium length of a book in a file."""
    text = " ".join(path.read_text(encoding="utf-8", errors="replace").split())
    return [s for s in re.split(r"(?<=[.!?])\s+", text[len(text) // 10 :]) if 30 < len(s) < 200]


def conversations(path: Path, names: tuple[str, ...], development: bool) -> Iterator[dict[str, Any]]:
    """Yield the conversations of a LoCoMo file that are in `names`, or those that are not."""
    for sample in json.loads(path.read_text(encoding="utf-8")):
        if (sample["sample_id"] in names) == development:
            yield sample
