"""bAbI's files, as words and as tensors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from mnemos.errors import InvalidInput

SENTENCES = 40  # the last ones of a story, which a model sees


class Asked(NamedTuple):
    """A question: the sentences before it, its own words, and the answer, all as words."""

    story: tuple[tuple[str, ...], ...]
    question: tuple[str, ...]
    answer: str


def read(lines: Sequence[str]) -> Iterator[Asked]:
    """Return the questions of a file. A line that is numbered 1 begins a story; one with tabs asks."""
    story: list[tuple[str, ...]] = []
    for line in lines:
        number, _, rest = line.partition(" ")
        if number == "1":
            story = []
        text, _, answer = rest.partition("\t")
        words = tuple(re.findall(r"\w+", text.lower()))
        if answer:
            yield Asked(tuple(story[-SENTENCES:]), words, answer.partition("\t")[0].strip().lower())
        else:
            story.append(words)


def load(folder: Path, task: int) -> tuple[list[Asked], list[Asked]]:
    """Return what a task has to train on and to test. Raises InvalidInput where the folder has no such task."""
    found = []
    for split in ("train", "test"):
        paths = sorted(folder.glob(f"qa{task}_*_{split}.txt"))
        if len(paths) != 1:
            raise InvalidInput(
                f"{folder} has {len(paths)} files qa{task}_*_{split}.txt: give the folder of bAbI's tasks."
            )
        found.append(list(read(paths[0].read_text(encoding="utf-8").splitlines())))
    return found[0], found[1]


class Encoded(NamedTuple):
    """Questions as tensors: bags of words (N, S, W), their mask (N, S), questions (N, W), answers (N), words in a row (N, T)."""

    facts: Tensor
    real: Tensor
    questions: Tensor
    answers: Tensor
    tokens: Tensor


def encode(asked: Sequence[Asked], words: dict[str, int], width: int, length: int) -> Encoded:
    """Return questions as tensors; sentences and words stand at the end, behind nothing."""
    W, n = len(words) + 1, len(asked)
    facts, real = torch.zeros(n, width, W), torch.zeros(n, width, dtype=torch.bool)
    questions, tokens = torch.zeros(n, W), torch.zeros(n, length, dtype=torch.long)
    for i, one in enumerate(asked):
        for place, sentence in enumerate(one.story, width - len(one.story)):
            real[i, place] = True
            for word in sentence:
                facts[i, place, words[word]] += 1
        for word in one.question:
            questions[i, words[word]] += 1
        row = [words[w] for sentence in (*one.story, one.question) for w in sentence]
        tokens[i, length - len(row) :] = torch.tensor(row)
    return Encoded(facts, real, questions, torch.tensor([words[one.answer] for one in asked]), tokens)


def prepared(folder: Path, task: int) -> tuple[Encoded, Encoded, int]:
    """Return the two sets of a task, and the size of its vocabulary, of which 0 is nothing."""
    sets = load(folder, task)
    every = [one for part in sets for one in part]
    said = sorted({w for one in every for s in (*one.story, one.question, (one.answer,)) for w in s})
    words = {word: i for i, word in enumerate(said, 1)}
    width = max(len(one.story) for one in every)
    length = max(sum(map(len, one.story)) + len(one.question) for one in every)
    train, test = (encode(part, words, width, length) for part in sets)
    return train, test, len(words) + 1
