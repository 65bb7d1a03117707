"""The loop of continual learning, drawn once: a learner takes one batch after another, with or without tasks.

    learner = Learner(model, Replay(200) + Distillation(), scenario="class")
    for x, y, task in stream:
        learner.observe(x, y, task)
    learner.end_task()
    learner.predict(x).argmax(-1)

A step costs one pass forward and one backward over the new batch and what strategies add to it.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput, ModelError
from mnemos.parametric.consolidate.base import (
    NO_TASK,
    Batch,
    Composed,
    Learning,
    Loss,
    Optimise,
    Rivals,
    Scenario,
    Step,
    Strategy,
    default_optimiser,
)
from mnemos.parametric.consolidate.buffer import Buffer


class CannotWork(UserWarning):
    """A configuration that is known to fail, whatever its knobs."""


class Boundaries(Protocol):
    """Finds where a stream changes, for strategies that need tasks on a stream that names none."""

    def begins(self, loss: float) -> bool:
        """Tell whether a new task began with the batch of this loss, which has not been learned yet."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Return what it holds, by name."""
        ...

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Take back what `tensors` returned."""
        ...


class Learner(Learning):
    """A model that goes on learning under strategies; `observe` is all that a stream needs."""

    def __init__(
        self,
        model: nn.Module,
        strategies: Strategy | tuple[Strategy, ...] = (),
        *,
        scenario: Scenario = "class",
        rivals: Rivals = "all",
        criterion: Loss = nn.functional.cross_entropy,
        optimise: Optimise = default_optimiser,  # makes the optimiser of some parameters
        classifier: nn.Module | None = None,
        boundaries: Boundaries | None = None,
        rehearsal_free: bool = False,  # refuse strategies that store samples
        seed: int = 0,  # of what strategies draw
    ) -> None:
        super().__init__(
            model,
            scenario,
            rivals,
            criterion,
            optimise=optimise,
            classifier=classifier or last_linear(model),
        )
        chosen = (strategies,) if isinstance(strategies, Strategy) else tuple(strategies)
        self.strategies = Composed(copy.deepcopy(s) for s in chosen)
        self.boundaries = boundaries
        self.rehearsal_free = rehearsal_free
        self.generator.manual_seed(seed)
        self._keeps_previous = any(s.needs_previous for s in self.strategies)
        check(self)

    def observe(self, x: Tensor, y: Tensor, task: int | None = None) -> float:
        """Learn a batch: x (N, ...), y (N,) of classes or what the criterion takes; return the loss.

        A `task` that differs from the one before ends that one. Raises InvalidInput for an empty batch, for one whose x and y
        do not fit, and for a stream without tasks where a strategy needs them; ModelError where the loss is no number: the
        weights are then as they were.
        """
        if len(x) == 0 or len(x) != len(y):
            raise InvalidInput(f"x has {len(x)} samples and y {len(y)}: give as many of both, at least one.")
        self.begin_task(self._task_of(x, y, task))
        self._meet(y)
        batch = Batch(x, y, torch.full((len(y),), self.task))
        if self.recent is not None:
            self.recent.see(*batch, generator=self.generator)
        self.model.train()
        return self.learn(Step(self, batch))

    def learn(self, step: Step) -> float:
        """Make a step: sum its losses, go back through them, and change the weights."""
        terms = [term for s in self.strategies if (term := s.loss(self, step)) is not None]
        if step.weight:
            terms.append(step.weight * step.cost())
        total = torch.stack(terms).sum() if len(terms) > 1 else terms[0]
        step.loss = float(total.detach())
        if step.loss != step.loss or step.loss in (float("inf"), float("-inf")):
            raise ModelError(f"the loss of step {self.steps} is {step.loss}: lower the rate, and begin again.")
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        for strategy in self.strategies:
            strategy.after_backward(self, step)
        self.optimiser.step()
        self.steps += 1
        for strategy in self.strategies:
            strategy.after_step(self, step)
        return step.loss

    def begin_task(self, task: int) -> None:
        """End the task before, if there was another, and begin this one; nothing where it is the one being learned."""
        if task == self.task:
            return
        self.end_task()
        self.task, self.tasks = task, self.tasks + 1
        self.task_classes.setdefault(task, [])
        self.recent = self.sample()
        for strategy in self.strategies:
            strategy.before_task(self)

    def sample(self) -> Buffer | None:
        """Return an empty room for samples of one task, as large as the neediest strategy asks; None where none does."""
        items = max((s.recent for s in self.strategies), default=0)
        return Buffer(items) if items else None

    def end_task(self) -> None:
        """End the task being learned: strategies sum it up. Nothing where none is being learned."""
        if self.task == NO_TASK:
            return
        for strategy in self.strategies:
            strategy.after_task(self)
        if self._keeps_previous:
            self.previous = copy.deepcopy(self.model).requires_grad_(False).eval()
        self.recent, self.task = None, NO_TASK

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def predict(self, x: Tensor, task: int = NO_TASK) -> Tensor:
        """Return logits (N, classes) for x (N, ...). In the scenario "task" give the task, whose classes alone take part."""
        with evaluated(self.model):
            for strategy in reversed(self.strategies):
                if (said := strategy.answer(self, x, task)) is not None:
                    break
            else:
                said = self.model(x)
        return self.taking_part(said, torch.full((len(x),), task))

    @property
    def nbytes(self) -> int:
        """Bytes that strategies hold beside the model, with the earlier copy of it that some read."""
        copies = 0 if self.previous is None else sum(p.numel() * p.element_size() for p in self.previous.parameters())
        return copies + sum(s.nbytes for s in self.strategies)

    def _task_of(self, x: Tensor, y: Tensor, task: int | None) -> int:
        """Return the task of a batch."""
        if task is None:
            new = self.task == NO_TASK
            if self.boundaries is not None:
                with torch.no_grad(), evaluated(self.model):
                    new |= self.boundaries.begins(float(self.criterion(self.model(x), y)))
            task = self.tasks if new else self.task
            needy = [type(s).__name__ for s in self.strategies if s.needs_tasks and self.boundaries is None]
            if needy:
                raise InvalidInput(
                    f"{needy[0]} acts where one task ends: name the task in observe(x, y, task), or give the learner boundaries."
                )
        return task

    def _meet(self, y: Tensor) -> None:
        """Remember the classes of a batch; after the task before has ended, which must not know them."""
        if y.dim() == 1 and not y.is_floating_point():
            known = self.task_classes[self.task]
            known += sorted(set(y.unique().tolist()) - set(known))


def check(learner: Learner) -> None:
    """Raise InvalidInput for strategies that contradict each other or what was asked for; warn of what cannot work."""
    storing = [type(s).__name__ for s in learner.strategies if s.stores_samples]
    if learner.rehearsal_free and storing:
        raise InvalidInput(
            f"{storing[0]} stores samples of earlier tasks: it is not rehearsal-free. Leave one of both out."
        )
    roles = [s.alone for s in learner.strategies if s.alone]
    if twice := [role for role in roles if roles.count(role) > 1]:
        names = [type(s).__name__ for s in learner.strategies if s.alone == twice[0]]
        raise InvalidInput(f"{' and '.join(names)} both are the {twice[0]}: choose one of them.")
    if learner.strategies and learner.scenario == "class" and all(s.only_holds_weights for s in learner.strategies):
        warnings.warn(
            "holding weights alone cannot tell apart classes that were never learned together (van de Ven 2022: EWC 20 % on"
            ' Split-MNIST): add rehearsal, or say scenario="task" or "domain".',
            CannotWork,
            stacklevel=3,
        )


def last_linear(model: nn.Module) -> nn.Module | None:
    """Return the last nn.Linear of a model; None where it has none."""
    found = [m for m in model.modules() if isinstance(m, nn.Linear)]
    return found[-1] if found else None


@contextmanager
def evaluated(model: nn.Module) -> Iterator[None]:
    """Let no dropout act; afterwards all is as before."""
    was = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was)
