"""What a change of a model's weights overwrote, and the way back, bit for bit.

Of each tensor the smallest form is kept: the old tensor, its changed rows or columns, its changed entries, or factors of
what was added. Factors alone would not bring rounded numbers back, so the entries where they fail are kept beside them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from mnemos.errors import Conflict

Factors = tuple[Tensor, Tensor]  # u (rows, r) and v (r, columns): a tensor became old + u v
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # integers as wide as a number


class _Kept(Protocol):
    """What is kept of one tensor."""

    @property
    def nbytes(self) -> int:
        """Bytes held."""

    def old(self, now: Tensor) -> Tensor:
        """Return the tensor as it was, given what it is now."""


@dataclass(frozen=True, slots=True)
class _Whole:
    tensor: Tensor

    @property
    def nbytes(self) -> int:
        return _size(self.tensor)

    def old(self, now: Tensor) -> Tensor:
        return self.tensor


@dataclass(frozen=True, slots=True)
class _Lines:
    """Rows (dim 0) or columns (dim 1)."""

    dim: int
    index: Tensor
    lines: Tensor

    @property
    def nbytes(self) -> int:
        return _size(self.index, self.lines)

    def old(self, now: Tensor) -> Tensor:
        return now.index_copy(self.dim, self.index, self.lines)


@dataclass(frozen=True, slots=True)
class _Entries:
    index: Tensor  # of the flat tensor
    values: Tensor

    @property
    def nbytes(self) -> int:
        return _size(self.index, self.values)

    def old(self, now: Tensor) -> Tensor:
        flat = now.reshape(-1).clone()
        flat[self.index.long()] = self.values
        return flat.view(now.shape)


@dataclass(frozen=True, slots=True)
class _LowRank:
    u: Tensor
    v: Tensor
    rest: _Entries  # where rounding loses the old number

    @property
    def nbytes(self) -> int:
        return _size(self.u, self.v) + self.rest.nbytes

    def old(self, now: Tensor) -> Tensor:
        return self.rest.old(_subtract(now, self.u, self.v))


class Change:
    """The way back from one change of a model's weights; satisfies `Undo`.

    It holds what was overwritten, and a digest of what the weights became.
    """

    def __init__(self, model: Any, kept: Mapping[str, _Kept], became: Mapping[str, bytes]) -> None:
        self._model, self._kept, self._became, self._undone = model, dict(kept), dict(became), False
        self.nbytes = sum(k.nbytes for k in self._kept.values()) + sum(map(len, self._became.values()))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the weights that were changed."""
        return tuple(self._kept)

    def undo(self) -> None:
        """Set the weights to what they were, bit for bit; all of them or none.

        Raises Conflict where they were changed since: a later change has to be undone first. Costs a digest of each tensor.
        """
        if self._undone:
            raise Conflict("this change was undone already: there is nothing left to undo.")
        now = dict(self._model.named_parameters())
        for name, digest in self._became.items():
            if name not in now or _digest(now[name]) != digest:
                raise Conflict(
                    f"{name} was changed since: undo the later changes first, the newest one before the others."
                )
        with torch.no_grad():
            for name, kept in self._kept.items():
                now[name].copy_(kept.old(now[name].detach()))
        self._undone = True


class Recording:
    """What `recorded` yields: `change` is there when its block has ended."""

    def __init__(self) -> None:
        self.factors: dict[str, Factors] = {}  # of what was added to a tensor, where that is known
        self.change: Change

    def adds(self, name: str, u: Tensor, v: Tensor) -> None:
        """Note that a tensor grows by u v, beside what was noted before: its undo may then be kept as these factors."""
        if name in self.factors:
            u, v = torch.cat([self.factors[name][0], u], 1), torch.cat([self.factors[name][1], v], 0)
        self.factors[name] = u, v


@contextmanager
def recorded(model: Any, names: list[str]) -> Iterator[Recording]:
    """Record how the named weights of a model are changed in the block; when it raises, they are set back.

    Holds a copy of these weights while the block runs, and afterwards what `Change` needs of it.
    """
    parameters = dict(model.named_parameters())
    before = {name: parameters[name].detach().clone() for name in names}
    recording = Recording()
    try:
        yield recording
    except BaseException:
        with torch.no_grad():
            for name, old in before.items():
                parameters[name].copy_(old)
        raise
    kept: dict[str, _Kept] = {}
    became: dict[str, bytes] = {}
    for name, old in before.items():
        new = parameters[name].detach()
        if not torch.equal(_bits(old), _bits(new)):
            kept[name] = _smallest(old, new, recording.factors.get(name))
            became[name] = _digest(new)
    recording.change = Change(model, kept, became)


def _smallest(old: Tensor, new: Tensor, factors: Factors | None) -> _Kept:
    """Return the smallest form that brings the old tensor back, bit for bit."""
    differ = _bits(old) != _bits(new)
    forms: list[_Kept] = [_Whole(old), _entries(old, differ)]
    if old.dim() == 2:
        for dim in (0, 1):
            index = differ.any(1 - dim).nonzero()[:, 0]
            forms.append(_Lines(dim, index, old.index_select(dim, index)))
        if factors is not None:
            u, v = (f.detach().to(torch.float32, copy=True) for f in factors)
            forms.append(_LowRank(u, v, _entries(old, _bits(old) != _bits(_subtract(new, u, v)))))
    return min(forms, key=lambda form: form.nbytes)


def _entries(old: Tensor, differ: Tensor) -> _Entries:
    index = differ.reshape(-1).nonzero()[:, 0]
    return _Entries(index.to(torch.int32 if old.numel() < 2**31 else torch.int64), old.reshape(-1)[index])


def _subtract(now: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Return now - u v: one product after the other in double precision, so that it is the same on any machine."""
    total = now.double()
    for column, row in zip(u.double().T, v.double(), strict=True):
        total = total - torch.outer(column, row)
    return total.to(now.dtype)


def _bits(tensor: Tensor) -> Tensor:
    return tensor.contiguous().view(_BITS[tensor.element_size()])


def _size(*tensors: Tensor) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)


def _digest(tensor: Tensor) -> bytes:
    data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return hashlib.blake2b(data, digest_size=16, person=str(tensor.dtype)[-16:].encode()).digest()
