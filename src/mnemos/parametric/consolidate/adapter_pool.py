"""An adapter for each task beside a frozen backbone, and ways to find the one that an input needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import FAR, NO_TASK, Learning, Step, Strategy
from mnemos.parametric.consolidate.frozen import Adapters, Backbone, backbone_of
from mnemos.registry import Paper, register

Find = Literal["refined", "matched", "selector"]


class Summary(NamedTuple):
    """Features of a class: which task's adapter they were read with, mean and deviation (D,) with it, and without any."""

    task: int
    mean: Tensor
    deviation: Tensor
    bare_mean: Tensor
    bare_deviation: Tensor

    def drawn(self, count: int, generator: torch.Generator, bare: bool) -> Tensor:
        """Return features (count, D) drawn from the Gaussian."""
        mean, deviation = (self.bare_mean, self.bare_deviation) if bare else (self.mean, self.deviation)
        return mean + deviation * torch.randn(count, len(mean), generator=generator)


class Adapted(nn.Module):  # type: ignore[misc]
    """A frozen backbone with an adapter for each task; read with that of `task`."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone, self.adapters, self.task = cast(nn.Module, backbone), nn.ModuleDict(), NO_TASK

    @property
    def tasks(self) -> list[int]:
        """Return the tasks that have an adapter, in their order."""
        return [int(t) for t in self.adapters]

    def features(self, x: Tensor, task: int) -> Tensor:
        """Return features (N, D) with the adapter of a task; NO_TASK: with none."""
        adapt = None if task == NO_TASK else cast(Adapters, self.adapters[str(task)])
        return cast(Backbone, self.backbone).encode(x, None, adapt)

    def read(self, x: Tensor, task: int) -> Tensor:
        """Return logits (N, classes) with the adapter of a task."""
        said: Tensor = cast(Backbone, self.backbone).head(self.features(x, task))
        return said

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (N, classes) with the adapter that is learned."""
        return self.read(x, self.task)


@register(
    "adapter-pool",
    papers=(
        Paper("MOS: Model Surgery for Pre-Trained Model-Based Class-Incremental Learning", "2412.09441"),
        Paper("ConPET: Continual Parameter-Efficient Tuning for Large Language Models", "2309.14763"),
    ),
    task="classes in sequence",
    baselines=("plain", "prompt-pool"),
)
@dataclass
class AdapterPool(Strategy):
    """Trains one adapter a task beside a frozen backbone; no samples are stored, but a Gaussian of each class's features.

    `merge` moves the new adapter after every step towards the mean of the earlier ones (MOS). After a task the head is trained
    again on features drawn from the Gaussians. Who answers where no task is named: `refined`, the first adapter, then the one
    that owns the class it says, until the class stays, the first one's logits averaged in (MOS); `matched`, the one that owns
    the nearest class mean, once, in features without adapters; `selector`, the `top` choices, pooled, of a linear layer over
    these (dynamic ConPET, whose selector is trained on held samples, here on drawn features). With `single` all tasks tune one
    adapter, as static ConPET does beside `Replay`. The model is a `Backbone`.
    """

    find: Find = "refined"  # who answers where no task is named
    bottleneck: int = 8  # units of an adapter
    merge: float = 0.1  # share of the earlier adapters' mean after every step (alpha)
    realign: int = 200  # steps of the head, and of the selector, on drawn features after a task; 0: none
    top: int = 1  # adapters that are pooled, of "selector"
    rounds: int = 5  # adapters that are tried at most, of "refined"
    single: bool = False  # one adapter for all tasks
    model: Adapted | None = field(init=False, repr=False, default=None)
    classes: dict[int, Summary] = field(init=False, repr=False, default_factory=dict)
    chooser: nn.Linear | None = field(init=False, repr=False, default=None)  # of "selector"

    needs_tasks: ClassVar[bool] = True
    alone: ClassVar[str] = "pool before a backbone"

    def __post_init__(self) -> None:
        if not 0 <= self.merge < 1 or min(self.bottleneck, self.top, self.rounds) < 1:
            raise InvalidInput("merge is a share below 1; bottleneck, top and rounds are numbers of at least 1.")
        self.recent = 0 if self.single else 1000

    def before_task(self, learning: Learning) -> None:
        """Put the adapted backbone in the model's place, once, and make an adapter."""
        self._begin(learning, learning.task)
        learning.rebuild()

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def after_step(self, learning: Learning, step: Step) -> None:
        """Move the adapter towards the earlier ones."""
        model = self._adapted
        old = [model.adapters[str(t)] for t in model.tasks if t != model.task]
        if self.merge and old:
            for name, p in model.adapters[str(model.task)].named_parameters():
                p.lerp_(torch.stack([a.get_parameter(name) for a in old]).mean(0), self.merge)

    def after_task(self, learning: Learning) -> None:
        """Sum up the classes of the task, and train head and selector on what is drawn of all."""
        if self.single or learning.recent is None or not len(learning.recent):
            return
        x, y = learning.recent.held[:2]
        with torch.no_grad():
            mine, bare = self._adapted.features(x, learning.task), self._adapted.features(x, NO_TASK)
        for c in y.unique().tolist():
            a, b = mine[y == c], bare[y == c]
            found = (a.mean(0), a.std(0, correction=0), b.mean(0), b.std(0, correction=0))
            self.classes[c] = Summary(learning.task, *found)
        self._realign(learning)

    def answer(self, learning: Learning, x: Tensor, task: int) -> Tensor | None:
        """Return what the adapter of the task says, or that of the task that is found."""
        if self.model is None or self.single or not self.classes:
            return None
        if task in self.model.tasks:
            return self.model.read(x, task)
        if self.find == "refined":
            return self._refined(x)
        said = torch.stack([self.model.read(x, t) for t in self.model.tasks], 1)  # (N, tasks, classes)
        shares = self.choose(x)
        return (said * shares[..., None]).sum(1)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def choose(self, x: Tensor) -> Tensor:
        """Return what each task's adapter counts (N, tasks) for x; tasks in the order in which they came."""
        tasks = self._adapted.tasks
        if self.find == "refined":
            return F.one_hot(self._owner(self._refined(x)), len(tasks)).float()
        bare = self._adapted.features(x, NO_TASK)
        if self.find == "matched" or self.chooser is None:
            means = torch.stack([c.bare_mean for c in self.classes.values()])
            owners = torch.tensor([tasks.index(c.task) for c in self.classes.values()])
            return F.one_hot(owners[torch.cdist(bare, means).argmin(1)], len(tasks)).float()
        scores = self.chooser(bare)
        scores = F.pad(scores, (0, len(tasks) - scores.shape[1]), value=FAR)
        best = scores.topk(min(self.top, len(tasks)), 1)
        return torch.zeros_like(scores).scatter(1, best.indices, best.values.softmax(1))

    def tensors(self) -> dict[str, Tensor]:
        """Return tasks and what is known of classes; adapters are in the model."""
        if self.model is None:
            return {}
        found = {"tasks": torch.tensor([*self.model.tasks, self.model.task])}
        for c, known in self.classes.items():
            found |= {f"class.{c}": torch.stack(known[1:]), f"owner.{c}": torch.tensor(known.task)}
        if self.chooser is not None:
            found |= {f"chooser.{name}": t for name, t in self.chooser.state_dict().items()}
        return found

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Make the same room again, and take the rest back; adapters are loaded with the model."""
        if self.model is not None:
            learning.model, self.model = self.model.backbone, None
        for task in tensors.get("tasks", torch.tensor([])).tolist():
            self._begin(learning, task)
        owners = {int(n.removeprefix("owner.")): int(t) for n, t in tensors.items() if n.startswith("owner.")}
        self.classes = {c: Summary(task, *tensors[f"class.{c}"].clone().unbind()) for c, task in owners.items()}
        if (weight := tensors.get("chooser.weight")) is not None:
            self.chooser = nn.Linear(weight.shape[1], weight.shape[0])
            self.chooser.load_state_dict({"weight": weight, "bias": tensors["chooser.bias"]})

    @property
    def nbytes(self) -> int:
        """Bytes of adapters and of what is known of classes."""
        adapters = () if self.model is None else self.model.adapters.parameters()
        return super().nbytes + int(sum(p.numel() * p.element_size() for p in adapters))

    @property
    def _adapted(self) -> Adapted:
        assert self.model is not None
        return self.model

    def _begin(self, learning: Learning, task: int) -> None:
        if self.model is None:
            self.model = Adapted(backbone_of(learning.model))
            learning.model = self.model
        name = 0 if self.single else task
        if name not in self.model.tasks:
            base = cast(Backbone, self.model.backbone)
            made = Adapters(base.depth, base.width, self.bottleneck, learning.generator)
            if self.model.tasks:  # begins as the newest one is, so that adapters stay comparable
                made.load_state_dict(self.model.adapters[str(self.model.tasks[-1])].state_dict())
            self.model.adapters[str(name)] = made
        self.model.adapters.requires_grad_(False)
        self.model.adapters[str(name)].requires_grad_(True)
        self.model.task = name

    def _owner(self, said: Tensor) -> Tensor:
        """Return the place (N,) of the task that owns the class that logits (N, classes) say."""
        tasks, known = self._adapted.tasks, sorted(self.classes)
        owners = torch.tensor([tasks.index(self.classes[c].task) for c in known])
        return owners[said[:, known].argmax(1)]

    def _refined(self, x: Tensor) -> Tensor:
        said = torch.stack([self._adapted.read(x, t) for t in self._adapted.tasks])  # (tasks, N, classes)
        rows = torch.arange(len(x))
        who = torch.zeros(len(x), dtype=torch.long)
        for _ in range(self.rounds):
            now = self._owner(said[who, rows])
            if torch.equal(now, who):
                break
            who = now
        return (said[0] + said[who, rows]) / 2

    def _realign(self, learning: Learning) -> None:
        """Train the head on features drawn of all classes, and the selector on those without adapters."""
        head = cast(Backbone, self._adapted.backbone).head
        known, tasks = sorted(self.classes), self._adapted.tasks
        y = torch.tensor(known).repeat_interleave(8)
        self._fit(head, [self.classes[c] for c in known], y, False, learning.generator)
        if self.find == "selector":
            owners = torch.tensor([tasks.index(self.classes[c].task) for c in known]).repeat_interleave(8)
            self.chooser = nn.Linear(cast(Backbone, self._adapted.backbone).width, len(tasks))
            nn.init.zeros_(self.chooser.weight), nn.init.zeros_(self.chooser.bias)
            self._fit(self.chooser, [self.classes[c] for c in known], owners, True, learning.generator)

    def _fit(self, layer: nn.Module, of: list[Summary], y: Tensor, bare: bool, generator: torch.Generator) -> None:
        optimiser = torch.optim.Adam(layer.parameters(), lr=0.01)
        for _ in range(self.realign):
            x = torch.cat([c.drawn(8, generator, bare) for c in of])
            optimiser.zero_grad()
            F.cross_entropy(layer(x), y).backward()
            optimiser.step()
        layer.zero_grad(set_to_none=True)
