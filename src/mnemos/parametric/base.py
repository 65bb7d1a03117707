"""The contracts of parametric memory: what holds a memory in weights, and what each part may change.

A model is a causal language model of transformers, frozen: a carrier lives beside it and never changes its weights. Only
an editor, an unlearner and a compressor change them, and each returns what undoes it, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Example:
    """One thing to be known by heart: after `prompt` the model is to go on with `answer`."""

    prompt: str  # "" for a statement that is learned whole
    answer: str
    source: str = ""  # the id of the cube that it was read from
    family: str = ""  # of the template that made it; "" where somebody wrote it
    context: str = ""  # the text that a model has to read to know the answer; for distillation


# -- carriers: weights beside a frozen model


class Learned(nn.Module):  # type: ignore[misc]  # torch is not read where types are checked
    """The weights of a carrier for one model. Its parameters are what is trained, and what is stored.

    While it is not attached the model is as it was, bit for bit: attaching adds to what layers compute and never writes to
    the model's weights.
    """

    def attach(self, model: Any) -> AbstractContextManager[None]:
        """Let the model answer with these weights inside the context.

        Several may be attached at once, inside each other: what they add is summed. Raises InvalidInput for a model that they
        do not fit, and where they are attached already.
        """
        raise NotImplementedError

    def tensors(self) -> dict[str, Tensor]:
        """Return what has to be stored, by name; no two share memory."""
        return {name: tensor.detach().contiguous() for name, tensor in self.state_dict().items()}

    @property
    def nbytes(self) -> int:
        """Bytes of what has to be stored."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self.tensors().values())


@runtime_checkable
class Carrier(Protocol):
    """Makes weights beside a model. A frozen dataclass of knobs, which are stored beside the weights as JSON."""

    rate: ClassVar[float]  # of Adam, with which its weights are trained if nothing else is said

    def create(self, model: Any, examples: Sequence[Example], tokenizer: Any, seed: int = 0) -> Learned:
        """Return new weights for a model. `examples` are what will be learned, for a start that depends on them.

        The same seed makes the same weights. Raises InvalidInput for a model that the carrier does not fit.
        """
        ...

    def load(self, model: Any, tensors: Mapping[str, Tensor]) -> Learned:
        """Return the weights of `Learned.tensors`; raises InvalidInput where they do not fit model and knobs."""
        ...


@runtime_checkable
class KeyValueMemory(Protocol):
    """A layer that looks up values by keys: few of its slots take part in an answer, and only these are learned."""

    def look_up(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Return the slots of queries (n, D) and their weights, both (n, heads, k); of the heaviest first."""
        ...

    def forward(self, hidden: Tensor) -> Tensor:
        """Return what the memory adds for hidden states (..., D); the same shape."""
        ...


@runtime_checkable
class Head(Protocol):
    """Answers embeddings with a label, and learns item after item without going back to earlier ones."""

    @property
    def nbytes(self) -> int:
        """Bytes of what has to be stored."""
        ...

    def learn(self, features: Tensor, labels: Tensor) -> None:
        """Learn items: features (m, D) and labels (m,). Raises InvalidInput for what does not fit."""
        ...

    def scores(self, features: Tensor) -> Tensor:
        """Return the scores (m, classes) of features (m, D)."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Return what has to be stored, by name."""
        ...


@runtime_checkable
class NextTokens(Protocol):
    """Says what may follow a hidden state of a model; mixed with what the model says itself."""

    @property
    def nbytes(self) -> int:
        """Bytes of what has to be stored."""
        ...

    def log_probabilities(self, hidden: Tensor) -> Tensor:
        """Return the logarithms of the next token's chances (m, V) for hidden states (m, D)."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Return what has to be stored, by name."""
        ...


# -- changes of the model itself, each with its way back


class Undo(Protocol):
    """What a change of a model's weights returns."""

    nbytes: int  # what it holds to be able to undo

    def undo(self) -> None:
        """Set the weights to what they were, bit for bit. Raises Conflict where they were changed since."""
        ...


@dataclass(frozen=True, slots=True)
class Edit:
    """A fact that is to change in a model's weights."""

    prompt: str  # ends before the answer, and contains the subject
    subject: str
    target: str  # the new answer


@runtime_checkable
class Editor(Protocol):
    """Changes what a model answers to some prompts, and little else."""

    def edit(self, model: Any, tokenizer: Any, edits: Sequence[Edit]) -> Undo:
        """Change the model's weights in place. Raises InvalidInput where a subject is not in its prompt."""
        ...


@runtime_checkable
class Unlearner(Protocol):
    """Makes a model forget examples that it learned, and little else."""

    def unlearn(self, model: Any, tokenizer: Any, forget: Sequence[Example], keep: Sequence[Example]) -> Undo:
        """Change the model's weights in place; `keep` are examples of what it is to go on knowing."""
        ...


@runtime_checkable
class Compressor(Protocol):
    """Makes weights smaller."""

    def compress(self, weight: Tensor) -> Compressed:
        """Return a compressed matrix (out, in)."""
        ...


@runtime_checkable
class Compressed(Protocol):
    """A compressed matrix."""

    @property
    def nbytes(self) -> int:
        """Bytes that it holds."""
        ...

    def decompress(self) -> Tensor:
        """Return the matrix (out, in) as it is now."""
        ...


KINDS: dict[str, type] = {
    "carrier": Carrier,
    "editor": Editor,
    "unlearner": Unlearner,
    "compressor": Compressor,
    "key-value-memory": KeyValueMemory,
    "head": Head,
    "next-tokens": NextTokens,
}
