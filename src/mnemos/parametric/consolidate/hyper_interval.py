"""Weights are written for a whole interval of a task's embedding, and the intervals of all tasks share a region."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mnemos.errors import InvalidInput
from mnemos.parametric.consolidate.base import Learning, Step
from mnemos.parametric.consolidate.hypernetwork import Chunks, Generated, Hypernetwork
from mnemos.parametric.consolidate.intervals import Box, answers, check, through, worst
from mnemos.parametric.consolidate.made import Weights
from mnemos.registry import Paper, register


class BoxedChunks(Chunks):
    """Writes the box of each chunk: e (E,) and a radius -> (2, chunks, size), centres and radii."""

    def forward(self, e: Tensor, radius: float = 0.0) -> Tensor:
        """Return all chunks."""
        read = torch.cat([e.expand(len(self.places), -1), self.places], 1)
        wide = torch.cat([torch.full_like(self.places, radius), torch.zeros_like(self.places)], 1)
        return torch.stack(through(self.layers, Box(read, wide)))


class GeneratedBoxes(Generated):
    """Makes weights from embeddings that are squashed to +-reach; boxes of a radius of at least that around them all hold 0."""

    def __init__(self, inner: nn.Module, knobs: HyperInterval, generator: torch.Generator) -> None:
        check(inner)
        super().__init__(inner, knobs, generator)
        self.radius, self.reach = knobs.radius, knobs.reach

    def centre(self, task: int) -> Tensor:
        """Return the centre (E,) of a task's box."""
        return self.reach * torch.tanh(self.embeddings[str(task)])

    def common(self) -> Tensor:
        """Return the middle (E,) of what all boxes share, of all their centres where they share nothing."""
        centres = torch.stack([self.centre(t) for t in self.tasks])
        return (centres.amax(0) + centres.amin(0)) / 2

    def boxes(self, e: Tensor, radius: float) -> dict[str, Box]:
        """Return the boxes of all weights, by name, for a box of embeddings."""
        centre, wide = self.network(e, radius)
        both = self.cut(centre.flatten()), self.cut(wide.flatten())
        return {name: Box(both[0][name], both[1][name]) for name in self.shapes}

    def forward(self, task: int, weights: Weights) -> dict[str, Tensor]:
        """Return the weights that the network writes for the centre of a task's box."""
        return {name: box.centre for name, box in self.boxes(self.centre(task), 0.0).items()}


@register(
    "hyper-interval",
    papers=(
        Paper("HINT: Hypernetwork Approach to Training Weight Interval Regions in Continual Learning", "2405.15444",
              "pkrukowski1/HyperInterval"),
    ),
    task="tasks in sequence",
    baselines=("hypernetwork",),
)  # fmt: skip
@dataclass
class HyperInterval(Hypernetwork):
    """Writes weights for a box of a task's embedding and trains the worst of them too, by interval arithmetic (HINT).

    The loss is (1 - worst) * that of the centre and `worst` * that of the worst logits of the box; what is held of earlier tasks
    is the writing of their boxes. Where no task is named, one set of weights is served for all: those of the middle of the
    region that the boxes share, or of all centres where they share none. The model is an nn.Sequential of linear layers and
    ReLUs; a step costs about two of a hypernetwork.
    """

    strength: float = 0.001  # weight of what holds earlier boxes (beta)
    radius: float = 0.1  # of the boxes
    reach: float = 1.0  # what embeddings are squashed to; at most the radius: all boxes share a region
    worst: float = 0.1  # share of the loss that is of the worst logits
    warm: int = 100  # steps of a task until radius and share are reached
    begun: int = field(init=False, repr=False, default=0)  # the step at which the task began

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind != "chunks" or min(self.radius, self.reach) <= 0 or not 0 <= self.worst <= 1:
            raise InvalidInput(
                'boxes are written by kind="chunks": with radius and reach above 0, and a share as `worst`.'
            )

    def writer(self) -> type[Chunks]:
        """Return what writes."""
        return BoxedChunks

    def maker(self, inner: nn.Module, generator: torch.Generator) -> GeneratedBoxes:
        """Return the network that writes."""
        return GeneratedBoxes(inner, self, generator)

    @property
    def generated(self) -> GeneratedBoxes:
        """Return the maker."""
        made = super().generated
        assert isinstance(made, GeneratedBoxes)
        return made

    def before_task(self, learning: Learning) -> None:
        """Make room, keep the network as it is, and begin with a point."""
        super().before_task(learning)
        self.begun = learning.steps

    def loss(self, learning: Learning, step: Step) -> Tensor:
        """Return what the worst logits of the task's box cost."""
        done = min(1.0, (learning.steps - self.begun + 1) / self.warm)
        step.weight *= 1 - done * self.worst
        return done * self.worst * self.worst_cost(learning, step, done * self.radius)

    def worst_cost(self, learning: Learning, step: Step, radius: float) -> Tensor:
        """Return the mean loss of the worst logits that a box of some radius may have for the new batch."""
        assert self.model is not None
        boxes = self.generated.boxes(self.generated.centre(learning.task), radius)
        said = answers(check(self.model.inner), boxes, step.batch.x)
        return learning.cost(worst(said, step.batch.y), step.batch)

    def apart(self, network: Weights, task: int) -> Tensor:
        """Return how far the boxes that a network writes for an earlier task are from those before: of both their ends."""
        e = self.generated.centre(task).detach()
        with torch.no_grad():
            wanted = self.generated.before(e, self.radius)
        off = functional_call(self.generated.network, network, (e, self.radius)) - wanted
        return off.square().sum()

    def answer(self, learning: Learning, x: Tensor, task: int) -> Tensor | None:
        """Return what the weights of the task say; those of the region that all tasks share where none is named."""
        if self.model is None or task in self.generated.tasks:
            return super().answer(learning, x, task)
        boxes = self.generated.boxes(self.generated.common(), 0.0)
        return answers(check(self.model.inner), boxes, x).centre

    def tensors(self) -> dict[str, Tensor]:
        """Return the tasks, and when the newest began."""
        found = super().tensors()
        return found | {"begun": torch.tensor(self.begun)} if found else found

    def load(self, learning: Learning, tensors: dict[str, Tensor]) -> None:
        """Make the same room again."""
        super().load(learning, tensors)
        self.begun = int(tensors.get("begun", 0))
