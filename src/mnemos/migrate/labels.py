"""Labels: a classifier of texts that learns from every example it is given, forgets what is erased, and nothing else.

Examples are cubes of the kind `label`, with their vectors; the weights are computed from them (ridge regression on random
features of the vectors, arXiv 2307.02251) and kept in RAM only. So they do not depend on the order in which examples came, a
later example undoes no earlier one, and after an erasure they are those of a classifier that never saw the text, bit for bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

import numpy as np
import torch

from mnemos.arguments import check_count, check_number, check_text
from mnemos.cube import MemCube
from mnemos.embed.base import Embedder
from mnemos.errors import InvalidInput
from mnemos.migrate.label import Label
from mnemos.parametric.recall.random_features import RandomFeaturesHead
from mnemos.store.values import Filter
from mnemos.text.agent.shelf import Shelf, rows_of
from mnemos.text.memory import TextMemory

KIND = "label"  # of the cubes
# Random features beside the vector itself: an example costs their number squared additions, new weights a third of its cube.
# Chosen on CLINC150's validation questions and on held-out training texts of DBpedia, AG News and Yahoo answers.
FEATURES, PENALTY, LINEAR = 1000, 1000.0, 30.0
ROOM = 32  # labels for which there is room at first; doubled when it is full


class Labels:
    """The labels of one name in a space: get it from `Space.labels(name)`, in any process. Needs PyTorch and an embedder.

    The same text told with another label is a correction: the newest label of a text counts. Learning an example costs its
    embedding and a row; the first question after it some ms for new weights, later ones only the embedding.
    """

    def __init__(self, memory: TextMemory, name: str) -> None:
        self.name = check_text(name, "name")
        if memory.embedder is None:
            raise InvalidInput("labels are learned from vectors, and this space has no embedder: open it with one.")
        self._memory, self._shelf, self._lock = memory, Shelf(memory, KIND, self.name), Lock()
        self._filter = Filter(kind=KIND, session=self.name, superseded=True)
        self._clear()
        memory.store.on_erase(self._forget)
        memory.store.on_stale(self._forget)

    def learn(self, text: str | MemCube, label: str) -> MemCube:
        """Learn that a text, or a cube of this space, has a label; return the cube of the example.

        The example of a cube is erased with it. Raises InvalidInput for an empty text or label.
        """
        return self.learn_many([(text, label)])[0]

    def learn_many(self, examples: Sequence[tuple[str | MemCube, str]]) -> list[MemCube]:
        """Learn (text or cube, label) pairs, all or none; return their cubes in this order."""
        drafts = []
        for given, label in examples:
            text, parents = (given.text, [given.id]) if isinstance(given, MemCube) else (given, [])
            about = {"label": check_text(label, "label")}
            drafts.append(self._shelf.draft(check_text(text, "text"), about, parents=parents))
        return self._shelf.write(drafts)

    def predict(self, text: str, k: int = 3, *, least: float = 0.0) -> list[Label]:
        """Return the `k` likeliest labels of a text, best first; none whose score is below `least`.

        With a `least` of about .25 a text that is like no example gets no label. Empty before anything was learned.
        """
        return self.predict_many([text], k, least=least)[0]

    def predict_many(self, texts: Sequence[str], k: int = 3, *, least: float = 0.0) -> list[list[Label]]:
        """Return the likeliest labels of each text."""
        check_count(k, "k")
        check_number(least, "least")
        wanted = [check_text(text, "text") for text in texts]
        asked = torch.from_numpy(np.asarray(self._embedder.embed(wanted), dtype=np.float32)) if wanted else None
        with self._lock:
            self._refresh()
            if self._head is None or not self._counts or asked is None:
                return [[] for _ in wanted]
            scores = self._head.scores(asked)
            known = [i for i, name in enumerate(self._names) if self._counts[name]]
            names = [self._names[i] for i in known]
        best = scores[:, known].topk(min(k, len(known)), dim=1)
        return [
            [Label(names[i], score) for i, score in zip(places, values, strict=True) if score >= least]
            for places, values in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]

    def counts(self) -> dict[str, int]:
        """Return how many texts each label has, the most common first."""
        with self._lock:
            self._refresh()
            return dict(self._counts.most_common())

    @property
    def _embedder(self) -> Embedder:
        embedder = self._memory.embedder
        if embedder is None:
            raise InvalidInput("labels are learned from vectors, and this space has no embedder now.")
        return embedder

    def _forget(self, forms: Mapping[str, str] | None = None) -> None:
        """Hear that something was erased."""
        with self._lock:
            self._clear()

    def _clear(self) -> None:
        """Drop what was computed: erased text must not stay in RAM. The next question reads all examples."""
        self._head: RandomFeaturesHead | None = None
        self._names: list[str] = []
        self._counts: Counter[str] = Counter()
        self._told: dict[str, tuple[str, Any]] = {}  # text as compared -> label and vector
        self._keys: list[int] = []
        self._token: object | None = object()

    def _refresh(self) -> None:
        """Learn what is new; all anew after an erasure. O(new examples)."""
        store = self._memory.store
        token = store.change_token()
        if token is not None and token == self._token:
            return
        if self._token is None:  # what was read inside a transaction may have been rolled back
            self._clear()
        keys = [int(key) for key in store.keys(self._filter)]
        if keys[: len(self._keys)] != self._keys:
            self._clear()
        if new := keys[len(self._keys) :]:
            self._add(rows_of(self._memory, self._filter, self._keys[-1] if self._keys else 0), new)
        self._keys, self._token = keys, token

    def _add(self, rows: list[tuple[int, MemCube]], keys: list[int]) -> None:
        model = self._memory.model_key()
        vectors = {} if model is None else self._memory.store.vectors.of(model, keys)
        if missing := [(key, cube.text) for key, cube in rows if key not in vectors]:
            made = self._embedder.embed([text for _, text in missing])
            vectors |= {key: vector for (key, _), vector in zip(missing, made, strict=True)}
        learned, corrected = [], []
        for key, cube in rows:
            label, same = str(cube.metadata["label"]), " ".join(cube.text.split()).casefold()
            if label not in self._names:
                self._names.append(label)
            if (old := self._told.get(same)) is not None:
                if old[0] == label:
                    continue
                corrected.append(old)
                self._counts[old[0]] -= 1
            self._told[same] = (label, torch.from_numpy(np.asarray(vectors[key], dtype=np.float32)))
            learned.append(self._told[same])
            self._counts[label] += 1
        self._counts += Counter()  # without labels that no text has any longer
        self._apply(learned, corrected)

    def _apply(self, learned: list[tuple[str, Any]], corrected: list[tuple[str, Any]]) -> None:
        """Change the weights by examples; begin anew where there is no room for all labels."""
        places = {name: i for i, name in enumerate(self._names)}
        room = 0 if self._head is None else self._head.readout.moment.shape[1]
        if self._head is None or room < len(places):
            room = max(room, ROOM)
            while room < len(places):
                room *= 2
            learned, corrected = list(self._told.values()), []
            width = len(learned[0][1]) if learned else self._embedder.dimension
            self._head = RandomFeaturesHead(width, room, FEATURES, PENALTY, linear=LINEAR)
        for examples, change in ((learned, self._head.learn), (corrected, self._head.forget)):
            if examples:
                x = torch.stack([vector for _, vector in examples])
                change(x, torch.tensor([places[label] for label, _ in examples]))
