"""Keeping the states of an optimiser on disk: each parameter is updated when its gradient is there."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.footprint.container import Buffers, Container, Striped
from mnemos.registry import Paper, register

LEAST = 4096  # bytes: smaller states stay in memory


@dataclass(slots=True)
class Moved:
    """What an offloader of states did so far, in bytes and in parameters."""

    written: int = 0
    read: int = 0
    in_memory: int = 0  # now, of states
    peak_in_memory: int = 0
    early: int = 0  # parameters that were updated before the backward pass had ended

    def add(self, nbytes: int) -> None:
        """Count bytes that are in memory from now on; negative ones are no longer."""
        self.in_memory += nbytes
        self.peak_in_memory = max(self.peak_in_memory, self.in_memory)


@register(
    "states-on-disk",
    papers=(
        Paper("Adding NVMe SSDs to Enable and Accelerate 100B Model Fine-tuning on a Single GPU", "2403.06504"),
        Paper("MemAscend: System Memory Optimization for SSD-Offloaded LLM Fine-Tuning", "2505.23254"),
        Paper("Analysis and Optimized CXL-Attached Memory Allocation for Long-Context LLM Fine-Tuning", "2507.03305"),
    ),
)
@dataclass
class StatesOnDisk:
    """Updates each parameter as soon as its gradient is there, with states that are read for it and written back.

    The update is the optimiser's own, so weights are those of plain training bit for bit. It runs beside the backward pass
    (`overlap`), and `optimiser.step` waits for the last one. Gradients are gone once they are used: what needs all of them at
    once, as clipping, or several backward passes for a step, does not fit. Afterwards all states are in memory again.
    """

    exact: ClassVar[bool] = True
    folder: Path | None = None  # where the file is; None: the system's folder for temporary files
    fast: int = 0  # bytes of states that stay in memory
    overlap: bool = True  # update in a thread while the backward pass goes on; False: in between
    ahead: int = 2  # parameters whose states are read before their gradients are there
    stripes: int = 1  # files that each state is spread over
    pooled: bool = True  # read into buffers of each size that is needed; False: all of them as large as the largest
    one_file: bool = True  # for all states; False: a file for each
    throttle: float | None = None  # bytes a second that each file may be used with; None: as fast as it is
    moved: Moved = field(default_factory=Moved, init=False)

    @contextmanager
    def attach(self, model: nn.Module, optimiser: torch.optim.Optimizer | None = None) -> Iterator[None]:
        """Keep the states of an optimiser on disk inside the context."""
        if optimiser is None:
            raise InvalidInput("there is no optimiser: give it to `attached(..., optimiser=...)`.")
        if any(p.device.type != "cpu" for group in optimiser.param_groups for p in group["params"]):
            raise InvalidInput("some parameters are not on the CPU: states are read from disk into its memory only.")
        before = optimiser.__dict__.get("step")
        run = _Run(self, optimiser)
        hooks = [parameter.register_post_accumulate_grad_hook(run.arrived) for parameter in run.groups]
        optimiser.step = run.finish
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
            del optimiser.step
            if before is not None:
                optimiser.step = before
            run.close()


class _Run:
    """One training: where each state is, and what is being updated."""

    def __init__(self, knobs: StatesOnDisk, optimiser: torch.optim.Optimizer) -> None:
        self.knobs, self.optimiser, self.own_step = knobs, optimiser, optimiser.step
        self.groups = {p: group for group in optimiser.param_groups for p in group["params"]}
        self.containers: list[Container | Striped] = []
        self.buffers = Buffers(knobs.pooled, max((p.nbytes for p in self.groups), default=0))
        self.places: dict[tuple[Tensor, str], tuple[Container | Striped, int]] = {}
        self.kinds: dict[tuple[Tensor, str], tuple[torch.dtype, torch.Size]] = {}
        self.fast: set[Tensor] = set()
        self.order: list[Tensor] = []  # as gradients came in the last step
        self.now: list[Tensor] = []
        self.reads: dict[Tensor, Future[dict[str, tuple[Tensor, Tensor]]]] = {}
        self.pending: list[Future[None]] = []
        self.worker, self.reader = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        for parameter in self.groups:
            knobs.moved.add(sum(t.nbytes for t in self._tensors(parameter).values()))
            self._store(parameter, {})

    def arrived(self, parameter: Tensor) -> None:
        """Update a parameter whose gradient is there."""
        self.now.append(parameter)
        self.knobs.moved.early += 1
        if self.knobs.overlap:
            self.pending.append(self.worker.submit(self._update, parameter, len(self.now)))
        else:
            self._update(parameter, len(self.now))

    def finish(self, closure: Any = None) -> None:
        """Wait for all updates; in place of `optimiser.step`. Raises InvalidInput for a closure."""
        if closure is not None:
            raise InvalidInput("states on disk cannot compute a loss again: call `step` without a closure.")
        for future in self.pending:
            future.result()
        for parameter in self.groups:
            if parameter.grad is not None:  # set by hand, without a backward pass
                self._update(parameter, 0)
        self.pending, self.order, self.now = [], self.now or self.order, []

    def close(self) -> None:
        """Read all states into memory and remove the files."""
        for future in self.pending:
            future.exception()
        self.worker.shutdown()
        self.reader.shutdown()
        for parameter in self.groups:
            reading = self.reads.pop(parameter, None)
            found = reading.result() if reading is not None else self._load(parameter)
            self.optimiser.state[parameter].update({name: tensor.clone() for name, (tensor, _) in found.items()})
            for _, buffer in found.values():
                self._done(buffer)
        for container in self.containers:
            container.close()
        self.knobs.moved.in_memory = 0

    def _update(self, parameter: Tensor, number: int) -> None:
        reading = self.reads.pop(parameter, None)
        for later in self.order[number : number + self.knobs.ahead] if self.knobs.overlap else ():
            if later not in self.reads and later is not parameter:
                self.reads[later] = self.reader.submit(self._load, later)
        found = reading.result() if reading is not None else self._load(parameter)
        had = self._tensors(parameter).keys() | found.keys()
        self.optimiser.state[parameter].update({name: tensor for name, (tensor, _) in found.items()})
        groups = self.optimiser.param_groups
        self.optimiser.param_groups = [{**self.groups[parameter], "params": [parameter]}]
        try:
            self.own_step()
        finally:
            self.optimiser.param_groups = groups
        parameter.grad = None
        self.knobs.moved.add(sum(t.nbytes for name, t in self._tensors(parameter).items() if name not in had))
        self._store(parameter, {name: buffer for name, (_, buffer) in found.items()})

    def _tensors(self, parameter: Tensor) -> dict[str, Tensor]:
        state = self.optimiser.state.get(parameter, {})
        return {n: t for n, t in state.items() if isinstance(t, Tensor) and t.nbytes >= LEAST}

    def _load(self, parameter: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Return the states of a parameter that are on disk, each with the buffer that it is in."""
        found = {}
        for key, (container, place) in list(self.places.items()):
            if key[0] is parameter:
                dtype, shape = self.kinds[key]
                nbytes = shape.numel() * dtype.itemsize
                buffer = self.buffers.take(nbytes)
                self.knobs.moved.add(buffer.nbytes)
                container.read(place, buffer[:nbytes])
                self.knobs.moved.read += nbytes
                found[key[1]] = buffer[:nbytes].view(dtype).view(shape), buffer
        return found

    def _store(self, parameter: Tensor, buffers: dict[str, Tensor]) -> None:
        """Write the states of a parameter and let them go, but for those that may stay."""
        tensors = self._tensors(parameter)
        stays = parameter in self.fast or (
            bool(tensors) and not buffers and self._held() + sum(t.nbytes for t in tensors.values()) <= self.knobs.fast
        )
        if stays:
            self.fast.add(parameter)
            return
        for name, tensor in tensors.items():
            key = (parameter, name)
            if key not in self.places:
                if not self.containers or not self.knobs.one_file:
                    self.containers.append(self._container())
                self.places[key] = self.containers[-1], self.containers[-1].place(tensor.nbytes)
                self.kinds[key] = tensor.dtype, tensor.shape
            self.places[key][0].write(self.places[key][1], tensor.contiguous())
            self.knobs.moved.written += tensor.nbytes
            del self.optimiser.state[parameter][name]
            if name not in buffers:
                self.knobs.moved.add(-tensor.nbytes)
        for buffer in buffers.values():
            self._done(buffer)

    def _done(self, buffer: Tensor) -> None:
        self.knobs.moved.add(-buffer.nbytes)
        self.buffers.give(buffer)

    def _held(self) -> int:
        return sum(t.nbytes for parameter in self.fast for t in self._tensors(parameter).values())

    def _container(self) -> Container | Striped:
        folder, throttle = self.knobs.folder, self.knobs.throttle
        if self.knobs.stripes > 1:
            return Striped([Container(folder, throttle) for _ in range(self.knobs.stripes)])
        return Container(folder, throttle)
