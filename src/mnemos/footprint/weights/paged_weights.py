"""The layers of a model on disk, each in memory while it is used."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.footprint.weights.files import Drive, Reads, RowFile
from mnemos.registry import register


@register("paged-weights")
@dataclass
class PagedWeights:
    """Keep whole layers on disk and read each when it computes; the least recently used make room. A baseline of the others.

    Layers are used one after another, so that the least recently used is the next one that is needed: with less memory than
    all of them take every one is read every time. `pinned` keeps the first ones in memory instead, and reads only the others.
    For reading, not for training: a gradient through a layer that is on disk is refused.
    """

    exact: ClassVar[bool] = True
    share: float = 0.5  # of the layers' bytes that may be in memory
    layers: tuple[str, ...] = ()  # names of modules; none: the members of the model's outermost lists
    pinned: bool = False  # keep the first layers, as many as leave room for the largest of the others
    disk: Drive = Drive()  # noqa: RUF009 - it is frozen
    reads: Reads = field(default_factory=Reads, init=False)  # while it was attached last
    held: int = field(default=0, init=False)  # bytes of layers that are in memory now
    loads: int = field(default=0, init=False)  # layers that were read

    @contextmanager
    def attach(self, model: nn.Module, optimiser: torch.optim.Optimizer | None = None) -> Iterator[PagedWeights]:
        """Put the layers on disk inside the context; afterwards their weights are in memory again.

        Raises InvalidInput where a layer alone is larger than its share of memory, or there are no layers.
        """
        pages = [_Page(module, model, self.disk) for module in self._found(model)]
        total, most = sum(p.nbytes for p in pages), max((p.nbytes for p in pages), default=0)
        if not pages or not most <= self.share * total:
            raise InvalidInput(
                f"{len(pages)} layers of {total} bytes, the largest {most}, do not fit a share of {self.share}: "
                "name smaller modules in `layers`, or give a larger share."
            )
        self.reads, self.held, self.loads = Reads(), 0, 0
        resident: OrderedDict[_Page, None] = OrderedDict()
        with ExitStack() as stack:
            room = int(self.share * total)
            for page in pages:
                stack.callback(page.close)
                page.file.reads = self.reads
                page.leave()
                if self.pinned and page.nbytes <= room - most:
                    room -= page.nbytes
                    page.enter()
                    self.held += page.nbytes
                    continue
                hook = page.module.register_forward_pre_hook(self._hook(page, resident), with_kwargs=True)
                stack.callback(hook.remove)
            self._room = room
            self.reads.forget()
            yield self

    def sizes(self, model: nn.Module) -> list[int]:
        """Return the bytes of each layer that it would put on disk."""
        return [sum(p.nbytes for p in _own(module, model)) for module in self._found(model)]

    def _hook(self, page: _Page, resident: OrderedDict[_Page, None]) -> Any:
        def before(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            if torch.is_grad_enabled() and page.learns(given):
                raise InvalidInput("a gradient through weights on disk is asked for: compute under torch.no_grad().")
            if page in resident:
                resident.move_to_end(page)
                return
            while resident and sum(p.nbytes for p in resident) + page.nbytes > self._room:
                oldest, _ = resident.popitem(last=False)
                oldest.leave()
                self.held -= oldest.nbytes
            page.enter()
            resident[page] = None
            self.held += page.nbytes
            self.loads += 1

        return before

    def _found(self, model: nn.Module) -> list[nn.Module]:
        if self.layers:
            return [model.get_submodule(name) for name in self.layers]
        if isinstance(model, nn.ModuleList | nn.Sequential):
            return [child for child in model if next(child.parameters(), None) is not None]
        return [layer for child in model.children() for layer in self._found(child)]


class _Page:
    """The weights of one module that no other module has, in a file."""

    def __init__(self, module: nn.Module, model: nn.Module, disk: Drive) -> None:
        self.module = module
        # the widest first, so that each begins at a multiple of its size
        self.own = sorted(_own(module, model), key=lambda p: -p.element_size())
        self.shapes = [(p.shape, p.dtype, p.nbytes) for p in self.own]
        self.nbytes = sum(nbytes for *_, nbytes in self.shapes)
        self.file = RowFile(disk)
        self.file.write(torch.cat([p.data.contiguous().view(-1).view(torch.uint8) for p in self.own])[None])

    def enter(self) -> None:
        """Read the weights."""
        flat = torch.empty(1, self.nbytes, dtype=torch.uint8)
        self.file.read([0], flat)
        parts = flat[0].split([nbytes for *_, nbytes in self.shapes])
        for parameter, part, (shape, dtype, _) in zip(self.own, parts, self.shapes, strict=True):
            parameter.data = part.view(dtype).view(shape)

    def leave(self) -> None:
        """Leave a number in the place of each tensor: the shape stays, the bytes are free."""
        for parameter, (shape, dtype, _) in zip(self.own, self.shapes, strict=True):
            parameter.data = torch.zeros((), dtype=dtype).expand(shape)

    def close(self) -> None:
        """Put the weights back and remove the file."""
        self.file.reads = Reads()  # of nobody's account
        self.enter()
        self.file.close()

    def learns(self, given: tuple[Any, ...]) -> bool:
        """Tell whether a gradient would go through the module."""
        tensors = [t for t in given if isinstance(t, Tensor)]
        return any(t.requires_grad for t in (*self.own, *tensors))


def _own(module: nn.Module, model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters of a module that no module outside it has."""
    inside = set(module.modules())
    shared = {id(p) for m in model.modules() if m not in inside for p in m.parameters(recurse=False)}
    return [p for p in module.parameters() if id(p) not in shared]
