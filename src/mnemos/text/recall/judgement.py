"""Whether one text answers a question in the place of another one: features of the pair, and the fitted weights.

Two judgements, each a logistic regression: `newer`, for a text told later than the first hit, is it what holds now; and
`older`, for one told before, is the first hit only a later remark on the theme. The weights are in `newest.json`, written
by `benchmarks/fit/newest.py` with what they were fitted on; those without vectors serve other embedders and none.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnemos.text.recall.telling import KINDS, Told

Vector = NDArray[np.floating]
DAY = 86_400_000_000  # microseconds
FLAGS = ("asks", "did", "of_named", "numbers")
SELF, NOW, OVER = KINDS.index("self"), KINDS.index("now"), KINDS.index("over")
FAR, APART = 0.25, 0.2  # cosines below which a text is hardly about what is asked, or about another one
SAME_FRAME = 0.5  # share of the words of the shorter text that both have at their beginnings and ends
_COUNT = re.compile(
    r"\b(?:when|how (?:much|many|old|long|tall|heavy|far)|what (?:time|size|date)|number|port|code|date|price|"
    r"wann|wie ?viel|cuándo|cuánto|quand|combien|quando|quanto|когда|сколько)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A hit, as it is judged."""

    told: Told
    at: int  # microseconds since 1970
    voice: tuple[str | None, str | None, str | None]  # speaker, role, source
    session: str | None
    vector: Vector | None  # (D,) of unit length


def by_words(question: str, q: Told, x: Statement, y: Statement) -> dict[str, float]:
    """Return the features of the words of a question, the first hit `x` and another one `y`, by name."""
    a, b = x.told, y.told
    found: dict[str, float] = {}
    for i, kind in enumerate(KINDS):
        found[f"first {kind}"], found[f"other {kind}"] = min(a.cues[i], 2), min(b.cues[i], 2)
        found[f"first opens {kind}"], found[f"other opens {kind}"] = a.opening[i], b.opening[i]
    for flag in FLAGS:
        found[f"first {flag}"], found[f"other {flag}"] = getattr(a, flag), getattr(b, flag)
    mine, theirs = q.cues[SELF] > 0, bool(q.people)
    for name, told in (("first", a), ("other", b)):
        found[f"{name} people, own asked"] = bool(told.people) and not theirs
        found[f"{name} nobody, others asked"] = theirs and not told.people
        found[f"{name} asked people"] = not q.people.isdisjoint(told.people)
        found[f"{name} not own"] = not told.cues[SELF] and not told.did
        found[f"{name} covers"] = len(q.terms & told.terms) / max(len(q.terms), 1)
    found["own asked"], found["others asked"] = mine, theirs
    found["asked people lost"] = found["first asked people"] and not found["other asked people"]
    found["other counts"] = b.numbers and _COUNT.search(question) is not None
    asked, shared = q.terms & a.terms, a.terms & b.terms
    found["covers as much"] = bool(asked) and asked <= b.terms
    found["asked lost"] = len(asked - b.terms) / max(len(asked), 1)
    found["shared of first"] = len(shared) / max(len(a.terms), 1)
    found["shared of other"] = len(shared) / max(len(b.terms), 1)
    found["shared beyond asked"] = min(len(shared - q.terms), 3)
    change = found["change"] = tells_change(b)
    found["change, nothing shared"] = change and not shared
    found["change, covers as much"] = change and found["covers as much"]
    found["change, covers"] = change * found["other covers"]
    found["change, own asked"] = change and mine
    found["same terms"] = a.terms == b.terms
    found["frame"] = sum(ends(a.words, b.words)) / max(len(a.words), len(b.words), 1)
    found["length first"], found["length other"] = math.log1p(len(a.words)), math.log1p(len(b.words))
    found["long"] = max(len(a.words), len(b.words)) > 60
    found["same voice"], found["no speaker"] = x.voice == y.voice, not is_somebody(y)
    found["same session"] = x.session is not None and x.session == y.session
    found["days"] = min(math.log1p(abs(y.at - x.at) / DAY), 7.0)
    return found


def is_somebody(y: Statement) -> bool:
    """Tell whether a person tells something: a named speaker, or a user whom nobody names."""
    return y.voice[0] is not None or y.voice[1] == "user"


def by_vectors(words: dict[str, float], q: Vector, x: Vector, y: Vector) -> dict[str, float]:
    """Return the cosines of a question, the first hit and another one, and their products with features of the words."""
    first, other, both = float(q @ x), float(q @ y), float(x @ y)
    change, far = words["change"], max(0.0, FAR - other)
    return {
        "cosine first": first,
        "cosine other": other,
        "cosine both": both,
        "cosine gained": other - first,
        "far": far,
        "change, far": change * far,
        "change, cosine other": change * other,
        "change, cosine both": change * both,
        "apart": max(0.0, APART - both),
        "far, nothing shared": far * (words["shared beyond asked"] == 0),
    }


def tells_change(told: Told) -> bool:
    """Tell whether a text has a word of change: "now", "no longer", "instead"."""
    return told.cues[NOW] + told.cues[OVER] > 0


def ends(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[int, int]:
    """Return how many words two texts share at their beginnings, and how many of the rest at their ends."""
    least = min(len(a), len(b))
    start = next((i for i in range(least) if a[i] != b[i]), least)
    end = next((j for j in range(least - start) if a[-1 - j] != b[-1 - j]), least - start)
    return start, end


def same_frame(q: Told, a: Told, b: Told) -> bool:
    """Tell whether two texts say the same of what is asked, with another value: "The capital of X is Y"."""
    if a.words == b.words:
        return False
    start, end = ends(a.words, b.words)
    if start + end < max(3, SAME_FRAME * min(len(a.words), len(b.words))):
        return False
    frame = {*a.words[:start], *a.words[len(a.words) - end :]}
    asked = set(q.words)
    lost = (asked & set(a.words)) - frame - set(b.words)
    return not lost and (len(asked & frame) >= 2 or not q.terms.isdisjoint(a.terms & b.terms))


@dataclass(frozen=True)
class Judge:
    """The weights of one judgement."""

    names: tuple[str, ...]
    weights: NDArray[np.float64]
    bias: float

    def weigh(self, found: dict[str, float]) -> float:
        """Return the log-odds that the other hit should come first."""
        return (
            float(np.fromiter((found[n] for n in self.names), np.float64, len(self.names)) @ self.weights) + self.bias
        )


@cache
def _fitted() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files(__package__).joinpath("newest.json").read_text(encoding="utf-8"))
    return found


def fitted_on() -> str:
    """Return the name of the embedder whose cosines have weights."""
    return str(_fitted()["embedder"])


@cache
def judge(direction: str, vectors: bool) -> Judge:
    """Return the fitted weights for a "newer" or "older" hit, with vectors of the bundled embedder or by words alone."""
    rows = dict(_fitted()["weights"]["vectors" if vectors else "words"][direction])
    bias = rows.pop("bias")
    return Judge(tuple(rows), np.array(list(rows.values())), bias)
