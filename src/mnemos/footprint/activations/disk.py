"""Keeping what the backward pass needs on disk, written and read while the model computes."""

from __future__ import annotations

import math
import threading
import time
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar
from weakref import finalize, ref

import torch
from torch import Tensor

from mnemos.errors import Conflict, InvalidInput
from mnemos.footprint.base import Held
from mnemos.footprint.container import Container
from mnemos.registry import Paper, register

MIB = 1 << 20
GROWTH = 1.25  # of the limit after a pass that has not waited


@dataclass(slots=True)
class Traffic:
    """What went where since the saver was made; bytes and seconds."""

    written: int = 0
    read: int = 0
    forwarded: int = 0  # given back from memory, as they were not on the disk yet
    stayed: int = 0  # in memory, as the disk was too slow
    on_the_way: int = 0  # handed over and in memory still
    peak_on_the_way: int = 0
    waited: float = 0.0


@register(
    "disk",
    papers=(
        Paper("SSDTrain: An Activation Offloading Framework to SSDs for Faster Large Language Model Training", "2408.10013"),
        Paper("Efficiently Training 7B LLM with 1 Million Sequence Length on 8 GPUs", "2407.12117"),
        Paper("MemAscend: System Memory Optimization for SSD-Offloaded LLM Fine-Tuning", "2505.23254"),
    ),
    baselines=("in-memory", "recomputed"),
)  # fmt: skip
@dataclass
class Disk:
    """Writes tensors to one file while the forward pass goes on, and reads them, the last first, while the backward does.

    What is asked for before it was written comes from memory. A slow disk takes less: beyond `on_the_way` bytes that wait for it
    tensors stay in memory, and after a pass (forward and backward) that has waited too long fewer bytes are written in the next.
    What the system itself holds of the file is no part of the process; `through` keeps that small, too.
    """

    exact: ClassVar[bool] = True
    folder: Path | None = None  # where the file is; None: the system's folder for temporary files
    share: float = 1.0  # of each tensor that goes to the disk, from its beginning; the rest stays in memory
    on_the_way: int = 256 * MIB  # bytes that wait to be written, at most
    ahead: int = 64 * MIB  # bytes that are read before they are asked for, at most
    patience: float = 0.1  # share of a pass that may be waited; beyond it less is written
    strict: bool = False  # wait for a slow disk, and keep nothing in memory
    throttle: float | None = None  # bytes a second that the disk may be used with; None: as fast as it is
    through: bool = False  # see that the system's cache does not hold what was written
    limit: float = field(default=math.inf, init=False)  # bytes of a pass that go to the disk
    traffic: Traffic = field(default_factory=Traffic, init=False)
    _open: _Open | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise InvalidInput(f"share is {self.share}: give a number from 0 to 1.")

    def pack(self, tensor: Tensor) -> Held:
        """Hand a tensor over to be written, or keep it where the disk is behind."""
        if self._open is None:
            self._open = _Open(Container(self.folder, self.throttle, self.through))
        opened = self._open
        if opened.backward:
            self._judge(opened)
        cut = round(self.share * len(tensor))
        first = tensor[:cut]
        if self.strict:
            self._make_room(opened, first.nbytes)
        busy = self.traffic.on_the_way + first.nbytes > self.on_the_way and not self.strict
        if cut == 0 or opened.failed or busy or opened.sent + first.nbytes > self.limit:
            self.traffic.stayed += tensor.nbytes
            return Held((tensor,))
        opened.sent += first.nbytes
        block = _Block(opened.container, first.detach().cpu(), tensor.device)
        self._count(block.nbytes)
        block.written = opened.writer.submit(self._write, ref(block), block.nbytes)
        opened.order.append(ref(block))
        block.number = len(opened.order) - 1
        return Held((tensor[cut:].clone(),) if cut < len(tensor) else (), block)

    def unpack(self, held: Held) -> Tensor:
        """Return a tensor from memory or from the disk, and begin to read those before it.

        Raises Conflict for what was packed before `close`.
        """
        opened, block = self._open, held.about
        if block is None:
            return held.parts[0]
        if opened is None or block.container is not opened.container:
            raise Conflict("what the backward pass needs went with its file: run it inside of `attached`, too.")
        opened.backward = True
        began = time.perf_counter()
        first = self._fetch(opened, block)
        self.traffic.waited += time.perf_counter() - began
        self._ahead(opened, block.number)
        return first if not held.parts else torch.cat([first, held.parts[0]])

    def close(self) -> None:
        """Wait for the threads and remove the file."""
        if self._open is not None:
            self._open.writer.shutdown(cancel_futures=True)
            self._open.reader.shutdown(cancel_futures=True)
            self._open.container.close()
            self._open, self.traffic.on_the_way = None, 0

    def _fetch(self, opened: _Open, block: _Block) -> Tensor:
        """Return what a block holds."""
        tensor = block.tensor
        if tensor is not None:
            if block.written is not None and not block.written.cancelled() and block.written.cancel():
                self._count(-block.nbytes)
            self.traffic.forwarded += block.nbytes
            return tensor.to(block.device)
        reading = block.reading or opened.reader.submit(block.read)
        block.reading = None
        self.traffic.read += block.nbytes
        return reading.result().to(block.device)

    def _ahead(self, opened: _Open, number: int) -> None:
        """Begin to read the blocks that were written before one, as many bytes as may be."""
        budget = self.ahead
        for place in range(number - 1, -1, -1):
            block = opened.order[place]()
            if block is None or block.tensor is not None:
                continue
            budget -= block.nbytes
            if budget < 0:
                return
            if block.reading is None:
                block.reading = opened.reader.submit(_read, ref(block))

    def _write(self, reference: ref[_Block], nbytes: int) -> None:
        """Write a block that is still wanted; what could not be written stays in memory."""
        block, opened = reference(), self._open
        try:
            if block is not None and block.tensor is not None and opened is not None:
                opened.container.write(block.offset, block.tensor)
                self.traffic.written += nbytes
                block.tensor = None
        except OSError as error:
            if opened is not None and not opened.failed:
                opened.failed = True
                warnings.warn(f"the disk takes no more ({error}): tensors stay in memory from here on.", stacklevel=2)
        finally:
            self._count(-nbytes)

    def _make_room(self, opened: _Open, nbytes: int) -> None:
        """Wait until a tensor may be on the way."""
        began = time.perf_counter()
        for reference in opened.order:
            if self.traffic.on_the_way + nbytes <= self.on_the_way:
                break
            block = reference()
            if block is not None and block.written is not None and not block.written.cancelled():
                block.written.result()
        self.traffic.waited += time.perf_counter() - began

    def _judge(self, opened: _Open) -> None:
        """Set the limit of the next pass by how long the last one has waited."""
        now = time.perf_counter()
        waited, seconds = self.traffic.waited - opened.waited, now - opened.began
        if waited > self.patience * seconds and not self.strict:
            self.limit = opened.sent * max(0.5, 1 - waited / seconds)
        else:
            self.limit = max(self.limit, MIB) * GROWTH
        opened.began, opened.waited, opened.sent, opened.backward = now, self.traffic.waited, 0, False
        opened.order = [reference for reference in opened.order if reference() is not None]
        for place, reference in enumerate(opened.order):
            if (block := reference()) is not None:
                block.number = place

    def _count(self, nbytes: int) -> None:
        with _LOCK:
            self.traffic.on_the_way += nbytes
            self.traffic.peak_on_the_way = max(self.traffic.peak_on_the_way, self.traffic.on_the_way)


class _Open:
    """The file and the threads of a saver that is attached, and what happened in this pass."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self.writer = ThreadPoolExecutor(1, thread_name_prefix="mnemos-write")
        self.reader = ThreadPoolExecutor(1, thread_name_prefix="mnemos-read")
        self.order: list[ref[_Block]] = []  # as they were packed
        self.sent, self.waited, self.began = 0, 0.0, time.perf_counter()
        self.backward = self.failed = False


class _Block:
    """A tensor in memory, until it is written; afterwards a place in the file, which is free once nobody wants it."""

    def __init__(self, container: Container, tensor: Tensor, device: torch.device) -> None:
        self.nbytes, self.count, self.dtype, self.device = tensor.nbytes, len(tensor), tensor.dtype, device
        self.container, self.offset = container, container.place(tensor.nbytes)
        self.tensor: Tensor | None = tensor
        self.number = 0
        self.written: Future[None] | None = None
        self.reading: Future[Tensor] | None = None
        finalize(self, container.free, self.offset, self.nbytes)

    def read(self) -> Tensor:
        """Return what was written."""
        return self.container.read(self.offset, torch.empty(self.count, dtype=self.dtype))


def _read(reference: ref[_Block]) -> Tensor:
    block = reference()
    return torch.empty(0) if block is None else block.read()


_LOCK = threading.Lock()
