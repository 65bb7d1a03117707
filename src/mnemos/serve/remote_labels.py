"""The classifiers of a served space, with the methods of those of an embedded one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mnemos.cube import MemCube
from mnemos.migrate.label import Label
from mnemos.serve.remote_agents import CarryOut, Kept
from mnemos.serve.requests import path_segment


class RemoteLabels(Kept):
    """A classifier of texts; see `mnemos.migrate.labels.Labels`."""

    def __init__(self, path: str, carry_out: CarryOut, name: str) -> None:
        super().__init__(f"{path}/labels/{path_segment(name)}", carry_out)
        self.name = name

    def learn(self, text: str | MemCube, label: str) -> Any:
        """Learn that a text, or a cube of this space, has a label; return the cube of the example. Raises InvalidInput."""
        return self._post("", lambda data: _cubes(data)[0], examples=_examples([(text, label)]))

    def learn_many(self, examples: Sequence[tuple[str | MemCube, str]]) -> Any:
        """Learn (text or cube, label) pairs, all or none; return their cubes in this order."""
        return self._post("", _cubes, examples=_examples(examples))

    def predict(self, text: str, k: int = 3, *, least: float = 0.0) -> Any:
        """Return the `k` likeliest labels of a text, best first; none whose score is below `least`."""
        return self._post("/predict", lambda data: _labels(data)[0], texts=[text], k=k, least=least)

    def predict_many(self, texts: Sequence[str], k: int = 3, *, least: float = 0.0) -> Any:
        """Return the likeliest labels of each text."""
        return self._post("/predict", _labels, texts=list(texts), k=k, least=least)

    def counts(self) -> Any:
        """Return how many texts each label has, the most common first."""
        return self._get("", lambda data: dict(data["labels"]))


def _examples(examples: Sequence[tuple[str | MemCube, str]]) -> list[dict[str, str]]:
    return [({"cube": t.id} if isinstance(t, MemCube) else {"text": t}) | {"label": label} for t, label in examples]


def _cubes(data: Any) -> list[MemCube]:
    return [MemCube.from_dict(row) for row in data["examples"]]


def _labels(data: Any) -> list[list[Label]]:
    return [[Label(**row) for row in found] for found in data["labels"]]
