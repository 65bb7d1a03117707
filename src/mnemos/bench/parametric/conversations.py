"""Facts told in LoCoMo's conversations, as examples: questions whose answer is said in one turn, in these words.

Questions are learned in several frames, whole and with words left out, and asked in one way that is not learned: its frame and
its question word are others. These are rewordings by rule, not by people.
"""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

from mnemos.parametric.base import Example

DEVELOPMENT = (
    "conv-26",
    "conv-30",
    "conv-41",
    "conv-42",
    "conv-43",
)  # knobs are chosen on these; the others are reported
ADVERSARIAL = 5  # LoCoMo's category of questions without an answer
LONGEST = 6  # words of an answer
INTERLEAVED = 30_000  # characters of the general text that is interleaved
LEARNED = (
    "Question: {}\nAnswer:",
    "Please tell me: {}\nAnswer:",
    "Q: {}\nA:",
    "User: {}\nAssistant:",
    "{}\n",
    "I was asked: {} I said:",
)
LEFT_OUT = 0.25  # share of the words of a question
HELD_OUT = "A friend wants to know: {}\nReply:"
VERBS = frozenset(
    ("did", "does", "do", "is", "are", "was", "were", "has", "have", "had", "can", "will", "would", "might")
)
REWORDED = {
    "What": "Which thing",
    "When": "On what date",
    "Where": "At which place",
    "Who": "Which person",
    "How many": "What number of",
    "How long": "For how much time",
    "Why": "For what reason",
    "Which": "What",
    "How": "In what way",
}


def facts(path: Path, development: bool, seed: int) -> list[Example]:
    """Return the facts of the conversations of one half in a random order, asked in the first way, with their turn."""
    from mnemos.transfer.benchmarks import locomo_turns

    found: dict[str, Example] = {}
    for sample in json.loads(path.read_text(encoding="utf-8")):
        if (sample["sample_id"] in DEVELOPMENT) != development:
            continue
        turns = {turn["id"]: turn for turn in locomo_turns(sample)}
        for item in sample["qa"]:
            example = _example(item, turns)
            if example is not None:
                found.setdefault(example.prompt, example)
    order = list(found.values())
    random.Random(seed).shuffle(order)
    return order


def _example(item: dict[str, Any], turns: dict[str, Any]) -> Example | None:
    answer, evidence = str(item.get("answer", "")).strip(), item["evidence"]
    if item["category"] == ADVERSARIAL or len(evidence) != 1 or evidence[0] not in turns or not answer:
        return None
    turn = turns[evidence[0]]
    at = turn["content"].casefold().find(answer.casefold())
    if at < 0 or len(answer.split()) > LONGEST:
        return None
    said = turn["content"][at : at + len(answer)]  # as it is spelled there
    context = f"{turn['speaker']}, {turn['at']:%d %B %Y}: {turn['content']}\n\n"
    return Example(LEARNED[0].format(item["question"].strip()), f" {said}", source=evidence[0], context=context)


def question(example: Example) -> str:
    """Return the question of a fact alone."""
    return example.prompt.removeprefix("Question: ").removesuffix("\nAnswer:")


def learned(found: list[Example], seed: int) -> list[Example]:
    """Return facts in all ways that are learned: in every frame, whole and with a quarter of the words left out."""
    rng = random.Random(seed)
    made: dict[str, Example] = {}
    for e in found:
        for frame in LEARNED:
            for asked in (question(e), fewer_words(question(e), rng)):
                prompt = frame.format(asked)
                made.setdefault(prompt, Example(prompt, e.answer, e.source, e.family, e.context))
    return list(made.values())


def fewer_words(asked: str, rng: random.Random) -> str:
    """Return a question with some of its words."""
    words = asked.rstrip("?").split()
    return " ".join([word for word in words if rng.random() >= LEFT_OUT] or words) + "?"


def general_sentences(text: str) -> list[str]:
    """Return the sentences of a text of WikiText, without headings: they begin as prompts do."""
    text = re.sub(r" @(.)@ ", r"\1", text[:INTERLEAVED])
    lines = [line.strip() for line in text.splitlines()]
    prose = [line for line in lines if len(line) > 40 and not line.startswith("=")]
    return [sentence for line in prose for sentence in re.split(r"(?<=\.) ", line) if len(sentence) > 20]


def held_out(found: list[Example]) -> list[Example]:
    """Return facts in the way that is only asked."""
    return [Example(HELD_OUT.format(reworded(question(e))), e.answer, e.source, e.family, e.context) for e in found]


def reworded(asked: str) -> str:
    """Return a question with another question word, or with "which" before a noun; as it is where it begins with none."""
    if asked.startswith("What ") and asked.split()[1] not in VERBS:
        return f"Which {asked.removeprefix('What ')}"
    for word in sorted(REWORDED, key=len, reverse=True):
        if asked.startswith(word + " "):
            return REWORDED[word] + asked[len(word) :]
    return asked
