"""Texts by their label, in tasks one after the other, over the bundled embedder's vectors: what `space.labels` rests on.

Intents (CLINC150, ten domains of 15 in turn), and articles by topic (DBpedia, 14 topics two at a time). Nothing was chosen on
these test questions: the head's features and the rate of the trained layers were, on CLINC150's validation questions.
"beyond" are questions of no intent that get a label with a score of at least .3, "kept" those of an intent that do.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mnemos.bench.parametric.learning.lives import Life, Lived, live, live_head
from mnemos.bench.parametric.learning.streams import Labelled, Task, joint
from mnemos.bench.parts import Row, seeded
from mnemos.embed import load
from mnemos.errors import NotFound
from mnemos.migrate.labels import FEATURES
from mnemos.parametric.base import Head
from mnemos.parametric.consolidate.base import Strategy
from mnemos.parametric.consolidate.learner import Learner
from mnemos.parametric.consolidate.replay import Replay
from mnemos.parametric.recall.random_features import RandomFeaturesHead
from mnemos.parametric.recall.ridge import RidgeHead

LEAST = 0.3  # score of a label
Make = Callable[[int], Head | tuple[Strategy, ...]]


def measure(options: Any) -> dict[str, Row]:
    """Return what each way to learn knows of all labels after the last task."""
    intents, beyond = clinc(options.data / "clinc150")
    topics = dbpedia(options.data / "text_cl" / "dbpedia")
    ways: dict[str, Make] = {
        "labels (ridge on random features)": lambda seed: RandomFeaturesHead(384, 150, FEATURES, seed=seed),
        "ridge": lambda _: RidgeHead(384, 150),
        "a layer, in sequence": lambda _: (),
        "a layer, replay of 200": lambda _: (Replay(200, 32, "balanced"),),
        "a layer, replay of 1,500": lambda _: (Replay(1500, 32, "balanced"),),
    }
    found = {name: seeded(options.seeds, partial(once, make, intents, beyond, topics)) for name, make in ways.items()}
    both = [joint(intents)], beyond, [joint(topics)]
    found["a layer, all at once"] = seeded(options.seeds, partial(once, lambda _: (), *both))
    return found


def once(make: Make, intents: list[Task], beyond: Tensor, topics: list[Task], seed: int) -> dict[str, float]:
    """Return the figures of one run."""
    lived, scores, ms = run(make, intents, seed)
    best, none = scores(torch.cat([t.test.x for t in intents])).max(1).values, scores(beyond).max(1).values
    figures, of_topics = lived.figures(), run(make, topics, seed)[0].figures()
    return {
        "intents %": figures["accuracy"],
        "forgotten %": figures["forgetting"],
        "topics %": of_topics["accuracy"],
        "kept %": float((best >= LEAST).float().mean()),
        "beyond %": float((none >= LEAST).float().mean()),
        "ms an example": ms,
        "MB": figures["nbytes"] / 1e6,
    }


def run(make: Make, tasks: list[Task], seed: int) -> tuple[Lived, Callable[[Tensor], Tensor], float]:
    """Return a life, how it answers, and the milliseconds of learning an example."""
    made, count = make(seed), sum(len(t.train.y) for t in tasks)
    if isinstance(made, Head):
        lived = live_head(made, tasks)
        return lived, made.scores, 1000 * lived.seconds / count
    torch.manual_seed(seed)
    layer = nn.Linear(384, 150)
    learner = Learner(layer, made, rivals="seen", optimise=partial(torch.optim.Adam, lr=1e-2), seed=seed)
    lived = live(learner, tasks, Life(batch=32, epochs=5), seed)
    return lived, lambda x: learner.predict(x).softmax(-1), 1000 * lived.seconds / count


def clinc(folder: Path) -> tuple[list[Task], Tensor]:
    """Return ten tasks of 15 intents, and the vectors of questions of no intent."""
    domains = json.loads(_there(folder / "domains.json").read_text(encoding="utf-8"))
    names = [intent for intents in domains.values() for intent in intents]
    parts = {part: rows(folder / f"{part}.jsonl") for part in ("train", "test", "oos_test")}
    known = {part: _labelled(parts[part], names) for part in ("train", "test")}
    tasks = [_task(known, names, intents) for intents in domains.values()]
    return tasks, vectors([str(row["text"]) for row in parts["oos_test"]])


def dbpedia(folder: Path) -> list[Task]:
    """Return seven tasks of two topics."""
    parts = {part: rows(folder / f"{part}.jsonl") for part in ("train", "test")}
    names = sorted({str(row["label"]) for row in parts["train"]})
    known = {part: _labelled(found, names) for part, found in parts.items()}
    return [_task(known, names, names[i : i + 2]) for i in range(0, len(names), 2)]


def rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file of JSON lines. Raises NotFound."""
    return [json.loads(line) for line in _there(path).read_text(encoding="utf-8").splitlines()]


def vectors(texts: list[str]) -> Tensor:
    """Return the bundled embedder's vectors of texts."""
    embedder = load("bundled")
    assert embedder is not None
    return torch.tensor(embedder.embed(texts))


def _there(path: Path) -> Path:
    if not path.exists():
        raise NotFound(f"{path} is not there: give a folder with clinc150/ and text_cl/ as --data.")
    return path


def _labelled(found: list[dict[str, Any]], names: list[str]) -> Labelled:
    label = "label" if "label" in found[0] else "intent"
    y = torch.tensor([names.index(str(row[label])) for row in found])
    return Labelled(vectors([str(row["text"]) for row in found]), y)


def _task(known: dict[str, Labelled], names: list[str], chosen: list[str]) -> Task:
    wanted = torch.tensor([names.index(name) for name in chosen])
    parts = []
    for part in ("train", "test"):
        places = torch.isin(known[part].y, wanted).nonzero().flatten()
        parts.append(Labelled(known[part].x[places], known[part].y[places]))
    return Task(*parts)
