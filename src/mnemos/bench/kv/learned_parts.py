"""The parts of `mnemos bench kv-learned`; see `learned`."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from mnemos.activation import CacheMethod, MemoryCache, attached, read
from mnemos.activation.base import Score
from mnemos.activation.consolidate.moviechat import MovieChat
from mnemos.activation.forget.keydiff import KeyDiff
from mnemos.activation.forget.pyramid import Pyramid
from mnemos.activation.forget.scalekv import ScaleKV, scaled
from mnemos.activation.forget.snapkv import SnapKV
from mnemos.activation.forget.window_task import INSTRUCTIONS, TaskClassifier, WindowTask
from mnemos.activation.pretrained import load_decoder, load_tokenizer
from mnemos.activation.recall.memory3 import AttentionReceived, Library
from mnemos.activation.recall.reweave import Reweave
from mnemos.bench.kv import joined_texts, tasks
from mnemos.bench.kv.tasks import Task
from mnemos.bench.kv.tiny_models import train_tiny_model

Rows = dict[str, dict[str, float]]
TEST = 91_000  # seed of what is asked: nothing was chosen on it
STEPS, ROWS = 120, 16  # of a training, and of each task in a step


# -- streams


def streams(seed: int, count: int = 20) -> Rows:
    """Return the scenes found in memories of a ninth of a stream's items."""
    generator = torch.Generator().manual_seed(TEST + seed)
    found: dict[str, list[tuple[bool, bool]]] = {}
    for _ in range(count):
        centres, scene = scenes(generator)
        items = centres[scene] + 0.5 * torch.randn(len(scene), centres.shape[1], generator=generator) / 8
        memory = MovieChat(limit=None)
        memory.read(items)
        held = memory.memory(now=False)
        budget = len(held)
        every = torch.linspace(0, len(items) - 1, budget).round().long()
        sample = torch.randperm(len(items), generator=generator)[:budget]
        memories = {
            "moviechat": held, "last items": items[-budget:], "every n-th": items[every], "random sample": items[sample],
        }  # fmt: skip
        asked = centres + 0.5 * torch.randn(centres.shape, generator=generator) / 8
        short = torch.bincount(scene) <= 3
        for name, kept in memories.items():
            nearest = kept[(normalize(asked, dim=1) @ normalize(kept, dim=1).T).argmax(1)]
            shown = torch.cdist(nearest, centres).argmin(1)
            found.setdefault(name, []).extend(
                zip((shown == torch.arange(len(centres))).tolist(), short.tolist(), strict=True)
            )
    return {
        name: {
            "found": round(fmean(right for right, _ in rows), 4),
            "found_of_short_scenes": round(fmean(right for right, short in rows if short), 4),
        }
        for name, rows in found.items()
    }  # fmt: skip


def scenes(generator: torch.Generator, count: int = 40, width: int = 64) -> tuple[Tensor, Tensor]:
    """Return what scenes show (count, width), of length 1, and the scene of each item of a stream."""
    lengths = [
        int(n) for n in (2 ** (6 * torch.rand(count, generator=generator))).round()
    ]  # 1 to 64, most of them short
    centres = normalize(torch.randn(count, width, generator=generator), dim=1)
    return centres, torch.arange(count).repeat_interleave(torch.tensor(lengths))


# -- states woven back


def rewoven(seed: int) -> Rows:
    """Return the pairs answered that were read two segments ago."""
    small = train_tiny_model("recall", seed).model
    layers = small.config.num_hidden_layers
    task = tasks.key_value(60, 96, 6, seed=TEST + seed)
    rows = {"model alone": {"answered": far(Reweave(small, (0,)), task, recall=False)}}
    for name, kept in (("states of the last layer", (-1,)), ("states of all layers", tuple(range(layers)))):
        torch.manual_seed(seed)
        memory = Reweave(small, kept)
        optimiser, rng = torch.optim.AdamW(memory.parameters(), 3e-3), tasks.generator(seed + 7)
        for _ in range(2 * STEPS):
            loss = cross_entropy(*far_logits(memory, tasks.key_value(ROWS, 96, 6, rng), recall=True))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        rows[name] = {"answered": far(memory, task, recall=True)}
    return rows


def far_logits(memory: Reweave, task: Task, recall: bool) -> tuple[Tensor, Tensor]:
    """Return the logits of the answers and the answers, after the context was read in segments of 32."""
    memory.clear()
    with torch.no_grad():
        for segment in task.context.split(32, 1):
            memory(segment, recall=False)
    ids, marks = task.turns()
    logits = memory(ids, recall=recall)[:, :-1]
    return logits[marks[:, 1:]], ids[:, 1:][marks[:, 1:]]


@torch.no_grad()  # type: ignore[untyped-decorator]
def far(memory: Reweave, task: Task, recall: bool) -> float:
    """Return the share of answers that are the first choice."""
    logits, wanted = far_logits(memory, task, recall)
    return round(float((logits.argmax(-1) == wanted).float().mean()), 4)


# -- a real model


def real(name: str) -> tuple[Any, Callable[[str], list[int]]]:
    """Return a model and what makes tokens of texts."""
    tokenizer = load_tokenizer(name)
    return load_decoder(name), lambda text: list(tokenizer(text, add_special_tokens=False)["input_ids"])


@torch.no_grad()  # type: ignore[untyped-decorator]
def explicit(name: str, book: Path, seed: int, count: int = 10) -> Rows:
    """Return the facts answered from five references, as texts and as memories, and the share of K/V kept."""
    model, ids = real(name)
    context = joined_texts.facts(joined_texts.prose(book), random.Random(TEST + seed), count)
    bos = model.config.bos_token_id
    texts = [torch.tensor([bos, *ids(text)]) for text in context.texts]
    asked = [(torch.tensor(ids("\n" + ask)), ids(answer)[0]) for ask, answer in context.asked]
    layers = range(model.config.num_hidden_layers)
    half, received = list(layers[: len(layers) // 2]), AttentionReceived()
    shapes: dict[str, tuple[list[int], int, Score, bool]] = {
        "8 of each head, first half of the layers": (half, 8, received, False),
        "8 of each head": (list(layers), 8, received, False),
        "8 of each head, by keydiff": (list(layers), 8, KeyDiff(), False),
        "8 of each head, quantised": (list(layers), 8, received, True),
        "all tokens": (list(layers), 128, received, False),
        "all tokens, quantised": (list(layers), 128, received, True),
    }
    near = [[i, *((i + j) % count for j in (1, 3, 4, 7))] for i in range(count)]  # the right one and four others
    rows: Rows = {"nothing": {"answered": 0.0, "kept": 0.0}, "texts pasted": {"answered": 0.0, "kept": 1.0}}
    for number, (question, answer) in enumerate(asked):
        pasted = torch.cat([texts[i] for i in reversed(near[number])])
        for way, front in (("nothing", torch.tensor([bos])), ("texts pasted", pasted)):
            said = model(torch.cat((front, question))[None], logits_to_keep=1).logits[0, -1].argmax()
            rows[way]["answered"] += float(said == answer) / count
    for way, (of, tokens, score, quantised) in shapes.items():
        library = Library(model, tokens=tokens, longest=128, layers=of, score=score)
        for text in texts:
            library.add(text)
        full = sum(2 * 4 * len(text) * model.config.num_key_value_heads * model.config.head_dim for text in texts)
        if quantised:
            library.quantise()
        kept = sum(e.nbytes for m in library.memories for e in m.values()) / (full * len(layers))
        right = 0.0
        for number, (question, answer) in enumerate(asked):
            cache = library.cache()
            library.put([list(reversed(near[number]))], cache)
            with attached(model):
                asking = torch.cat((torch.tensor([bos]), question))[None]
                right += float(model(asking, past_key_values=cache, logits_to_keep=1).logits[0, -1].argmax() == answer)
        rows[way] = {"answered": right / count, "kept": kept}
    return {way: {key: round(value, 4) for key, value in row.items()} for way, row in rows.items()}


NEW: dict[WindowTask, tuple[str, ...]] = {
    "localise": (
        "What is the capital of the region described?", "Who gave the keys to Tom?", "When was the bridge built?",
        "Which file contains the error?", "Where did they park?", "What is the phone number of the clinic?",
        "Find the sentence about the red bicycle.", "What is the password of Viktor?", "Whose birthday is in June?",
        "Which line sets the timeout?", "At what time does the train leave?", "What did Maria buy on Tuesday?",
    ),
    "aggregate": (
        "Summarize this chapter.", "How many times is rain mentioned?", "What is this text about as a whole?",
        "Give a brief summary of the hearing.", "Which words occur most often?", "List all the topics of the talk.",
        "Count how many reviews are positive.", "Write a summary of these emails.", "What are the main points?",
        "Describe the general tone of the letters.", "Summarize what the team decided this week.",
        "Give an overview of the changes.",
    ),
}  # fmt: skip


def instructions(name: str) -> Rows:
    """Return the share of new instructions that the classifier tells right, and by the more frequent answer."""
    model, ids = real(name)
    classify = TaskClassifier.fit(
        model, {task: [torch.tensor(ids(text)) for text in texts] for task, texts in INSTRUCTIONS.items()}
    )
    told = [classify(torch.tensor(ids(text))) == task for task, texts in NEW.items() for text in texts]
    return {"classifier": {"right": round(fmean(told), 4)}, "always the same": {"right": 0.5}}


@torch.no_grad()  # type: ignore[untyped-decorator]
def roles(name: str, book: Path, seed: int, count: int = 3, length: int = 320, after: int = 64) -> Rows:
    """Return the loss of the text that follows an eighth of a prompt, by how its budget is shared among layers."""
    model, ids = real(name)
    sentences, rng = joined_texts.prose(book), random.Random(TEST + seed)

    def text(size: int) -> Tensor:
        at = rng.randrange(len(sentences) - 100)
        return torch.tensor([model.config.bos_token_id, *ids(" ".join(sentences[at : at + 60]))][:size])

    scale = ScaleKV.of(model, [text(length) for _ in range(2)])
    layers = list(range(model.config.num_hidden_layers))
    shuffled = ScaleKV(tuple(sorted(rng.sample(layers, len(scale.drafters)))))
    share = 0.125
    ways = {
        "full cache": CacheMethod(),
        "evenly": CacheMethod(SnapKV(window=32, kernel=5), prompt=share),
        "pyramid": CacheMethod(SnapKV(window=32, kernel=5), prompt=share, allocation=Pyramid()),
        "by measured spread": scaled(share, scale),
        "roles shuffled": scaled(share, shuffled),
    }
    losses: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(count):
        whole = text(length + after)
        prompt, rest = whole[None, :length], whole[None, length:]
        for way, method in ways.items():
            cache = MemoryCache(model, method)
            last = read(model, prompt, cache, logits_to_keep=1)
            with attached(model):
                logits = model(rest, past_key_values=cache).logits
            logits = torch.cat((last[:, None], logits[:, :-1]), 1)
            losses[way].append(float(cross_entropy(logits[0], rest[0])))
    return {way: {"loss": round(fmean(found), 4)} for way, found in losses.items()}
