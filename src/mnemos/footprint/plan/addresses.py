"""Where each tensor of a training step goes in one block of memory, so that the block is small."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mnemos.errors import InvalidInput
from mnemos.footprint.base import Prediction
from mnemos.registry import Paper, register

ALIGNED = 64  # bytes: addresses are multiples of it
Longs = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Bytes that are held from one operation of a step to another, both included."""

    nbytes: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Placement:
    """Addresses of lifetimes in one block: two that are held at once do not overlap."""

    offsets: tuple[int, ...]
    nbytes: int  # of the block


def lifetimes(step: Callable[[], Any]) -> list[Lifetime]:
    """Return what is made and let go while `step()` runs, each storage once; what it was given is not counted."""
    mode = _Watch()
    with mode:
        step()
    return mode.found()


def least(held: Sequence[Lifetime]) -> int:
    """Return the most bytes that are held at once: no block can be smaller."""
    change: dict[int, int] = {}
    for one in held:
        change[one.first] = change.get(one.first, 0) + _rounded(one.nbytes)
        change[one.last + 1] = change.get(one.last + 1, 0) - _rounded(one.nbytes)
    return max(np.cumsum([change[moment] for moment in sorted(change)]).tolist(), default=0)


def first_fit(held: Sequence[Lifetime]) -> Placement:
    """Place each at the lowest free address at the time when it is made, as an allocator does that knows no future."""
    return _placed(held, sorted(range(len(held)), key=lambda i: held[i].first))


@register(
    "addresses",
    papers=(Paper("Efficiently Training 7B LLM with 1 Million Sequence Length on 8 GPUs", "2407.12117"),),
)
@dataclass(frozen=True)
class Addresses:
    """Give the tensors of a step addresses in one block, made once, so that nothing is lost between them.

    The paper solves an integer program for a layer and again for the layers. Here each tensor goes to its lowest free address, in
    the best of some orders (the largest first, or the longest held), and the order is then changed for `rounds`: what reaches the
    top of the block is placed earlier. Rounds end at the lower bound. Costs rounds x n^2 / 2 for n tensors.
    """

    held: Sequence[Lifetime]  # as `lifetimes` returns them
    rounds: int = 200  # changes of the order that are tried
    seed: int = 0  # of the changes

    def __post_init__(self) -> None:
        if any(one.nbytes < 1 or one.last < one.first for one in self.held):
            raise InvalidInput("a lifetime has no bytes, or ends before it begins: give those of `lifetimes(step)`.")

    def place(self) -> Placement:
        """Return the best placement that was found, never larger than `first_fit`."""
        held, bound, rng = self.held, least(self.held), random.Random(self.seed)
        orders = [sorted(range(len(held)), key=key) for key in self._orders()]
        best, order = min(((_placed(held, order), order) for order in orders), key=lambda found: found[0].nbytes)
        for _ in range(self.rounds):
            if best.nbytes <= bound:
                break
            changed = self._changed(order, best, rng)
            if (tried := _placed(held, changed)).nbytes <= best.nbytes:
                best, order = tried, changed
        return best

    def predict(self) -> Prediction:
        """Return the bytes of the block, beside the bound and what first fit takes; no seconds."""
        placement = self.place()
        told = (
            f"{len(self.held)} tensors: {least(self.held)} bytes at least, {first_fit(self.held).nbytes} by first fit"
        )
        return Prediction(placement.nbytes, 0.0, {"block": placement.nbytes}, (told,))

    def _orders(self) -> list[Callable[[int], tuple[int, ...]]]:
        held = self.held
        return [
            lambda i: (held[i].first,),
            lambda i: (-held[i].nbytes, held[i].first),
            lambda i: (held[i].first - held[i].last, -held[i].nbytes),
            lambda i: (held[i].nbytes * (held[i].first - held[i].last - 1), held[i].first),
        ]

    def _changed(self, order: list[int], placement: Placement, rng: random.Random) -> list[int]:
        """Return the order with one that reaches the top placed earlier."""
        top = [
            place for place, i in enumerate(order)
            if placement.offsets[i] + _rounded(self.held[i].nbytes) == placement.nbytes
        ]  # fmt: skip
        place = rng.choice(top)
        changed = order.copy()
        changed.insert(rng.randrange(place + 1), changed.pop(place))
        return changed


def _placed(held: Sequence[Lifetime], order: Sequence[int]) -> Placement:
    """Return each at its lowest free address, in an order."""
    first = np.array([held[i].first for i in order], dtype=np.int64)
    last = np.array([held[i].last for i in order], dtype=np.int64)
    size = np.array([_rounded(held[i].nbytes) for i in order], dtype=np.int64)
    at: Longs = np.zeros(len(order), dtype=np.int64)
    for n in range(len(order)):
        beside = np.flatnonzero((first[:n] <= last[n]) & (last[:n] >= first[n]))
        beside = beside[np.argsort(at[beside], kind="stable")]
        ends = np.maximum.accumulate(np.concatenate([[0], at[beside] + size[beside]]))
        room = np.flatnonzero(at[beside] - ends[:-1] >= size[n])
        at[n] = ends[room[0]] if len(room) else ends[-1]
    offsets = [0] * len(order)
    for i, offset in zip(order, at.tolist(), strict=True):
        offsets[i] = offset
    return Placement(tuple(offsets), int((at + size).max(initial=0)))


def _rounded(nbytes: int) -> int:
    return -(-nbytes // ALIGNED) * ALIGNED


class _Watch(TorchDispatchMode):  # type: ignore[misc]
    """Notes at which operation each new storage comes, and by which it is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.moment = 0
        self.live: dict[int, tuple[StorageWeakRef, int, int]] = {}  # by address: reference, bytes, first
        self.given: dict[int, StorageWeakRef] = {}  # held weakly, so that no other storage takes the address
        self.gone: list[Lifetime] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._let_go()
        for tensor in _tensors((args, kwargs)):
            if tensor.untyped_storage()._cdata not in self.live:
                self.given[tensor.untyped_storage()._cdata] = StorageWeakRef(tensor.untyped_storage())
        out = func(*args, **(kwargs or {}))
        for tensor in _tensors(out):
            storage = tensor.untyped_storage()
            if storage._cdata not in self.live and storage._cdata not in self.given and storage.nbytes():
                self.live[storage._cdata] = StorageWeakRef(storage), storage.nbytes(), self.moment
        self.moment += 1
        return out

    def found(self) -> list[Lifetime]:
        """Return the lifetimes; what is still there lasts to the end."""
        self._let_go()
        last = max(0, self.moment - 1)
        return sorted(
            [*self.gone, *(Lifetime(nbytes, first, last) for _, nbytes, first in self.live.values())],
            key=lambda one: (one.first, one.last),
        )

    def _let_go(self) -> None:
        for key in [key for key, (reference, *_) in self.live.items() if reference.expired()]:
            _, nbytes, first = self.live.pop(key)
            self.gone.append(Lifetime(nbytes, first, max(first, self.moment - 1)))


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
