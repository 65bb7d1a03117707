"""Attributes as an open set: what a value is of is the attribute whose description is nearest.

A description is a short text ("where someone lives: home, city"); the vectors of those of the package are stored beside
the heads, those that a user adds are computed once by his embedder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from mnemos.reason.read.heads import FILE, Heads, heads
from mnemos.reason.read.words import Floats

DESCRIPTIONS = Path(__file__).parent / "attributes.json"


@dataclass(frozen=True, slots=True)
class Attributes:
    """Names of attributes, and their descriptions on their way to the spans, (A, K) of unit length."""

    names: Sequence[str]
    rows: Floats
    model: Heads

    @staticmethod
    def of(names: Sequence[str], vectors: Floats, model: Heads) -> Attributes:
        """Return the attributes with these vectors of their descriptions, (A, 384)."""
        rows = vectors @ model.kinds
        return Attributes(names, _unit(rows), model)

    def near(self, about: Floats) -> Floats:
        """Return the cosines (A,) between what a value is about, (D,), and each attribute."""
        return np.asarray(self.rows @ _unit(about @ self.model.kind), dtype=np.float32)

    def nearest(self, about: Floats) -> str:
        """Return the name of the nearest attribute."""
        return self.names[int(self.near(about).argmax())]

    def more(self, names: Sequence[str], vectors: Floats) -> Attributes:
        """Return these attributes and others; one of the same name is replaced."""
        kept = [i for i, name in enumerate(self.names) if name not in names]
        added = Attributes.of(names, vectors, self.model)
        return Attributes(
            [*(self.names[i] for i in kept), *names], np.concatenate([self.rows[kept], added.rows]), self.model
        )


_GENERAL = {  # attributes that rules have under a narrower name
    "wake-up time": "wake-up time", "bedtime": "wake-up time", "gym": "sport", "editor": "tool", "browser": "tool",
    "os": "tool", "framework": "tool", "theme": "tool", "database": "setting", "port": "setting", "branch": "setting",
    "version": "setting", "due date": "deadline", "launch date": "deadline", "release date": "deadline",
    "submission date": "deadline", "delivery date": "deadline", "start date": "plan", "weight": "height", "size": "height",
    "shoe size": "height", "bank": "finance", "rent": "finance", "city": "live in", "country": "live in",
    "therapist": "doctor", "dentist": "doctor", "landlord": "neighbour", "programming language": "tool", "degree": "major",
    "school": "study at", "university": "study at", "college": "study at", "time zone": "setting", "have": "possession",
}  # fmt: skip


def general(attribute: str, value: str) -> str:
    """Return the attribute of the heads' set under which what a rule read falls: "dog name" is "pet name"."""
    if attribute.startswith("feeling about"):
        return value if value in ("likes", "dislikes") else "likes"
    if attribute.startswith("favourite"):
        return "likes"
    if attribute.startswith("number of"):
        return "children" if attribute.endswith(("kids", "children", "sons", "daughters", "child", "kid")) else "family"
    if attribute.endswith(" name") and attribute != "name":
        return "pet name"
    return _GENERAL.get(attribute, attribute)


def descriptions() -> Mapping[str, str]:
    """Return the attributes of the package with their descriptions."""
    found: dict[str, str] = json.loads(DESCRIPTIONS.read_text(encoding="utf-8"))
    return found


@cache
def attributes() -> Attributes:
    """Return the attributes of the package; their vectors are in the file of the heads."""
    with np.load(FILE, allow_pickle=False) as data:
        vectors = data["descriptions"].astype(np.float32)
    return Attributes.of(list(descriptions()), vectors, heads())


def _unit(x: Floats) -> Floats:
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-9), dtype=np.float32)
