"""Layers that compute slice by slice where that saves memory, found by tracing them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_flatten, tree_unflatten

from mnemos.errors import InvalidInput
from mnemos.footprint.activations.chunk_flow import RESHAPES, SIZED, changes, name, shape, tensors
from mnemos.footprint.activations.chunk_plan import Item, Memory, Region, plan, summary
from mnemos.footprint.activations.recomputed import again, outermost
from mnemos.footprint.wrapper import Wrapper, Wraps
from mnemos.registry import Paper, register


@register(
    "chunked",
    papers=(
        Paper(
            "AutoChunk: Automated Activation Chunk for Memory-Efficient Long Sequence Inference",
            "2401.10652",
            code="hpcaitech/ColossalAI",
        ),
    ),
    baselines=("in-memory",),
)
@dataclass
class Chunked(Wraps):
    """Run the parts of a layer that need most memory slice by slice, in slices as large as a budget lets them be.

    A layer is traced once for each shape of its inputs, without computing. A dimension of an output is followed back through the
    operations, as far as each can work on slices of it; of all such regions those are taken that bring the estimated peak below
    the budget at the least cost. Results are the layer's but for rounding, as a matrix may be multiplied in other blocks. Where
    gradients are asked for slices are computed again in the backward pass.
    """

    exact: ClassVar[bool] = False
    budget: int | None = None  # bytes of what a layer makes, at most
    share: float = 0.25  # of what it makes without: the budget where none is given
    layers: str = r"(.*\.)?\d+"  # names of the modules, as a regular expression; by default the members of lists
    chunk: int | None = None  # size of all slices; None: by the budget
    why: list[str] = field(default_factory=list, init=False)  # what was chosen, a sentence for each region

    def replace(self, name: str, module: nn.Module) -> nn.Module | None:
        """Return a module that computes in slices, for those that `layers` names."""
        return _Layer(self, name, module) if outermost(self.layers, name) else None


class _Layer(Wrapper):
    """A layer in slices; a plan for each shape of what it is given."""

    def __init__(self, of: Chunked, name: str, layer: nn.Module) -> None:
        super().__init__(layer)
        self.of, self.name = of, name
        self.budget = 0  # bytes, of the last plan
        self.plans: dict[Any, Program] = {}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the layer returns."""
        leaves, form = tree_flatten((args, kwargs))
        given = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        others = [None if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        key = (form, repr(others), self.training, torch.is_grad_enabled(), *((t.shape, t.dtype) for t in given))
        if key not in self.plans:
            self.plans[key] = self._traced(given, leaves, form)
        return self.plans[key].run(given)

    def _traced(self, given: Sequence[Tensor], leaves: Sequence[Any], form: Any) -> Program:
        out_form: list[Any] = []

        def call(*tensors: Tensor) -> Any:
            left = iter(tensors)
            args, kwargs = tree_unflatten([next(left) if isinstance(x, Tensor) else x for x in leaves], form)
            found, into = tree_flatten(self.inner(*args, **kwargs))
            out_form.append(into)
            return found

        traced = make_fx(call, tracing_mode="fake", pre_dispatch=True, _allow_non_fake_inputs=True)(*given)
        program = Program(traced, out_form[0])
        if any(changes(node) for node in program.order):
            raise InvalidInput(
                f"{self.name} writes into its own tensors: leave it out of `layers`, it cannot run in slices."
            )
        whole = Memory(program.items).peak
        self.budget = budget = int(self.of.share * whole) if self.of.budget is None else self.of.budget
        program.items = plan(program.order, budget, self.of.chunk)
        peak = Memory(program.items).peak
        self.of.why += [f"{self.name}: {summary(item)}." for item in program.items if isinstance(item, Region)]
        if peak > budget and self.of.budget is not None:  # a share of a layer is a wish, bytes are a limit
            warnings.warn(f"{self.name} makes {peak} bytes at once in slices, not {budget}: give more.", stacklevel=4)
        return program


class Program:
    """A traced computation, run item by item; what is not needed any more is let go."""

    def __init__(self, traced: GraphModule, form: Any) -> None:
        self.traced, self.form = traced, form
        self.order = list(traced.graph.nodes)
        self.items: list[Item] = [n for n in self.order if n.op not in ("placeholder", "get_attr", "output")]

    def run(self, given: Sequence[Tensor]) -> Any:
        """Return what the computation returns for these tensors."""
        held: dict[Node, Any] = {}
        left = iter(given)
        for node in self.order:
            if node.op == "placeholder":
                held[node] = next(left)
            elif node.op == "get_attr":
                held[node] = getattr(self.traced, str(node.target))
        (output,) = (node for node in self.order if node.op == "output")
        last = {node: at for at, item in enumerate(self.items) for node in _read(item)} | dict.fromkeys(
            output.all_input_nodes, -1
        )
        for at, item in enumerate(self.items):
            end = item if isinstance(item, Node) else item.end
            held[end] = _call(item, held.__getitem__) if isinstance(item, Node) else _looped(item, held)
            for node in {end, *_read(item)}:
                if last.get(node, at) == at:
                    held.pop(node, None)
        return tree_unflatten([held[x] if isinstance(x, Node) else x for x in output.args[0]], self.form)


def _read(item: Item) -> list[Node]:
    return list(item.all_input_nodes) if isinstance(item, Node) else item.inputs


def _call(node: Node, of: Callable[[Node], Any], target: Any = None, args: Any = None) -> Any:
    found = torch.fx.node.map_arg(node.args if args is None else args, of)
    return (target or node.target)(*found, **torch.fx.node.map_arg(node.kwargs, of))


def _looped(region: Region, held: dict[Node, Any]) -> Tensor:
    """Return the output of a region, slice by slice."""
    dim = region.dims[region.end]
    inputs = region.inputs
    values = [held[node] for node in inputs]
    if torch.is_grad_enabled() and any(isinstance(v, Tensor) and v.requires_grad for v in values):
        parts = [again(_slice, region, start, inputs, *values) for start in range(0, region.size, region.chunk)]
        return torch.cat(parts, dim)
    out: Tensor | None = None
    for start in range(0, region.size, region.chunk):
        part = _slice(region, start, inputs, *values)
        if out is None:
            out = part.new_empty(shape(region.end))
        out.narrow(dim, start, part.shape[dim]).copy_(part)
    assert out is not None
    return out


def _slice(region: Region, start: int, inputs: Sequence[Node], *values: Any) -> Tensor:
    held = dict(zip(inputs, values, strict=True))
    length = min(region.chunk, region.size - start)
    last = {node: at for at, member in enumerate(region.members) for node in tensors(member)}
    for at, member in enumerate(region.members):

        def of(node: Node, member: Node = member) -> Any:
            along = region.edges.get((member, node))
            return held[node] if along is None or node in region.dims else held[node].narrow(along, start, length)

        target, args = member.target, list(member.args)
        if name(member) in SIZED:
            sizes = list(shape(member))
            sizes[region.dims[member]] = length
            args[1] = sizes
            target = torch.ops.aten.reshape.default if name(member) in RESHAPES else target
        held[member] = _call(member, of, target, tuple(args))
        for node in {member, *tensors(member)}:
            if last.get(node, len(region.members)) == at and node in region.dims:
                held.pop(node)
    found: Tensor = held[region.end]
    return found
