"""A real decoder in fewer bytes, and what it reads worse: `mnemos bench weight-compression-real`.

All matrices but the embedding are rounded, and then held as a stack of blocks (BitStack) that is loaded at the bytes that each
rounding took. The end of the text gives the activations by which BitStack scales; its beginning is read. The blocks of a
large model are sorted by the error that they remove, since a call of the model for each would take hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.errors import InvalidInput
from mnemos.registry import Entry


@dataclass(frozen=True)
class Options:
    """What is compressed, and what it reads."""

    model: str  # a decoder: its folder, or smollm2
    text: Path  # a file of text
    tokens: int = 2048  # of this text, in windows of 256
    bits: tuple[int, ...] = (4, 3, 2)  # of the rounding
    ranks: tuple[int, ...] = (4, 16)  # of BitStack's factors; the paper's are 16, for matrices ten times as wide


def perplexities(result: Result) -> Rows:
    """Return the perplexity by method and bytes."""
    lines: Rows = [["method", "bits a number", "perplexity"]]
    return lines + [[name, f"{row['bits']:.2f}", f"{row['perplexity']:,.1f}"] for name, row in result["rows"].items()]


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return the perplexities of rounding and of BitStack at the bytes of 3 bits."""
    rows = {name: row for name, row in result["rows"].items() if name.endswith(" 3")}
    named = {kind: name for name in rows for kind in ("round-to-nearest", "bitstack") if name.startswith(kind)}
    if (entry.form, entry.operation) != ("parametric", "compress") or entry.name not in named:
        return None

    def says(kind: str) -> str:
        row = rows[named[kind]]
        return f"{row['perplexity']:,.0f} in {row['bits']:.1f} bits a number"

    full = f"{result['rows']['not compressed']['perplexity']:.0f}"
    others = {"not compressed": full} | {kind: says(kind) for kind in entry.baselines if kind in named}
    return Figure(f"reads a text at a perplexity of {says(entry.name)}", others)


@benchmark(
    "weight-compression-real",
    help="A real decoder rounded, and as a stack of blocks of the same bytes: perplexity of a text.",
    options=Options,
    tables={"weight-compression-real": perplexities},
    figure=figure,
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Compress the model and read the text, once a method."""
    import torch

    from mnemos.activation.pretrained import load_decoder, load_tokenizer
    from mnemos.bench.parametric.compressed_models import perplexity, set_compressed
    from mnemos.parametric.compress.bitstack import BitStack
    from mnemos.parametric.compress.rounding import RoundToNearest
    from mnemos.parametric.compress.stack import activation_norms, linear_names, matrices, set_matrices, stacked

    if not options.text.is_file():
        raise InvalidInput(f"{options.text.name} is not a file: give a file of text.")
    model, tokenizer = load_decoder(options.model), load_tokenizer(options.model)
    coded = torch.tensor(tokenizer(options.text.read_text("utf-8"))["input_ids"])
    if len(coded) < options.tokens + 1024:
        raise InvalidInput(f"{options.text.name} has {len(coded)} tokens: {options.tokens + 1024} are needed.")
    read, calibration = coded[: options.tokens // 256 * 256].view(-1, 256), coded[-1024:].view(-1, 256)
    names = linear_names(model)
    originals = matrices(model, names)
    numbers = sum(t.numel() for t in originals.values())
    progress.expect(1 + len(options.bits) * (1 + len(options.ranks)))
    rows: dict[str, Any] = {}

    def note(name: str, nbytes: int) -> None:
        rows[name] = {"bits": 8 * nbytes / numbers, "perplexity": perplexity(model, read)}
        progress(1)

    note("not compressed", 4 * numbers)
    norms = activation_norms(model, names, [calibration])
    budgets = {}
    for bits in options.bits:
        budgets[bits] = set_compressed(model, originals, RoundToNearest(bits))
        note(f"round-to-nearest {bits}", budgets[bits])
    for rank in options.ranks:
        set_matrices(model, originals)
        stack = stacked(model, None, norms, names, BitStack(blocks=4, rank=rank))
        for bits in options.bits:
            note(f"bitstack, rank {rank}, as rounding to {bits}", stack.load_into(model, budgets[bits]))
    model_name = Path(options.model).name
    return {"model": model_name, "text": options.text.name, "tokens": read.numel(), "numbers": numbers, "rows": rows}
