"""Feed-forward layers of ReLU on disk, neuron by neuron: those that are active are read, and some stay in memory.

D width, n neurons of a layer, N tokens of a call, C neurons that a layer has room for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from mnemos.errors import InvalidInput
from mnemos.footprint.weights.active_neurons import Bounded, Finder, Predictor
from mnemos.footprint.weights.files import Drive, Reads, RowFile
from mnemos.footprint.weights.relu_feeds import Feed, find
from mnemos.registry import Paper, register

ALWAYS = torch.iinfo(torch.int64).max  # when a neuron that stays was used last


@register(
    "neurons-on-disk",
    papers=(
        Paper("LLM in a flash: Efficient Large Language Model Inference with Limited Memory", "2312.11514"),
        Paper("PowerInfer-2: Fast Large Language Model Inference on a Smartphone", "2406.06282"),
    ),
    baselines=("paged-weights",),
)
@dataclass
class NeuronsOnDisk:
    """Read the neurons that are active for a token from disk, and hold those of the last tokens, or the most used, in memory.

    What a neuron has (its rows and its column) stands together in the file and comes in one read. In memory they stand in one
    tensor per layer, as large as it may become: a neuron that comes goes to the end, one that goes is overwritten by the last.
    All of them compute. With the predictor `Bounded` no active neuron is missed, and the outputs are the model's but for
    the order in which numbers are added; with `LowRank` those that it misses add nothing. For reading: it gives no gradients.
    """

    exact: ClassVar[bool] = False
    share: float = 0.5  # of the feed-forward layers' bytes that may be in memory, the predictors' included
    window: int | None = (
        5  # tokens before a call whose neurons are still in memory; None: until there is no room (PowerInfer-2)
    )
    hot: float = 0.0  # share of the room whose neurons always stay: the most used ones of `inputs`
    predictor: Predictor = Bounded()  # noqa: RUF009 - it is frozen
    bundled: bool = True  # rows and columns of a neuron together; otherwise in files of their own
    inputs: Mapping[str, Tensor] | None = None  # what `relu_feeds.recorded` returned, for `hot` and some predictors
    disk: Drive = Drive()  # noqa: RUF009 - it is frozen
    reads: Reads = field(default_factory=Reads, init=False)  # while it was attached last
    held: int = field(default=0, init=False)  # bytes in memory: rooms and predictors
    wanted: int = field(default=0, init=False)  # neurons that were told active
    missing: int = field(default=0, init=False)  # those of them that were not in memory

    @contextmanager
    def attach(self, model: nn.Module, optimiser: torch.optim.Optimizer | None = None) -> Iterator[NeuronsOnDisk]:
        """Put the feed-forward layers on disk inside the context; afterwards their weights are in memory again.

        Raises InvalidInput where there are none of ReLU, or no room for a neuron.
        """
        feeds = find(model)
        if not feeds:
            raise InvalidInput("the model has no feed-forward layers of ReLU: `paged-weights` is for any layers.")
        if self.hot and self.inputs is None:
            raise InvalidInput("`hot` is by use: give what `relu_feeds.recorded` returns to `inputs`.")
        self.reads, self.held, self.wanted, self.missing = Reads(), 0, 0, 0
        with ExitStack() as stack:
            for name, feed in feeds.items():
                inputs = None if self.inputs is None else self.inputs[name]
                layer = _Layer(self, feed, inputs)
                stack.callback(layer.close)
                self.held += layer.nbytes
                parent, _, last = name.rpartition(".")
                stack.callback(setattr, model.get_submodule(parent), last, feed.module)
                setattr(model.get_submodule(parent), last, layer)
            yield self


class _Layer(nn.Module):  # type: ignore[misc]
    """A feed-forward layer whose neurons are in a file."""

    def __init__(self, of: NeuronsOnDisk, feed: Feed, inputs: Tensor | None) -> None:
        super().__init__()
        first, value, down = feed.first, feed.value, feed.down
        self.of, self.weights = of, [m for m in (first, value, down) if m is not None]
        self.shapes = [m.weight.shape for m in self.weights]
        self.biases = [m.bias for m in self.weights if m.bias is not None]
        self.down_bias, self.gated = down.bias, value is not None
        rows = [first.weight, *([] if value is None else [value.weight]), down.weight.T]
        zeros = rows[0].new_zeros(len(rows[0]))
        bias = [zeros if m is None or m.bias is None else m.bias.detach() for m in (first, value)]
        parts = [torch.cat([row.detach(), b[:, None]], 1) for row, b in zip(rows[:-1], bias, strict=False)]
        parts.append(rows[-1].detach())
        self.widths = [part.shape[1] for part in parts]
        self.files: list[RowFile] = []
        for part in [torch.cat(parts, 1)] if of.bundled else parts:
            self.files.append(RowFile(of.disk))
            self.files[-1].write(part)
            self.files[-1].reads = of.reads
        self.finder: Finder = of.predictor.finder(first.weight.detach(), bias[0], inputs)
        row = sum(self.widths) * rows[0].element_size()
        room = int((of.share * feed.nbytes - self.finder.nbytes - sum(b.nbytes for b in self.biases)) // row)
        if room < 1:
            raise InvalidInput(f"a share of {of.share} has no room for a neuron of {row} bytes: give a larger one.")
        n = self.shapes[0][0]
        room = min(room, n)
        self.rows = [
            rows[0].new_empty(room, width, requires_grad=False)
            for width in ([sum(self.widths)] if of.bundled else self.widths)
        ]
        self.numbers = torch.empty(room, dtype=torch.int64)  # of the neurons in memory
        self.used = torch.empty(room, dtype=torch.int64)  # when, in tokens
        self.slot = torch.full((n,), -1)  # of each neuron
        self.count = self.now = 0
        if of.hot and inputs is not None:
            often = (inputs @ first.weight.T + bias[0] > 0).sum(0)
            self._take(often.topk(min(int(of.hot * room), room - 1)).indices.sort().values, ALWAYS)
        of.reads.forget()
        for module in self.weights:
            module.weight.data = torch.zeros((), dtype=module.weight.dtype).expand(module.weight.shape)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        tensors = [*self.rows, *self.biases]
        return int(sum(t.nbytes for t in tensors) + self.finder.nbytes)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the layer makes of x (..., D)."""
        if torch.is_grad_enabled() and x.requires_grad:
            raise InvalidInput("a gradient through weights on disk is asked for: compute under torch.no_grad().")
        flat = x.reshape(-1, x.shape[-1])
        self.now += len(flat)
        wanted = self.finder(flat).any(0)
        present = wanted & (self.slot >= 0)
        missing = (wanted & (self.slot < 0)).nonzero()[:, 0]
        self.of.wanted += int(wanted.sum())
        self.of.missing += len(missing)
        slots = self.slot[present]
        self.used[slots] = self.used[slots].clamp(min=self.now)
        if self.of.window is not None:
            self._drop((self.used[: self.count] <= self.now - len(flat) - self.of.window).nonzero()[:, 0])
        made = None
        while True:
            fits = self._make_room(len(missing), made is not None)
            begin = self.count
            part, missing = missing[:fits], missing[fits:]
            self._take(part, self.now)
            # at first all that is in memory computes, then what was read in its place
            added = self._compute(flat, 0 if made is None else begin)
            made = added if made is None else made + added
            if not len(missing):
                break
        if self.down_bias is not None:
            made = made + self.down_bias
        return made.view(*x.shape[:-1], -1)

    def _make_room(self, count: int, passed: bool) -> int:
        """Return for how many neurons there is room, after the least recently used went; `passed`: this call's may go too."""
        need = count - (len(self.numbers) - self.count)
        if need > 0:
            used = self.used[: self.count]
            may = (used < (ALWAYS if passed else self.now)).nonzero()[:, 0]
            self._drop(may[used[may].argsort()[:need]])
        return min(count, len(self.numbers) - self.count)

    def _drop(self, slots: Tensor) -> None:
        """Overwrite rows with the last ones, which stay."""
        if not len(slots):
            return
        after = self.count - len(slots)
        self.slot[self.numbers[slots]] = -1
        holes = slots[slots < after]
        last = torch.ones(len(slots), dtype=torch.bool)
        last[slots[slots >= after] - after] = False
        moved = last.nonzero()[:, 0] + after
        for rows in self.rows:
            rows[holes] = rows[moved]
        self.numbers[holes], self.used[holes] = self.numbers[moved], self.used[moved]
        self.slot[self.numbers[holes]] = holes
        self.count = after

    def _take(self, numbers: Tensor, used: int) -> None:
        """Read neurons to the end of what is in memory."""
        begin, end = self.count, self.count + len(numbers)
        which = numbers.tolist()
        for file, rows in zip(self.files, self.rows, strict=True):
            file.read(which, rows[begin:end])
        self.numbers[begin:end], self.used[begin:end] = numbers, used
        self.slot[numbers] = torch.arange(begin, end)
        self.count = end

    def _compute(self, x: Tensor, begin: int) -> Tensor:
        parts = [part for rows in self.rows for part in rows[begin : self.count].split(self._split(rows), 1)]
        hidden = torch.relu(x @ parts[0][:, :-1].T + parts[0][:, -1])
        if self.gated:
            hidden = hidden * (x @ parts[1][:, :-1].T + parts[1][:, -1])
        return hidden @ parts[-1]

    def _split(self, rows: Tensor) -> list[int]:
        return self.widths if self.of.bundled else [rows.shape[1]]

    def close(self) -> None:
        """Put the weights back and remove the files."""
        n = len(self.slot)
        read = []
        for file, rows in zip(self.files, self.rows, strict=True):
            file.reads = Reads()  # of nobody's account
            whole = rows.new_empty(n, rows.shape[1])
            file.read(range(n), whole)
            read += whole.split(self._split(rows), 1)
            file.close()
        for module, part in zip(self.weights[:-1], read[:-1], strict=True):
            module.weight.data = part[:, :-1].contiguous()
        self.weights[-1].weight.data = read[-1].T.contiguous()
