"""The heads: a narrow two-layer convolution over the words of a text, and linear readers of what it gives.

The shapes: W words, D numbers of a state, C cues, H the width of the heads. Fitted by benchmarks/fit/read.py on
statements written for it and on those of other hands; read from `heads.npz`, without pickles.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from mnemos.reason.read.words import Floats, Words

FILE = Path(__file__).parent / "heads.npz"
LAYER = 384  # numbers of a state after one layer
REACH = 2  # words on both sides that a convolution sees
TENSES = ("now", "past", "future")
OUTSIDE, BEGIN, INSIDE = range(3)


@dataclass(frozen=True, slots=True)
class Heads:
    """Weights as fitted; a name in the file is a field here."""

    project: Floats  # (D + 1, H)
    first: Floats  # (5 * (H + C) + 1, H)
    second: Floats  # (5 * H + 1, H)
    tags: Floats  # (2 * H + 1, 6): outside, begin, inside of a value; the same of whose it is
    states: Floats  # (2 * H + 1, 1): whether the text states anything
    span: Floats  # (2 * H + 1, 5): another's, now, past, future, denied
    kind: Floats  # (2 * D, K): a span on its way to the descriptions of attributes
    kinds: Floats  # (384, K): a description on its way to the spans
    sure: Floats  # (2,) of the logistic function from a score to a confidence

    @staticmethod
    def load(path: Path = FILE) -> Heads:
        """Return the heads of a file."""
        with np.load(path, allow_pickle=False) as data:
            return Heads(**{name: data[name].astype(np.float32) for name in Heads.__slots__})

    def hidden(self, words: Words) -> Floats:
        """Return (W, 2 * H): what the heads know of each word."""
        own = np.tanh(_affine(words.states, self.project))
        near = np.maximum(_affine(_around(np.concatenate([own, words.cues], axis=1)), self.first), 0)
        far = np.maximum(_affine(_around(near), self.second), 0)
        return np.concatenate([own, far], axis=1)

    def tag(self, hidden: Floats) -> tuple[Floats, Floats]:
        """Return the shares (W, 3) of outside, begin and inside, of values and of whose they are."""
        logits = _affine(hidden, self.tags)
        return _softmax(logits[:, :3]), _softmax(logits[:, 3:])

    def stating(self, hidden: Floats) -> float:
        """Return the share by which the text states something."""
        logits = _affine(hidden, self.states)[:, 0]
        most = float(logits.max())
        return _logistic(most + float(np.log(np.exp(logits - most).sum())))

    def of_span(self, hidden: Floats) -> tuple[float, str, float]:
        """Return, for the words of a value: the share by which it is another's, its tense, and that by which it is denied."""
        logits = _affine(hidden.mean(axis=0, keepdims=True), self.span)[0]
        return _logistic(float(logits[0])), TENSES[int(logits[1:4].argmax())], _logistic(float(logits[4]))

    def confidence(self, score: float) -> float:
        """Return how likely a reading of this score is right."""
        score = min(max(score, 1e-6), 1 - 1e-6)
        return _logistic(float(self.sure[0]) * float(np.log(score / (1 - score))) + float(self.sure[1]))


@cache
def heads() -> Heads:
    """Return the heads of the package."""
    return Heads.load()


def best_tags(shares: Floats) -> list[int]:
    """Return the likeliest tags in which an inside follows a begin or an inside (Viterbi)."""
    logs = np.log(shares + 1e-9)
    score = logs[0].tolist()
    score[INSIDE] = -1e9
    back: list[list[int]] = []
    for outside, begin, inside in logs[1:].tolist():
        best = max(range(3), key=score.__getitem__)
        going = BEGIN if score[BEGIN] >= score[INSIDE] else INSIDE
        back.append([best, best, going])
        score = [score[best] + outside, score[best] + begin, score[going] + inside]
    tags = [max(range(3), key=score.__getitem__)]
    for row in reversed(back):
        tags.append(row[tags[-1]])
    return tags[::-1]


def runs(tags: list[int]) -> list[tuple[int, int]]:
    """Return the (first, last + 1) words of each run of tags that are not outside."""
    found: list[tuple[int, int]] = []
    for i, tag in enumerate(tags):
        if tag == BEGIN:
            found.append((i, i + 1))
        elif tag == INSIDE:
            found[-1] = (found[-1][0], i + 1)
    return found


def unit_states(x: Floats) -> Floats:
    """Return states with the part of each layer, 384 numbers, scaled to length 1."""
    parts = x.reshape(-1, LAYER)
    return np.asarray(
        (parts / np.maximum(np.linalg.norm(parts, axis=1, keepdims=True), 1e-9)).ravel(), dtype=np.float32
    )


def _affine(x: Floats, weights: Floats) -> Floats:
    return np.asarray(x @ weights[:-1] + weights[-1], dtype=np.float32)


def _around(x: Floats) -> Floats:
    """Return (W, 5 * n): each row beside its two neighbours on both sides, zeros beyond the ends."""
    padded = np.pad(x, ((REACH, REACH), (0, 0)))
    return np.concatenate([padded[i : i + len(x)] for i in range(2 * REACH + 1)], axis=1)


def _softmax(x: Floats) -> Floats:
    shares = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), dtype=np.float32)


def _logistic(x: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(x, -30, 30))))
