"""A kernel classifier whose samples are drawn from a generative model when they are needed."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import NO_TASK, Batch, Learning, Step, Strategy, joined
from mnemos.parametric.consolidate.buffer import Buffer
from mnemos.parametric.consolidate.relation_distillation import contrast
from mnemos.registry import Paper, register

Kernel = Literal["linear", "rbf", "fourier"]
HIDDEN, FOURIER = 100, 512  # units of the autoencoder's layers; random features of the kernel "fourier"
ROOM = 2**31  # samples that may be stored: the bound is that of each class
SHARP, TEMPERATURE = 10.0, 0.1  # what scores are multiplied by before a softmax; of contrasted similarities


class Autoencoder(nn.Module):  # type: ignore[misc]
    """A conditional variational autoencoder: x (N, ...) of classes y (N,), and z (N, Z) with the prior N(0, I)."""

    def __init__(self, shape: torch.Size, classes: int, latent: int) -> None:
        super().__init__()
        self.shape, self.classes, self.latent = shape, classes, latent
        self.encode = nn.Sequential(
            nn.Linear(shape.numel() + classes, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * latent)
        )
        self.decode = nn.Sequential(
            nn.Linear(latent + classes, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(),
            nn.Linear(HIDDEN, shape.numel()),
        )  # fmt: skip

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """Return the means (N, ...) of x."""
        made: Tensor = self.decode(torch.cat([z, F.one_hot(y, self.classes).to(z)], 1))
        return made.view(-1, *self.shape)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def drawn(self, classes: Tensor, each: int, generator: torch.Generator) -> Batch:
        """Return samples of classes (C,), `each` of every one."""
        y = classes.repeat_interleave(each)
        x = self(torch.randn(len(y), self.latent, generator=generator), y)
        return Batch(x, y, torch.full_like(y, NO_TASK))

    def bound(self, x: Tensor, y: Tensor, noise: float, generator: torch.Generator) -> Tensor:
        """Return minus the mean evidence bound, up to a constant, a number of x; `noise` is the variance of x given z."""
        mean, logs = self.encode(torch.cat([x.flatten(1), F.one_hot(y, self.classes).to(x)], 1)).chunk(2, -1)
        z = mean + (logs / 2).exp() * torch.randn(mean.shape, generator=generator)
        off = (self(z, y) - x).square().flatten(1).sum(1) / (2 * noise)
        spread = (mean.square() + logs.exp() - 1 - logs).sum(1) / 2
        return (off + spread).mean() / self.shape.numel()


class Generating(nn.Module):  # type: ignore[misc]
    """A model, and an autoencoder of its inputs that is trained beside it."""

    def __init__(self, inner: nn.Module, generator: Autoencoder) -> None:
        super().__init__()
        self.inner, self.now = inner, generator
        self.before = copy.deepcopy(generator).requires_grad_(False)  # as it was when the task began

    def forward(self, x: Tensor) -> Tensor:
        """Return what the model says."""
        said: Tensor = self.inner(x)
        return said


@register(
    "generative-kernel",
    papers=(Paper("Generative Kernel Continual learning", "2112.13410"), Paper("Kernel Continual Learning", "2107.05757")),
    task="classes in sequence",
    baselines=("replay", "plain"),
)  # fmt: skip
@dataclass
class GenerativeKernel(Strategy):
    """Answers by kernel ridge regression over features, y = Y (K + penalty I)^-1 k(x), from samples that it generates (GKCL).

    A conditional variational autoencoder learns the new batch, and what it drew of earlier classes before the task: it alone is
    rehearsed. The model up to its classifier learns to tell the batch by generated samples of the task's classes (in the
    scenario "class": of all classes, and to tell generated samples too, which the paper leaves out), and by supervised contrast
    of all samples of the step. The answer is over the classes of the named task, or over all. With `stored` samples a class
    nothing is generated: kernel continual learning, the baseline. The model's own classifier is not used.
    """

    samples: int = 50  # generated of each class for an answer
    stored: int = 0  # samples of each class that are held in place of an autoencoder
    kernel: Kernel = "linear"  # of features of unit length; "fourier" draws random features of "rbf"
    penalty: float = 0.1  # of the regression (lambda)
    contrast: float = 1.0  # weight of the contrast
    replayed: int = 10  # generated samples of each class in a step
    latent: int = 8  # numbers of z
    noise: float = 0.2  # variance of x given z
    model: Generating | None = field(init=False, repr=False, default=None)  # the learner's, once it generates
    buffer: Buffer | None = field(init=False, repr=False, default=None)  # where samples are stored
    old: list[int] = field(init=False, repr=False, default_factory=list)  # classes of earlier tasks

    needs_tasks: ClassVar[bool] = True
    alone: ClassVar[str] = "model that is served"

    def __post_init__(self) -> None:
        if min(self.samples, self.latent, self.replayed) < 1 or min(self.penalty, self.noise) <= 0:
            raise InvalidInput(
                "samples, replayed and latent are counts of at least 1, penalty and noise numbers above 0."
            )

    def before_task(self, learning: Learning) -> None:
        """Keep the autoencoder as it is, to rehearse what it draws."""
        self.old = sorted({c for task, of in learning.task_classes.items() if task != learning.task for c in of})
        if self.model is not None:
            self.model.before.load_state_dict(self.model.now.state_dict())

    def loss(self, learning: Learning, step: Step) -> Tensor | None:
        """Return the cost of the kernel's answers, of the contrast, and of the autoencoder, in the place of the model's own."""
        batch, step.weight = step.batch, 0.0
        if self.model is None and not self.stored:
            self._grow(learning, batch.x.shape[1:])
        whole = learning.scenario == "class"
        classes = torch.tensor(learning.seen) if whole else batch.y.unique()
        rehearsed = self._rehearsed(learning, whole)
        support = self._support(classes, batch, learning.generator)
        places = [0, *(step.add(b) for b in rehearsed), step.add(support)]
        z = [F.normalize(step.features(place), dim=-1) for place in places]
        y = torch.cat([batch.y, *(b.y for b in rehearsed)])
        asked = torch.cat(z[:-1]) if whole else z[0]
        said = self.said(z[-1], torch.searchsorted(classes, support.y), asked, len(classes))
        terms = [F.cross_entropy(SHARP * said, torch.searchsorted(classes, y[: len(asked)]))]
        if self.contrast:
            terms.append(self.contrast * contrast(torch.cat(z), torch.cat([y, support.y]), TEMPERATURE))
        if self.model is not None:
            x, y, _ = joined([batch, *(rehearsed[:1] if self.old else ())])
            terms.append(self.model.now.bound(x, y, self.noise, learning.generator))
        return torch.stack(terms).sum()

    def after_step(self, learning: Learning, step: Step) -> None:
        """Store samples of each class until there are enough, where samples are stored."""
        for c in step.batch.y.unique().tolist() if self.stored else ():
            room = self.stored - (int((self.buffer.held[1] == c).sum()) if self.buffer else 0)
            if room > 0:
                rows = (step.batch.y == c).nonzero().flatten()[:room]
                self.buffer = self.buffer or Buffer(ROOM)
                self.buffer.see(*step.batch.rows(rows), generator=learning.generator)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def answer(self, learning: Learning, x: Tensor, task: int) -> Tensor | None:
        """Return the kernel's scores: of the classes of the task, or of all that were seen where none is named."""
        classes = torch.tensor(sorted(learning.task_classes.get(task) or learning.seen), dtype=torch.long)
        if self.model is None and self.buffer is None:
            return None
        held = self.held(classes)
        logits, features = learning.read(torch.cat([held.x, x]))
        assert features is not None  # `loss` has raised without a classifier
        there, asked = F.normalize(features, dim=-1).split([len(held.y), len(x)])
        scores = torch.full((len(x), logits.shape[1]), -SHARP)
        scores[:, classes] = self.said(there, torch.searchsorted(classes, held.y), asked, len(classes))
        return scores

    def held(self, classes: Tensor) -> Batch:
        """Return the samples of classes (C,) that answers are made from: stored, or drawn, of the same z each time."""
        if self.buffer is not None:
            return Batch(*self.buffer.held).rows(torch.isin(self.buffer.held[1], classes))
        assert self.model is not None
        made: Batch = self.model.now.drawn(classes, self.samples, torch.Generator().manual_seed(0))
        return made

    def said(self, z: Tensor, y: Tensor, asked: Tensor, classes: int) -> Tensor:
        """Return the scores (m, classes) of asked features (m, D), from features z (n, D) of unit length with labels y (n,)."""
        gram = self.similar(z, z) + self.penalty * torch.eye(len(z))
        return self.similar(asked, z) @ torch.linalg.solve(gram, F.one_hot(y, classes).to(z))

    def similar(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the kernel (m, n) of features (m, D) and (n, D)."""
        if self.kernel == "linear":
            return a @ b.T
        if self.kernel == "rbf":
            return (-torch.cdist(a, b).square()).exp()
        fixed = torch.Generator().manual_seed(0)
        turns = 2**0.5 * torch.randn(a.shape[1], FOURIER, generator=fixed)
        shifts = 2 * torch.pi * torch.rand(FOURIER, generator=fixed)
        return (a @ turns + shifts).cos() @ (b @ turns + shifts).cos().T * (2 / FOURIER)

    def tensors(self) -> dict[str, Tensor]:
        """Return the classes of earlier tasks, the shape of x, and stored samples; an autoencoder is in the model."""
        found = {} if self.buffer is None else self.buffer.tensors()
        if self.model is not None:
            found["shape"] = torch.tensor(self.model.now.shape)
        return found | {"old": torch.tensor(self.old)} if found else {}

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Take them back, and make room for an autoencoder, whose weights are loaded with the model's."""
        if isinstance(learning.model, Generating):
            learning.model, self.model = learning.model.inner, None
        self.buffer, held = None, {name: t for name, t in tensors.items() if name not in ("shape", "old")}
        if held:
            self.buffer = Buffer(ROOM)
            self.buffer.load(held)
        if tensors:
            self.old = [int(c) for c in tensors["old"]]
            if "shape" in tensors:
                self._grow(learning, torch.Size(tensors["shape"].tolist()))

    @property
    def nbytes(self) -> int:
        """Bytes of the autoencoder and of its copy, or of the samples."""
        both = () if self.model is None else (*self.model.now.parameters(), *self.model.before.parameters())
        held: int = sum(p.numel() * p.element_size() for p in both)
        return super().nbytes + held

    def _grow(self, learning: Learning, shape: torch.Size) -> None:
        if not isinstance(learning.classifier, nn.Linear):
            raise InvalidInput("the model's classifier is no linear layer: give the learner one as `classifier`.")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**31, (1,), generator=learning.generator)))
            made = Autoencoder(shape, learning.classifier.out_features, self.latent)
        self.model = Generating(learning.model, made)
        learning.model = self.model
        learning.rebuild()

    def _rehearsed(self, learning: Learning, whole: bool) -> list[Batch]:
        """Return generated samples: of earlier classes, as they were drawn before the task, then of the new ones if `whole`."""
        if self.model is None:
            return []
        new = torch.tensor(learning.task_classes[learning.task])
        found = [self.model.before.drawn(torch.tensor(self.old), self.replayed, learning.generator)] if self.old else []
        return found + ([self.model.now.drawn(new, self.replayed, learning.generator)] if whole else [])

    def _support(self, classes: Tensor, batch: Batch, generator: torch.Generator) -> Batch:
        """Return what the batch is told by: samples drawn now, or stored ones; the batch itself where its class has none."""
        if self.model is not None:
            made: Batch = self.model.now.drawn(classes, self.replayed, generator)
            return made
        if self.buffer is None:
            return batch
        held = self.held(classes)
        return joined([held, batch.rows(torch.isin(batch.y, held.y, invert=True))])
