"""The loop by which weights beside a model are trained, drawn once: what is to be known, and silence elsewhere.

Every step learns a few examples: their answers, and what the model itself expects of these answers where it may read
the context (context distillation, arXiv 2209.15189). In the same step the model with the memory is held to what it says
without it on probes (`probes`) and on texts of one's own: what learning without forgetting (arXiv 1606.09282) does with
the data of a new task, here with sequences that are not stored. Training stops when every token of every answer has
p > .5, which suffices for it to be said by a greedy model (arXiv 2605.30260); examples that are not there yet are drawn
first.

What the model says "without it" is what it says with all that is attached around the call: inside
`with earlier.attach(model):` a memory is trained to be silent on what `earlier` knows. The model is left as it was, and
its weights are never trained.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mnemos.errors import InvalidInput, ModelError
from mnemos.parametric.base import Example, Learned
from mnemos.parametric.lower import Lower
from mnemos.parametric.objectives import Expected, answer_loss, divergence, probabilities
from mnemos.parametric.probes import Maker, Probe, Probes, batch_of
from mnemos.parametric.tokens import Row, pad_of, padded, row_of

Progress = Callable[[int, float], None]  # step, and the probability of the least sure token of all answers
SHORT = 4  # tokens of a short probe
ANSWERS = 512  # different tokens of answers that are stored of every probe, at most
LOGITS = 1 << 22  # of all tokens of the rows that are in memory at once, where nothing else is said
WARM_UP, CHECK = 10, 10  # steps; how often it is looked whether all is learned


@dataclass(frozen=True, slots=True)
class Objective:
    """What is trained for; a weight of 0 leaves a part out."""

    answers: float = 1.0  # weight of the answers themselves
    distil: float = 1.0  # weight of what the model expects where it reads the context
    silent: float = 2.0  # weight of silence on the probes
    amid: float = 0.1  # share of examples that are asked after some other text, as in a conversation
    top: int = 20  # likeliest tokens that are stored of what the model expects
    probes: Probes = field(default_factory=Probes)


@dataclass(frozen=True, slots=True)
class Training:
    """How long, how fast, and what for."""

    steps: int = 300  # at most
    rate: float = 5e-3  # Adam's
    batch: int = 16  # examples of a step
    probed: int = 32  # probes of a step
    brief: int = 0  # short probes of a step besides: cheap, and needed where many memories are to be attached at once
    sure: float = 0.5  # training stops when every token of the answers has more than this; 1: never before `steps`
    quiet: float = 0.02  # ... and when KL on the probes is below this, in nats a token
    at_once: int | None = (
        None  # rows that are in memory at once, their gradients added; None: few of a large model on a CPU
    )
    above: int = 0  # layers that are computed once for each row, as the memory acts above them alone
    half: bool = False  # compute in bfloat16, the weights of the memory staying in float32: cheaper where there is AMX
    seed: int = 0
    objective: Objective = field(default_factory=Objective)

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "probed", "at_once"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InvalidInput(f"{name} is {value}: give at least 1.")
        if not self.rate > 0:
            raise InvalidInput(f"rate is {self.rate}: give a positive number, such as 0.005.")
        if self.objective.answers == 0 and self.objective.distil == 0:
            raise InvalidInput("answers and distil both weigh 0: nothing would be learned.")


@dataclass(frozen=True, slots=True)
class Report:
    """What a training took and reached."""

    steps: int
    seconds: float
    loss: float  # of the last step
    least: float  # probability of the least sure token of all answers
    silence: float  # mean KL on the last probes, in nats a token
    learned: bool  # whether it stopped because every answer token has p > sure
    examples: int


def train(
    model: Any, tokenizer: Any, learned: Learned, examples: Sequence[Example], training: Training | None = None,
    progress: Progress | None = None, texts: Sequence[str] = (),
) -> Report:  # fmt: skip
    """Train weights until the model knows the examples by heart; `texts` are general ones on which it stays as it was.

    The same seed makes the same weights on the same machine. Raises InvalidInput where there are no examples or nothing
    to train, and ModelError where the loss is not a number; the weights are then of no use.
    """
    knobs = training or Training()
    weights = [p for p in learned.parameters() if p.requires_grad]
    if not examples or not weights:
        raise InvalidInput(
            "there are no examples to learn." if not examples else "the memory has nothing to be trained."
        )
    started = time.monotonic()
    # what autocast keeps of weights would not follow their training
    with frozen(model), torch.autocast(model.device.type, torch.bfloat16, enabled=knobs.half, cache_enabled=False):
        run = _Run(model, tokenizer, learned, list(examples), knobs, texts)
        optimiser = torch.optim.Adam(weights, lr=knobs.rate, betas=(0.9, 0.98))
        loss, done, step = math.nan, False, 0
        for step in range(1, knobs.steps + 1):
            optimiser.param_groups[0]["lr"] = knobs.rate * min(1.0, step / WARM_UP)
            loss = run.step()
            if not math.isfinite(loss):
                raise ModelError(
                    f"the loss of step {step} is {loss}: lower the rate ({knobs.rate}) or train in float32, and begin again."
                )
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            if progress is not None:
                progress(step, min(run.least))
            if step % CHECK == 0 and run.is_learned():
                done = True
                break
        least = run.look()
    return Report(step, time.monotonic() - started, loss, least, run.silence, done, len(examples))


@contextmanager
def frozen(model: Any) -> Iterator[None]:
    """Let nothing of a model be trained, and no dropout act; afterwards all is as before."""
    flags, mode = [(p, p.requires_grad) for p in model.parameters()], model.training
    try:
        model.eval()
        for parameter, _ in flags:
            parameter.requires_grad_(False)
        yield
    finally:
        model.train(mode)
        for parameter, flag in flags:
            parameter.requires_grad_(flag)


class _Run:
    """One training: its rows, what was expected of them so far, and what is still unsure."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        learned: Learned,
        examples: list[Example],
        knobs: Training,
        texts: Sequence[str],
    ) -> None:
        self.model, self.tokenizer, self.learned, self.knobs = model, tokenizer, learned, knobs
        self.lower = Lower(model, knobs.above).checked(learned)
        self.rng = random.Random(knobs.seed)
        self.rows = [row_of(tokenizer, e.prompt, e.answer) for e in examples]
        self.read = [row_of(tokenizer, e.context + e.prompt, e.answer) if e.context else None for e in examples]
        self.said = sorted({token for row in self.rows for token in row.ids[-row.answer :]})[:ANSWERS]
        self.least = [0.0] * len(examples)
        self.silence = 0.0
        aim = knobs.objective
        maker = Maker(model, tokenizer, examples, self.rng)
        self.probes: list[Probe] = maker.make(aim.probes, texts) if aim.silent else []
        self.short = [i for i, p in enumerate(self.probes) if len(p.row.ids) <= SHORT]
        whole = [p.row for p in self.probes if all(p.counted) and p.row.answer == len(p.row.ids) - 1]
        self.others = [
            row.ids[1:] for row in whole if row.answer > 1
        ]  # asks for nothing learned: examples are asked after it
        self._expected: dict[tuple[str, int], Expected] = {}
        self._right: dict[int, Tensor] = {}  # where the model that reads would say the answer's token

    def step(self) -> float:
        """Add the gradients of a step's loss to those of the weights; return the loss."""
        aim = self.knobs.objective
        chosen = self._draw()
        rows = [self._amid(self.rows[i]) for i in chosen]
        probed = self.rng.sample(range(len(self.probes)), min(self.knobs.probed, len(self.probes)))
        brief = self.rng.sample(self.short, min(self.knobs.brief, len(self.short))) if self.knobs.brief else []
        readers = [i for i in chosen if self.read[i] is not None] if aim.distil else []
        self._expect("read", {i: self.read[i] for i in readers})
        self._expect("probe", {i: self.probes[i].row for i in probed})
        self._expect("probe", {i: self.probes[i].row for i in brief})
        with self.learned.attach(self.model):
            total = self._answers(chosen, rows, set(readers))
            if probed:
                self.silence = self._noise(probed)
                total += aim.silent * self.silence
            if brief:
                total += aim.silent * self._noise(brief)
        return total

    def _answers(self, chosen: list[int], rows: list[Row], readers: set[int]) -> float:
        """Add the gradients of the answers' loss, and of what a reader would say; return both together."""
        aim, total = self.knobs.objective, 0.0
        tokens = sum(row.answer for row in rows)
        right = max(1, sum(int(self._right[i].sum()) for i in readers))
        for at in self._slices(rows):
            part = chosen[at]
            batch = padded(rows[at], pad_of(self.tokenizer))
            logits = self.lower.logits(batch)
            loss = aim.answers * answer_loss(logits, batch.targets, batch.counted) * batch.counted.sum() / tokens
            if reads := [i for i in part if i in readers]:
                said = torch.cat([logits[part.index(i)][-self.rows[i].answer :] for i in reads])
                apart = divergence(self._stored("read", reads), said)
                loss = loss + aim.distil * (apart * torch.cat([self._right[i] for i in reads])).sum() / right
            loss.backward()
            total += float(loss.detach())
            found = probabilities(logits.detach(), batch.targets, batch.counted).tolist()
            for i, p in zip(part, found, strict=True):
                self.least[i] = p
        return total

    def _slices(self, rows: Sequence[Row]) -> Iterator[slice]:
        """Yield the rows that are in memory at once."""
        count = self.knobs.at_once
        if count is None:  # on a processor few rows take no more time than many
            longest = max((len(row.ids) for row in rows), default=1)
            few = max(1, LOGITS // (longest * self.model.config.vocab_size))
            count = few if self.model.device.type == "cpu" else max(1, len(rows))
        for at in range(0, len(rows), count):
            yield slice(at, at + count)

    def is_learned(self) -> bool:
        """Tell whether every token of every answer is sure, and the probes are quiet."""
        sure, quiet = self.knobs.sure, self.silence <= self.knobs.quiet
        return quiet and sure < 1 and min(self.least) > sure and self.look() > sure

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def look(self) -> float:
        """Ask for all answers; return the probability of the least sure token."""
        size = 4 * self.knobs.batch
        with self.learned.attach(self.model):
            for at in range(0, len(self.rows), size):
                batch = padded(self.rows[at : at + size], pad_of(self.tokenizer))
                found = probabilities(self.lower.logits(batch), batch.targets, batch.counted)
                self.least[at : at + size] = found.tolist()
        return min(self.least)

    def _draw(self) -> list[int]:
        """Draw the examples of a step: the unsure ones first, of twice as many those that are about as long as each other."""
        order = self.rng.sample(range(len(self.rows)), len(self.rows))
        order.sort(key=lambda i: self.least[i] > self.knobs.sure)
        size = self.knobs.batch
        pool = sorted(order[: 2 * size], key=lambda i: len(self.rows[i].ids))
        if len(pool) <= size or len(self.rows[pool[0]].ids) == len(self.rows[pool[-1]].ids):
            return order[:size]
        at = self.rng.randrange(len(pool) - size + 1)
        return pool[at : at + size]

    def _amid(self, row: Row) -> Row:
        """Return a row as it is, or after the tokens of a probe."""
        if not self.others or self.rng.random() >= self.knobs.objective.amid:
            return row
        first, rest = row.ids[:1], row.ids[1:]
        return Row((*first, *self.rng.choice(self.others), *rest), row.answer)

    def _noise(self, probed: list[int]) -> float:
        """Add the gradients of how far the probes are from what they were; return that, in nats a token counted."""
        total, tokens = 0.0, sum(sum(self.probes[i].counted) for i in probed)
        for at in self._slices([self.probes[i].row for i in probed]):
            part = probed[at]
            batch = batch_of([self.probes[i] for i in part], self.tokenizer)
            logits = self.lower.logits(batch)
            said = torch.cat([of[-self.probes[i].row.answer :] for of, i in zip(logits, part, strict=True)])
            counts = torch.tensor([c for i in part for c in self.probes[i].counted], device=said.device)
            apart = divergence(self._stored("probe", part), said)[counts].sum() / tokens
            (self.knobs.objective.silent * apart).backward()
            total += float(apart.detach())
        return total

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _expect(self, kind: str, rows: dict[int, Row | None]) -> None:
        """Store what the model expects of rows without the memory, where it is not stored yet."""
        new = [(i, row) for i, row in rows.items() if row is not None and (kind, i) not in self._expected]
        always = self.said if kind == "probe" else ()
        for some in self._slices([row for _, row in new]):
            logits = self.lower.logits(padded([row for _, row in new[some]], pad_of(self.tokenizer)))
            for at, (i, row) in enumerate(new[some]):
                if kind == "read":
                    said = logits[at][-row.answer :].argmax(-1)
                    self._right[i] = said == torch.tensor(row.ids[-row.answer :], device=said.device)
                self._expected[kind, i] = Expected.of(logits[at][-row.answer :], self.knobs.objective.top, always)

    def _stored(self, kind: str, which: Sequence[int]) -> Expected:
        """Return what is stored of rows, one after another."""
        found = [self._expected[kind, i] for i in which]
        return Expected(torch.cat([e.tokens for e in found]), torch.cat([e.logs for e in found]))
