"""How savers, rewriters and offloaders are attached to a model, together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from weakref import WeakSet, finalize, ref

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from mnemos.errors import Conflict, InvalidInput
from mnemos.footprint.base import Held, Offloader, Rewriter, Saver, Usage

LEAST = 4096  # bytes: what is smaller stays as autograd keeps it
_ATTACHED: WeakSet[nn.Module] = WeakSet()  # models that have something attached


@contextmanager
def attached(
    model: nn.Module,
    *methods: Saver | Rewriter | Offloader,
    optimiser: torch.optim.Optimizer | None = None,
    least: int = LEAST,
) -> Iterator[Usage]:
    """Let a model train and run with methods of `mnemos.footprint` inside the context; yield what is kept for the backward.

    Modules are rewritten first, then states are offloaded, then the savers work one after another: what the first
    keeps in memory the next one packs again. Forward and backward both belong inside. Savers see a storage once, however many
    views of it are kept, and neither parameters nor tensors below `least` bytes. Afterwards the model has its own modules again.
    Raises InvalidInput for what is no such method, and Conflict for a model that has something attached already.
    """
    savers: list[Saver] = []
    rewriters: list[Rewriter] = []
    offloaders: list[Offloader] = []
    for method in methods:
        if isinstance(method, Saver):
            savers.append(method)
        elif isinstance(method, Rewriter):
            rewriters.append(method)
        elif isinstance(method, Offloader):
            offloaders.append(method)
        else:
            raise InvalidInput(
                f"{method!r} is no saver, rewriter or offloader: `mnemos methods --form footprint` lists them."
            )
    if model in _ATTACHED:
        raise Conflict("something is attached to this model already: give all methods to one call of `attached`.")
    usage = Usage()
    with ExitStack() as stack:
        _ATTACHED.add(model)
        stack.callback(_ATTACHED.discard, model)
        for rewriter in rewriters:
            stack.enter_context(_rewritten(model, rewriter))
        for offloader in offloaders:
            stack.enter_context(offloader.attach(model, optimiser))
        for saver in savers:
            stack.callback(saver.close)
        hooks = _Hooks(model, savers, usage, least)
        stack.callback(hooks.close)
        stack.enter_context(torch.autograd.graph.saved_tensors_hooks(hooks.pack, hooks.unpack))
        yield usage


@contextmanager
def _rewritten(model: nn.Module, rewriter: Rewriter) -> Iterator[None]:
    """Put the modules of a rewriter in their places, and ordinary ones afterwards; a shared module is rewritten once."""
    places: list[tuple[nn.Module, str, nn.Module]] = []
    made: dict[int, nn.Module] = {}
    for path, parent in list(model.named_modules()):
        for name, child in list(parent.named_children()):
            new = made.get(id(child)) or rewriter.replace(f"{path}.{name}".lstrip("."), child)
            if new is not None:
                made[id(child)] = new
                places.append((parent, name, new))
    for parent, name, new in places:
        setattr(parent, name, new)
    try:
        yield
    finally:
        restored: dict[int, nn.Module] = {}
        for parent, name, new in places:
            if id(new) not in restored:
                restored[id(new)] = rewriter.restore(new)
            setattr(parent, name, restored[id(new)])


class _Storage:
    """What is kept of one storage, as long as some view of it is."""

    __slots__ = ("__weakref__", "packed")

    def __init__(self, packed: _Packed) -> None:
        self.packed = packed


class _View(NamedTuple):
    """What autograd is given in place of a tensor."""

    of: _Storage
    offset: int
    shape: torch.Size
    stride: tuple[int, ...]


class _Packed(NamedTuple):
    """What a saver keeps of a tensor: in the place of its parts what the next saver keeps of them."""

    by: Saver
    parts: tuple[Tensor | _Packed, ...]
    about: Any

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in self.parts)


class _Hooks:
    """Packs what autograd keeps by savers, each storage once.

    As without savers, what was kept must not be changed in place before the backward pass; here nothing notices it.
    """

    def __init__(self, model: nn.Module, savers: Sequence[Saver], usage: Usage, least: int) -> None:
        self.savers, self.usage, self.least = savers, usage, least
        self.own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
        # a reference that is not counted keeps an address from being another storage's while it is a key
        self.known: dict[tuple[int, int], tuple[StorageWeakRef, ref[_Storage]]] = {}
        self.last: tuple[_Storage, Tensor] | None = None  # read by several operations, one after another

    def pack(self, tensor: Tensor) -> Tensor | _View:
        if not self.savers or tensor.layout != torch.strided or tensor.nbytes < self.least:
            return tensor.detach()  # an output with its graph would hold itself until a backward pass
        storage = tensor.untyped_storage()
        if storage.data_ptr() in self.own:
            return tensor.detach()
        reference = StorageWeakRef(storage)
        key = reference.cdata, tensor._version
        of = self.known[key][1]() if key in self.known else None
        if of is None:
            flat = torch.empty(0, dtype=tensor.dtype, device=tensor.device).set_(storage)
            of = _Storage(_packed(flat, self.savers))
            self.known[key] = reference, ref(of)
            kept = of.packed.nbytes
            self.usage.add(kept, storage.nbytes())
            finalize(of, self._let_go, key, kept, storage.nbytes())
        return _View(of, tensor.storage_offset(), tensor.shape, tensor.stride())

    def unpack(self, kept: Tensor | _View) -> Tensor:
        if isinstance(kept, Tensor):
            return kept
        if self.last is None or self.last[0] is not kept.of:
            self.last = kept.of, _unpacked(kept.of.packed)
        return self.last[1].as_strided(kept.shape, kept.stride, kept.offset)

    def close(self) -> None:
        self.last = None

    def _let_go(self, key: tuple[int, int], kept: int, plain: int) -> None:
        del self.known[key]
        self.usage.add(-kept, -plain)


def _packed(tensor: Tensor, savers: Sequence[Saver]) -> _Packed:
    held = savers[0].pack(tensor)
    later = savers[1:]
    return _Packed(savers[0], tuple(_packed(part, later) if later else part for part in held.parts), held.about)


def _unpacked(packed: _Packed) -> Tensor:
    parts = tuple(_unpacked(part) if isinstance(part, _Packed) else part for part in packed.parts)
    return packed.by.unpack(Held(parts, packed.about))
