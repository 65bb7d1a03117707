"""Time that a cache through Mnemos costs and saves: `mnemos bench kv-speed`.

- `seam`: the cache through Mnemos without a method against transformers' DynamicCache: the largest difference of the
  logits, and the time to read a prompt and to decode.
- `decode`: tokens a second behind a context of 8,192 tokens, with all of it and with an eighth of it held.
- `methods`: what a token costs behind 2,048 and 4,096 tokens with each preset at a quarter, and what reading 4,096 costs,
  against the full cache in the same run; with `--model` a token on that model too.
- `reuse`: seconds until the first token of an answer about 2,000 tokens of cubes: prefilled, found in RAM, found on the
  disk; and whether the answers are the same.

Models have random weights, as time does not depend on them. The ways take turns, and the least of `ROUNDS` times
counts. One thread.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mnemos.bench.kv.threads import one_thread
from mnemos.bench.kv.token_cost import cost_table, reading_costs, token_costs
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.registry import Entry

if TYPE_CHECKING:
    from torch import Tensor

ROUNDS = 5
CONTEXT, EIGHTH = 8_192, 0.125
CONTEXTS, SHARE, STEPS = (2_048, 4_096), 0.25, 32
REAL = ("snapkv", "h2o", "sliding-window", "streaming-llm", "d2o", "kivi", "mikv", "xquant")  # one of each kind
METHODS = ("snapkv", "keydiff", "h2o", "streaming-llm")


@dataclass(frozen=True)
class Options:
    """Which random numbers."""

    seed: int = 0  # seed of the weights and the prompts
    model: str = ""  # a folder of a model, or "smollm2": what a token costs on it (some ten minutes)


def seam_table(result: Result) -> Rows:
    """Return the overhead of the attention backend against transformers' own cache."""
    s = result["seam"]
    return [
        [f"{s['prompt']:,} tokens read, {s['steps']} generated", "transformers", "Mnemos, nothing dropped", "overhead"],
        ["reading, ms", *s["prefill_ms"], f"{100 * s['prefill_overhead']:+.1f} %"],
        ["a token, ms", *s["decode_ms"], f"{100 * s['decode_overhead']:+.1f} %"],
        ["largest difference of the logits", "", f"{s['logits_error']:.1e}", ""],
    ]


def decode_table(result: Result) -> Rows:
    """Return tokens a second behind a long context."""
    d = result["decode"]
    lines: Rows = [[f"behind {d['context']:,} tokens", "tokens a second", "times transformers' cache", "bytes held"]]
    for name, rate in d["tokens_per_second"].items():
        size = d["bytes"].get(name)
        shown = name if name in ("transformers", "mnemos") else f"{name}, an eighth"
        lines.append([shown, f"{rate:.1f}", f"{d['times'][name]:.2f}", "–" if size is None else f"{size / 1e6:.1f} MB"])
    return lines


def methods_table(result: Result) -> Rows:
    """Return what a token costs with each preset at a quarter, on the small model of random weights."""
    rows = result.get("methods")
    return cost_table(rows, result["reading"]) if rows else [["not measured yet: `mnemos bench kv-speed`"]]


def real_table(result: Result) -> Rows:
    """Return what a token costs with each preset at a quarter, on a real model."""
    real = result.get("real")
    return (
        cost_table(real["rows"])
        if real
        else [["not measured on a real model: `mnemos bench kv-speed --model smollm2`"]]
    )


def reuse_table(result: Result) -> Rows:
    """Return the time to the first token with KV cubes."""
    r = result["reuse"]
    lines: Rows = [[f"{r['cubes']} cubes, {r['tokens']:,} tokens", "first token, ms", "times faster"]]
    for tier, ms in r["first_token_ms"].items():
        lines.append([tier, ms, r["times_faster"].get(tier, "–")])
    return [*lines, ["the same tokens", "yes" if r["same_tokens"] else "no", ""]]


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return how much sooner the first token comes from KV cubes."""
    if (entry.form, entry.name) != ("migrate", "activate"):
        return None
    faster = result["reuse"]["times_faster"]
    text = f"the first token comes {faster['ram']:.0f} times as fast as with a prefill, {faster['disk']:.0f} times from the disk"
    return Figure(text)


@benchmark(
    "kv-speed",
    help="Time that a cache through Mnemos costs and saves: its attention backend, an eighth held, KV cubes.",
    options=Options,
    tables={
        "kv-seam": seam_table,
        "kv-decode": decode_table,
        "kv-methods": methods_table,
        "kv-methods-real": real_table,
        "kv-reuse": reuse_table,
    },
    figure=figure,
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Run all parts; see the module for what they are."""
    import torch

    from mnemos.activation.presets import all_presets

    names = list(all_presets())
    progress.expect(3 + 3 * len(names) + (2 * len(REAL) if options.model else 0))
    seed = options.seed

    parts: dict[str, Any] = {}
    with one_thread(), torch.no_grad():
        for part in (seam, decode, reuse):
            parts[part.__name__] = part(seed)
            progress(1)
        small, one = llama(seed), lambda: progress(1)
        parts["methods"] = token_costs(small, CONTEXTS, SHARE, STEPS, seed, names, one)
        parts["reading"] = reading_costs(small, CONTEXTS[-1], SHARE, seed, one)
        if options.model:
            from mnemos.activation.pretrained import folder_of, load_decoder

            rows = token_costs(load_decoder(options.model), CONTEXTS, SHARE, STEPS, seed, REAL, one)
            parts["real"] = {"model": folder_of(options.model).name, "rows": rows}
    return {"seed": seed, "torch": torch.__version__, "rounds": ROUNDS, **parts}


def llama(seed: int, layers: int = 4, hidden: int = 256, heads: int = 8, kv_heads: int = 4) -> Any:
    """Return a Llama with random weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=1_000, hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=kv_heads, max_position_embeddings=16_384,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def seam(seed: int, prompt: int = 1_024, steps: int = 64) -> dict[str, Any]:
    """Compare the cache without a method with transformers' own."""
    import torch
    from transformers import DynamicCache

    from mnemos.activation import MemoryCache, attached

    model = llama(seed)
    ids = torch.randint(3, 1_000, (1, prompt + steps))
    own, ours = [], []
    for _ in range(ROUNDS):
        own.append(_generate(model, ids, prompt, DynamicCache()))
        with attached(model):
            ours.append(_generate(model, ids, prompt, MemoryCache(model)))
    error = float((own[0][2] - ours[0][2]).abs().max())
    best = [[min(run[i] for run in runs) for i in (0, 1)] for runs in (own, ours)]
    return {
        "prompt": prompt, "steps": steps, "logits_error": error,
        "prefill_ms": [round(1e3 * b[0], 2) for b in best], "decode_ms": [round(1e3 * b[1] / steps, 3) for b in best],
        "prefill_overhead": round(best[1][0] / best[0][0] - 1, 4), "decode_overhead": round(best[1][1] / best[0][1] - 1, 4),
    }  # fmt: skip


def decode(seed: int, steps: int = 32) -> dict[str, Any]:
    """Measure tokens a second behind a long context, with all of it and with an eighth."""
    import torch
    from transformers import DynamicCache

    from mnemos.activation import MemoryCache, attached
    from mnemos.activation.presets import get_preset

    model = llama(seed)
    ids = torch.randint(3, 1_000, (1, CONTEXT + steps))
    ways: dict[str, Callable[[], Any]] = {"transformers": DynamicCache, "mnemos": lambda: MemoryCache(model)}
    for name in METHODS:
        ways[name] = lambda name=name: MemoryCache(model, get_preset(name).at_share(EIGHTH))  # type: ignore[misc]
    least: dict[str, float] = {}
    held: dict[str, Any] = {}
    for _ in range(2):
        for name, make in ways.items():
            cache = make()
            if name == "transformers":
                _, seconds, _ = _generate(model, ids, CONTEXT, cache)
            else:
                with attached(model):
                    _, seconds, _ = _generate(model, ids, CONTEXT, cache)
                held[name] = cache.nbytes
            least[name] = min(seconds, least.get(name, seconds))
    rates = {name: round(steps / seconds, 1) for name, seconds in least.items()}
    return {
        "context": CONTEXT, "steps": steps, "tokens_per_second": rates, "bytes": held,
        "times": {name: round(rate / rates["transformers"], 2) for name, rate in rates.items()},
    }  # fmt: skip


def reuse(seed: int, cubes: int = 40) -> dict[str, Any]:
    """Measure the time to the first token of an answer about cubes that are already activated."""
    import torch

    from mnemos.migrate.pieces import render
    from mnemos.system import Mnemos

    model, tokenizer = llama(seed), Letters()
    question = " Which of these is the oldest?"
    seconds: dict[str, list[float]] = {"prefill": [], "disk": [], "ram": []}
    answers: dict[str, Tensor] = {}
    options = {"max_new_tokens": 1, "do_sample": False, "pad_token_id": 0}
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root, Mnemos(root, embedder="none") as memory:
        space = memory.space("reuse")
        made = [space.add(f"Note {i} says that the {i} has a colour.", reconcile=False) for i in range(cubes)]
        ids = [cube.id for cube in made]
        text = "".join(render(space.get(i)) for i in ids)
        asked = torch.tensor([[1, *tokenizer(text)["input_ids"], *tokenizer(question)["input_ids"]]])
        space.activate(ids, model, tokenizer)
        for _ in range(ROUNDS):
            start = time.perf_counter()
            model.generate(asked, attention_mask=torch.ones_like(asked), **options)
            seconds["prefill"].append(time.perf_counter() - start)
            for tier in ("disk", "ram"):
                if tier == "disk":
                    space.activations.free_ram()
                start = time.perf_counter()
                active = space.activate(ids, model, tokenizer)
                active.generate(question, **options)
                seconds[tier].append(time.perf_counter() - start)
                if active.sources[tier] != cubes:
                    raise RuntimeError(f"only {active.sources} came from {tier}")
        long = options | {"max_new_tokens": 32}
        answers["prefill"] = model.generate(asked, attention_mask=torch.ones_like(asked), **long)[:, asked.shape[1] :]
        answers["ram"] = active.generate(question, **long)
        size = space.store.blobs.nbytes
    least = {name: min(values) for name, values in seconds.items()}
    return {
        "cubes": cubes, "tokens": int(active.ids.shape[1]), "bytes_on_disk": size,
        "first_token_ms": {name: round(1e3 * value, 1) for name, value in least.items()},
        "times_faster": {name: round(least["prefill"] / least[name], 1) for name in ("ram", "disk")},
        "same_tokens": bool(torch.equal(answers["prefill"], answers["ram"])),
    }  # fmt: skip


class Letters:
    """A tokenizer whose tokens are bytes: nothing to download."""

    bos_token_id = 1

    def __call__(self, text: str, add_special_tokens: bool = False) -> dict[str, list[int]]:
        """Return the tokens of a text."""
        return {"input_ids": [3 + b for b in text.encode()]}


def _generate(model: Any, ids: Tensor, prompt: int, cache: Any) -> tuple[float, float, Tensor]:
    """Return the seconds to read a prompt, those to read the rest a token at a time, and the last logits."""
    start = time.perf_counter()
    logits = model(ids[:, :prompt], past_key_values=cache, logits_to_keep=1).logits
    read = time.perf_counter()
    for at in range(prompt, ids.shape[1]):
        logits = model(ids[:, at : at + 1], past_key_values=cache).logits
    return read - start, time.perf_counter() - read, logits
