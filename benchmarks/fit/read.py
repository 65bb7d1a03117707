"""Fit the heads that read statements, and write src/mnemos/reason/read/heads.npz.

    python benchmarks/fit/read.py [--hand read.jsonl ...] [--none texts.txt ...] [--check read.jsonl] [--out heads.npz]

Trained on statements.txt and statements_none.txt beside this file, on the statements of other hands, and on texts
that are taken to state nothing. `--check` leaves a hand out and prints how it is read. Needs PyTorch; half an hour on
two cores. What is fitted is small: a projection of the token states, two narrow convolutions, linear readers.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from read_data import HERE, Example, Value, hand, marked, varied
from torch import Tensor, nn

from mnemos.bench.text.read_scores import Read, same_value, score
from mnemos.embed.base import Tokens
from mnemos.embed.minilm import MiniLM
from mnemos.facts import Reading
from mnemos.reason.read.attributes import Attributes, descriptions
from mnemos.reason.read.heads import FILE, REACH, TENSES, Heads
from mnemos.reason.read.reading import about, read_words, subject
from mnemos.reason.read.words import CUES, Words, words_of

WIDTH, KIND = 32, 24  # of the heads, and of the space in which spans and descriptions meet
BATCH, EPOCHS, RATE, DECAY = 32, 10, 4e-3, 0.02
DROP_STATES, DROP = 0.2, 0.4
KIND_EPOCHS = 30
FOLDS = 3  # for the confidence: each text is read by heads that have not seen it


Near = dict[str, NDArray[np.float32]]  # `kind` and `kinds`


class Row:
    """A text in numbers: its words, its tags, and what is to be said of each value."""

    def __init__(self, example: Example, words: Words) -> None:
        self.example, self.words = example, words
        self.values = [_inside(words, v.start, v.end) for v in example.values]
        self.tags = np.zeros((len(words.spans), 2), dtype=np.int64)
        for value, places in zip(example.values, self.values, strict=True):
            owners = _inside(words, *value.whose) if value.whose else []
            for column, spots in ((1, owners), (0, places)):
                for i, spot in enumerate(spots):
                    self.tags[spot, column] = 1 if i == 0 else 2


def _inside(words: Words, start: int, end: int) -> list[int]:
    return [i for i, (a, b) in enumerate(words.spans) if b > start and a < end]


def rows(examples: Sequence[Example], embedder: MiniLM) -> list[Row]:
    """Return the examples that have words, in numbers."""
    found: dict[int, Tokens] = {}

    def take(i: int, tokens: Tokens) -> None:
        found.setdefault(i, Tokens(tokens.spans, tokens.states.copy()))

    embedder.embed_tokens([e.text for e in examples], take)
    made = [(e, words_of(e.text, found[i])) for i, e in enumerate(examples) if i in found]
    return [Row(example, words) for example, words in made if words is not None]


class Net(nn.Module):
    """The heads as PyTorch trains them; see `mnemos.reason.read.heads`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        span = 2 * REACH + 1
        self.project = nn.Linear(width, WIDTH)
        self.first = nn.Linear(span * (WIDTH + CUES), WIDTH)
        self.second = nn.Linear(span * WIDTH, WIDTH)
        self.tags = nn.Linear(2 * WIDTH, 6)
        self.states = nn.Linear(2 * WIDTH, 1)
        self.span = nn.Linear(2 * WIDTH, 5)

    def hidden(self, states: Tensor, cues: Tensor, mask: Tensor) -> Tensor:
        """Return (B, W, 2 * WIDTH)."""
        own = torch.tanh(self.project(F.dropout(states, DROP_STATES, self.training))) * mask
        near = torch.relu(self.first(_around(torch.cat([own, cues * mask], -1)))) * mask
        far = torch.relu(self.second(_around(F.dropout(near, DROP, self.training)))) * mask
        return F.dropout(torch.cat([own, far], -1), DROP, self.training)

    def loss(self, batch: Sequence[Row]) -> Tensor:
        """Return the sum of what the readers get wrong."""
        states, cues, tags, mask = _padded(batch)
        hidden = self.hidden(states, cues, mask)
        logits = self.tags(hidden)
        loss = F.cross_entropy(logits[..., :3].flatten(0, 1), tags[..., 0].flatten(), ignore_index=-1)
        loss = loss + 0.5 * F.cross_entropy(logits[..., 3:].flatten(0, 1), tags[..., 1].flatten(), ignore_index=-1)
        stating = (self.states(hidden) + (mask - 1) * 1e4).squeeze(-1).logsumexp(1)
        loss = loss + 0.3 * F.binary_cross_entropy_with_logits(
            stating, torch.tensor([float(bool(r.values)) for r in batch])
        )
        of_span, targets = [], []
        for i, row in enumerate(batch):
            for value, places in zip(row.example.values, row.values, strict=True):
                if places:
                    of_span.append(self.span(hidden[i, places].mean(0)))
                    targets.append((value.whose is not None, TENSES.index(value.tense), value.negated))
        if of_span:
            out, wanted = torch.stack(of_span), torch.tensor(targets, dtype=torch.float32)
            loss = loss + 0.3 * F.binary_cross_entropy_with_logits(out[:, 0], wanted[:, 0])
            loss = loss + 0.2 * F.cross_entropy(out[:, 1:4], wanted[:, 1].long())
            loss = loss + 0.2 * F.binary_cross_entropy_with_logits(out[:, 4], wanted[:, 2])
        return loss

    def weights(self, sure: Sequence[float]) -> dict[str, NDArray[np.float32]]:
        """Return the weights by the names that `Heads` has."""
        found = {"sure": np.array(sure, dtype=np.float32)}
        for name in ("project", "first", "second", "tags", "states", "span"):
            layer: nn.Linear = getattr(self, name)
            found[name] = np.concatenate([layer.weight.detach().numpy().T, layer.bias.detach().numpy()[None]])
        return found


def _around(x: Tensor) -> Tensor:
    padded = F.pad(x, (0, 0, REACH, REACH))
    return torch.cat([padded[:, i : i + x.shape[1]] for i in range(2 * REACH + 1)], -1)


def _padded(batch: Sequence[Row]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    longest = max(len(r.words.spans) for r in batch)
    states = torch.zeros(len(batch), longest, batch[0].words.states.shape[1])
    cues, mask = torch.zeros(len(batch), longest, CUES), torch.zeros(len(batch), longest, 1)
    tags = torch.full((len(batch), longest, 2), -1)
    for i, row in enumerate(batch):
        n = len(row.words.spans)
        states[i, :n], cues[i, :n] = torch.tensor(row.words.states), torch.tensor(row.words.cues)
        tags[i, :n], mask[i, :n] = torch.tensor(row.tags), 1
    return states, cues, tags, mask


def fit_kinds(data: Sequence[Row], descriptions_: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Return `kind` and `kinds`: spans and descriptions on their way to each other, fitted to the marked attributes."""
    torch.manual_seed(0)
    names = list(descriptions())
    pairs = [
        (about(row.words, places[0], places[-1] + 1), names.index(value.attribute))
        for row in data
        for value, places in zip(row.example.values, row.values, strict=True)
        if places and value.attribute in names
    ]
    spans, wanted = torch.tensor(np.stack([a for a, _ in pairs])), torch.tensor([n for _, n in pairs])
    kind = nn.Parameter(torch.randn(spans.shape[1], KIND) * 0.05)
    kinds = nn.Parameter(torch.randn(descriptions_.shape[1], KIND) * 0.05)
    optimiser = torch.optim.AdamW([kind, kinds], lr=5e-3, weight_decay=1e-3)
    for _ in range(KIND_EPOCHS):
        for part in torch.randperm(len(pairs)).split(64):
            near = F.normalize(F.dropout(spans[part], 0.3) @ kind, dim=-1)
            far = F.normalize(torch.tensor(descriptions_) @ kinds, dim=-1)
            loss = F.cross_entropy(10 * near @ far.T, wanted[part])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return {"kind": kind.detach().numpy(), "kinds": kinds.detach().numpy()}


def fit(data: Sequence[Row], seed: int) -> Net:
    """Return a net fitted to the rows."""
    torch.manual_seed(seed)
    net = Net(data[0].words.states.shape[1])
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    steps = EPOCHS * -(-len(data) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    order, rng = list(data), random.Random(seed)
    for _ in range(EPOCHS):
        rng.shuffle(order)
        for i in range(0, len(order), BATCH):
            loss = net.loss(order[i : i + BATCH])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return net.eval()


def scored(net: Net, data: Sequence[Row], near: Near, kinds: NDArray[np.float32]) -> list[list[Reading]]:
    """Return what a net reads in each text, by the code that ships."""
    model = heads_of(net.weights((1, 0)) | near)
    attributes = Attributes.of(list(descriptions()), kinds, model)
    return [read_words(row.example.text, row.words, attributes, model, least=0.0) for row in data]


def heads_of(weights: dict[str, NDArray[np.float32]]) -> Heads:
    """Return heads with these weights, rounded as they are stored."""
    return Heads(**{name: array.astype(np.float16).astype(np.float32) for name, array in weights.items()})


def confidence(data: Sequence[Row], found: Sequence[Sequence[Reading]]) -> list[float]:
    """Return slope and intercept of the logistic function from the score of a reading to the share that is right."""
    scores, right = [], []
    for row, readings in zip(data, found, strict=True):
        for r in readings:
            scores.append(min(max(r.confidence, 1e-6), 1 - 1e-6))
            right.append(any(_agrees(row.example.text, v, r) for v in row.example.values))
    x = torch.tensor(np.log(np.array(scores) / (1 - np.array(scores))), dtype=torch.float32)
    y, sure = torch.tensor(right, dtype=torch.float32), torch.tensor([1.0, 0.0], requires_grad=True)
    optimiser = torch.optim.LBFGS([sure], max_iter=100)

    def step() -> Tensor:
        optimiser.zero_grad()
        loss = F.binary_cross_entropy_with_logits(sure[0] * x + sure[1], y)
        loss.backward()
        return loss

    optimiser.step(step)
    return [float(v) for v in sure.detach()]


def _agrees(text: str, value: Value, reading: Reading) -> bool:
    """Tell whether a reading is a value that is marked: of the same person, with half of the words."""
    if (value.whose is None) != (reading.whose is None):
        return False
    return same_value(text[value.start : value.end], text[reading.start : reading.end])


def main() -> None:
    """Fit, check a hand that was left out, and write the heads."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hand", type=Path, nargs="*", default=[], help="JSON lines with text and facts")
    parser.add_argument("--none", type=Path, nargs="*", default=[], help="texts that state nothing, one a line")
    parser.add_argument("--check", type=Path, help="a hand that is left out; nothing is written")
    parser.add_argument("--out", type=Path, default=FILE)
    options = parser.parse_args()
    embedder, names = MiniLM(), descriptions()
    kinds = embedder.embed(list(names.values()))
    examples = [*marked(HERE / "statements.txt"), *marked(HERE / "statements_none.txt")]
    for path in options.hand:
        examples += hand(path)
    for path in options.none:
        examples += [Example(line, ()) for line in path.read_text(encoding="utf-8").splitlines() if line]
    plain = rows(examples, embedder)
    rng = random.Random(0)
    parts = [[*plain[i::FOLDS]] for i in range(FOLDS)]
    more = [rows(list(varied([r.example for r in part], rng)), embedder) for part in parts]
    near = fit_kinds(plain, kinds)
    if options.check:
        report(options.check, fit([*plain, *(r for part in more for r in part)], 0), near, kinds, embedder)
        return
    readings, seen = [], []
    for i in range(FOLDS):
        rest = [r for j in range(FOLDS) if j != i for r in (*parts[j], *more[j])]
        readings += scored(fit(rest, i), parts[i], near, kinds)
        seen += parts[i]
    sure = confidence(seen, readings)
    net = fit([*plain, *(r for part in more for r in part)], FOLDS)
    stored: dict[str, Any] = {name: array.astype(np.float16) for name, array in (net.weights(sure) | near).items()}
    np.savez_compressed(options.out, **stored, descriptions=kinds.astype(np.float16))
    print(f"{options.out}: {options.out.stat().st_size / 1e3:.0f} kB, confidence {sure}")


def report(path: Path, net: Net, near: Near, kinds: NDArray[np.float32], embedder: MiniLM) -> None:
    """Print how a hand is read at several bars."""
    items = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    data = rows(hand(path), embedder)
    found = scored(net, data, near, kinds)
    by_text = {row.example.text: readings for row, readings in zip(data, found, strict=True)}
    reads = [
        [
            Read(
                subject(r.whose, (i.get("speaker") or "user").lower()),
                r.attribute,
                i["text"][r.start : r.end],
                r.confidence,
            )
            for r in by_text.get(i["text"], ())
        ]
        for i in items
    ]
    bars = sorted({round(r.confidence, 2) for every in reads for r in every})
    for most in (0.0, 0.03, 0.05, 0.1, 1.0):
        scores = [(score(items, reads, bar), bar) for bar in bars]
        best, bar = max(((s, b) for s, b in scores if s.falsely <= most), key=lambda sb: sb[0].read)
        print(f"falsely <= {most}: bar {bar:.2f} {best}")


if __name__ == "__main__":
    main()
