"""The contracts of what makes a model need fewer bytes: each is attached to a model for a while, and leaves it ordinary.

A `Saver` holds the tensors that autograd keeps for the backward pass. A `Rewriter` puts modules in place of others that
keep or hold less. An `Offloader` places weights or states of an optimiser outside the memory. A `Planner` predicts bytes
and seconds before anything runs. The first three are attached together by `mnemos.footprint.attached`.

A method says whether what it computes is `exact`: equal bit for bit to what the model computes without it. Where it is not, its
docstring says what differs, and its tests by how much. Bytes are measured (`mnemos.footprint.measure`), and computed by
planners only.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@dataclass(slots=True)
class Usage:
    """What was kept for the backward pass while savers were attached, in bytes; each storage counts once."""

    kept: int = 0  # now, by the savers, in memory
    plain: int = 0  # now, as autograd would keep it
    peak_kept: int = 0
    peak_plain: int = 0

    def add(self, kept: int, plain: int) -> None:
        """Count bytes that are kept from now on; negative ones are kept no longer."""
        self.kept += kept
        self.plain += plain
        self.peak_kept = max(self.peak_kept, self.kept)
        self.peak_plain = max(self.peak_plain, self.plain)


@dataclass(frozen=True, slots=True)
class Held:
    """What is kept of one tensor: tensors in memory, which a later saver may pack again, and whatever else it takes."""

    parts: tuple[Tensor, ...] = ()
    about: Any = None  # as a scale, or a place on disk; of no size that counts

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(part.nbytes for part in self.parts)


@runtime_checkable
class Saver(Protocol):
    """Holds a tensor from the forward to the backward pass. A dataclass of knobs; one is attached to one model at a time."""

    exact: ClassVar[bool]  # whether what comes back is what was given, bit for bit

    def pack(self, tensor: Tensor) -> Held:
        """Return what is kept of a contiguous one-dimensional tensor. Never changes it; what is kept may be the tensor itself."""
        ...

    def unpack(self, held: Held) -> Tensor:
        """Return the tensor of what `pack` returned: same shape, type and device. May be called more than once."""
        ...

    def close(self) -> None:
        """Give back files and threads; called when the model is let go. It can be attached again."""
        ...


@runtime_checkable
class Rewriter(Protocol):
    """Puts modules in place of a model's own ones while it is attached. A dataclass of knobs."""

    exact: ClassVar[bool]  # whether outputs and gradients are those of the model's own modules

    def replace(self, name: str, module: nn.Module) -> nn.Module | None:
        """Return what computes in place of a module from now on, with the same parameters where it can; None: it stays."""
        ...

    def restore(self, module: nn.Module) -> nn.Module:
        """Return the ordinary module that takes its place afterwards, with what was learned."""
        ...


@runtime_checkable
class Offloader(Protocol):
    """Places what a model or its optimiser holds where there is room. A dataclass of knobs."""

    exact: ClassVar[bool]  # whether the model computes, and learns, what it does without it

    def attach(self, model: nn.Module, optimiser: torch.optim.Optimizer | None = None) -> AbstractContextManager[Any]:
        """Offload inside the context; afterwards weights and states are in memory again, as they were learned.

        Raises InvalidInput where it needs an optimiser and there is none, or does not fit the model.
        """
        ...


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a run will take."""

    nbytes: int  # at most, in memory
    seconds: float
    parts: dict[str, int]  # bytes by what they are of
    why: tuple[str, ...] = ()  # a sentence for every decision


@runtime_checkable
class Planner(Protocol):
    """Predicts what a run takes before it runs. Its knobs describe the run and the machine."""

    def predict(self) -> Prediction:
        """Return bytes and seconds."""
        ...


KINDS: dict[str, type] = {"saver": Saver, "rewriter": Rewriter, "offloader": Offloader, "planner": Planner}
