"""A masked-diffusion model of about 0.14 M parameters, trained once, and the texts that it completes.

A text has two rows of tokens, filler, and an answer, which repeats one row or the other in groups of `GROUP`. Either
row is right for a group, but all tokens must come from the same one: two tokens chosen at once can contradict each
other, and a token is certain as soon as another of its group is known. Each group and row has its own tokens, which
show what a token belongs to.

Two steps of three read the prompt beside an answer that is all masked, and the answer apart. Otherwise a model of this
size passes the answer to its masks through the prompt, so that no prompt could be read once; in large models the
prompt attends to itself (arXiv 2505.15781, section 3.3).

Half of the texts of a step are masked at random, each at its own rate, the others as block-wise decoding leaves them:
nothing before a block, a share in it, all after it. Weights of the layers are trained by Muon (arXiv 2502.16982), the
rest by AdamW. The trained model is kept (`checkpoints`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from mnemos.activation.diffusion.model import MaskedLM, Shape
from mnemos.bench.kv import checkpoints
from mnemos.bench.kv.checkpoints import Trained
from mnemos.bench.kv.tasks import draw, generator
from mnemos.bench.kv.threads import one_thread
from mnemos.bench.kv.vocabulary import BOS, CONTENT, MARKER, SIZE
from mnemos.errors import MnemosError

REVISION = 1  # of the training data and the optimiser's settings: raise it when a change makes another model
ANSWER, GROUP, BLOCK = 16, 8, 8  # tokens of the answer, of a group, and of the blocks of the training
PROMPT = 3 * ANSWER + 2
CLASS = len(CONTENT) // (2 * ANSWER // GROUP)  # tokens of a group and row
WARM_UP = 50  # steps
KNOWN = 0.1  # highest final mean loss of tokens whose group is partly known: the model has learnt the rows


@dataclass(frozen=True)
class TinyMaskedLM:
    """A model and how it is trained; the last `falling` share of the steps lets the rates fall to 0."""

    shape: Shape = field(default_factory=lambda: Shape(SIZE))
    steps: int = 900
    falling: float = 0.5
    rows: int = 32  # texts of a step
    rate: float = 3e-3  # AdamW's
    muon: float = 0.02


def texts(count: int, seed: int | torch.Generator = 0) -> tuple[Tensor, Tensor]:
    """Return prompts (count, PROMPT), which hold both rows, and an answer of each that is right, (count, ANSWER)."""
    rng = generator(seed)
    group = torch.arange(ANSWER) // GROUP
    one, other = (
        CONTENT.start + (2 * group + row) * CLASS + draw((count, ANSWER), range(CLASS), rng) for row in (0, 1)
    )
    filler = draw((count, ANSWER), CONTENT, rng)
    pick = draw((count, ANSWER // GROUP), range(2), rng).repeat_interleave(GROUP, 1)
    begin, end = torch.full((count, 1), BOS), torch.full((count, 1), MARKER)
    return torch.cat([begin, one, other, filler, end], 1), torch.where(pick == 0, one, other)


def right(prompts: Tensor, answers: Tensor) -> Tensor:
    """Return which groups of answers (B, ANSWER) repeat one of the two rows whole, (B, ANSWER / GROUP) bool."""
    rows = (prompts[:, 1 : 1 + ANSWER], prompts[:, 1 + ANSWER : 1 + 2 * ANSWER])
    same = [(answers == row).unflatten(1, (-1, GROUP)).all(-1) for row in rows]
    return same[0] | same[1]


def masks(count: int, rng: torch.Generator) -> Tensor:
    """Return which tokens of answers are masked, (count, ANSWER) bool, at least one in each."""
    masked = torch.rand(count, ANSWER, generator=rng) < torch.rand(count, 1, generator=rng)
    starts = BLOCK * draw((count, 1), range(ANSWER // BLOCK), rng)
    slots = torch.arange(ANSWER)
    masked[::2] = ((slots >= starts + BLOCK) | ((slots >= starts) & masked))[::2]
    masked.scatter_(1, starts, masked.gather(1, starts) | ~masked.any(1, keepdim=True))
    return masked


def fit(model: MaskedLM, recipe: TinyMaskedLM, seed: int, progress: Callable[[int], None] | None = None) -> list[float]:
    """Train the model in place and return, by step, the loss of masked tokens whose group is partly known.

    Raises MnemosError where torch has no Muon.
    """
    if not hasattr(torch.optim, "Muon"):
        raise MnemosError(f"training a small model needs torch 2.9 or newer, not {torch.__version__}.")
    rng = generator(seed)
    named = [(name.startswith("layers.") and p.ndim == 2, p) for name, p in model.named_parameters()]
    muon = torch.optim.Muon([p for layer, p in named if layer], lr=recipe.muon, weight_decay=0.0)
    adam = torch.optim.AdamW(
        [p for layer, p in named if not layer], lr=recipe.rate, betas=(0.9, 0.98), weight_decay=0.01
    )
    losses: list[float] = []
    model.train()
    with one_thread():
        for step in range(recipe.steps):
            share = min(1.0, (step + 1) / WARM_UP, (recipe.steps - step) / (recipe.falling * recipe.steps))
            muon.param_groups[0]["lr"], adam.param_groups[0]["lr"] = recipe.muon * share, recipe.rate * share
            prompts, answers = texts(recipe.rows, rng)
            masked = masks(recipe.rows, rng)
            ids = torch.cat([prompts, answers.masked_fill(masked, model.mask)], 1)
            logits = apart(model, ids) if step % 3 else model(ids)[:, PROMPT:]
            loss = functional.cross_entropy(logits.transpose(1, 2), answers, reduction="none")
            loss[masked].mean().backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            muon.step()
            adam.step()
            model.zero_grad(set_to_none=True)
            partly = (~masked).unflatten(1, (-1, GROUP)).any(-1).repeat_interleave(GROUP, 1) & masked
            losses.append(loss.detach()[partly].mean().item())
            if progress:
                progress(1)
    return losses


@dataclass
class Prompt:
    """Keys and values of a prompt, (B, H, PROMPT, D) a layer, for an answer that is read later."""

    layers: dict[int, tuple[Tensor, Tensor]]

    def update(self, layer: int, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Record a whole text and return it, or return an answer after the prompt."""
        if layer not in self.layers:
            self.layers[layer] = key[:, :, :PROMPT], value[:, :, :PROMPT]
            return key, value
        before = self.layers[layer]
        return torch.cat([before[0], key], 2), torch.cat([before[1], value], 2)


def apart(model: MaskedLM, ids: Tensor) -> Tensor:
    """Return the logits of the answer (B, ANSWER, V) of ids (B, T), the prompt read beside a masked answer."""
    prompt = Prompt({})
    model(torch.cat([ids[:, :PROMPT], torch.full_like(ids[:, PROMPT:], model.mask)], 1), None, prompt)
    places = torch.arange(PROMPT, ids.shape[1]).expand(len(ids), -1)
    return model(ids[:, PROMPT:], places, prompt)


def train_masked_lm(
    recipe: TinyMaskedLM | None = None,
    seed: int = 0,
    *,
    cache: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Trained:
    """Return the model of this recipe and seed: read from the cache, else trained on one thread and kept there.

    `progress` is called with 1 after each step. A damaged folder is warned of, removed, and trained again. Raises
    MnemosError when the rows were not learnt.
    """
    recipe = recipe or TinyMaskedLM()
    path = folder(recipe, seed, cache)
    if (found := checkpoints.find(path, lambda _: MaskedLM(recipe.shape))) is not None:
        return found
    started, cpu = time.monotonic(), time.process_time()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MaskedLM(recipe.shape)
    losses = fit(model, recipe, seed, progress)
    last = sum(losses[-20:]) / len(losses[-20:])
    if not last < KNOWN:
        raise MnemosError(
            f"the model had not learned the rows after {recipe.steps} steps (loss {last:.2f}): try another seed."
        )
    record = {
        "seed": seed, "recipe": asdict(recipe), "parameters": sum(p.numel() for p in model.parameters()),
        "seconds": round(time.monotonic() - started, 1), "cpu_seconds": round(time.process_time() - cpu, 1),
        "loss": round(last, 5), "torch": str(torch.__version__),
    }  # fmt: skip
    checkpoints.save(model, record, path)
    return checkpoints.load(path, lambda _: MaskedLM(recipe.shape))


def folder(recipe: TinyMaskedLM, seed: int, cache: Path | None = None) -> Path:
    """Return the folder of the model of this recipe and seed, which may not exist yet."""
    return checkpoints.folder(f"masked-{seed}", [REVISION, SIZE, seed, asdict(recipe)], cache)
