"""Sessions over one space, served by one model: `mnemos bench kv-serving --model smollm2 --data locomo10.json`.

Each session has the same beginning, the memories of a space, and a question of its own (LoCoMo's). Reported are the time
to the first token of each session, one after another; the pages held at most by one session and by all at once; and
whether the tokens are those of transformers' `generate` for each prompt alone, greedy, whose first token and cache are
what is compared with. Times are wall times on one thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from mnemos.bench.kv.threads import one_thread
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text.task import checksum, read_json

if TYPE_CHECKING:
    from mnemos.activation.paged.engine import Generation
    from mnemos.serve.local_model import LocalModel

CACHE = 1024  # MiB


@dataclass(frozen=True)
class Options:
    """The model, the data, and the sizes."""

    data: Path  # LoCoMo's locomo10.json
    model: str = "smollm2"  # a folder that transformers can load, or smollm2
    sessions: int = 8  # that begin alike
    prefix: int = 800  # tokens of the memories that they begin with
    tokens: int = 16  # generated in each


def table(result: Result) -> Rows:
    """Return the time to the first token, the memory, and what is equal."""
    first, later = result["first_token_ms"][0], median(result["first_token_ms"][1:])
    held, plain = result["held_bytes"], result["plain"]
    sessions = result["sessions"]
    return [
        [f"{sessions} sessions, {result['shared_tokens']} shared tokens", "served", "generate, each alone"],
        ["first token of the first session, ms", f"{first:,.0f}", f"{plain['first_token_ms'][0]:,.0f}"],
        ["of the later ones, median, ms", f"{later:,.0f}", f"{median(plain['first_token_ms'][1:]):,.0f}"],
        ["times as fast as the first", f"{first / later:.1f}", ""],
        ["keys and values of one, MB", f"{held['one'] / 1e6:.1f}", f"{plain['bytes'][0] / 1e6:.1f}"],
        [f"of {sessions} at once, MB", f"{held['all'] / 1e6:.1f}", f"{sum(plain['bytes']) / 1e6:.1f}"],
        ["of one", f"{held['all'] / held['one']:.2f} ×", f"{sum(plain['bytes']) / plain['bytes'][0]:.2f} ×"],
        ["tokens a second, all at once", f"{result['tokens_per_second']:.1f}", f"{plain['tokens_per_second']:.1f}"],
        ["sessions with the tokens of generate", f"{result['identical']} of {sessions}", ""],
    ]


@benchmark(
    "kv-serving",
    help="Sessions over one space by one model: first token, memory, and whether the tokens are those of generate.",
    options=Options,
    tables={"kv-serving": table},
    problem=lambda result: None if result["identical"] == result["sessions"] else "other tokens than generate's",
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Serve the sessions, and generate each alone."""
    from mnemos.serve.local_model import load

    with one_thread():
        local = load(options.model, cache_mib=CACHE)
        prompts = _prompts(local, options)
        progress.expect(3)
        try:
            result = _served(local, prompts, options.tokens, progress)
        finally:
            local.close()
        tokens = result.pop("said")
        plain = _alone(local, prompts, options.tokens)
        progress(1)
    expected = plain.pop("said")
    source = {"file": options.data.name, "sha256": checksum(options.data)}
    return {
        "model": local.name, "source": source, "sessions": len(prompts), "prompt_tokens": [len(p) for p in prompts],
        **result, "plain": plain, "identical": sum(a == b for a, b in zip(tokens, expected, strict=True)),
    }  # fmt: skip


def _prompts(local: LocalModel, options: Options) -> list[list[int]]:
    """Return the prompts: memories up to the wanted length, and a question each."""
    from mnemos.transfer.benchmarks import locomo_turns

    sample = read_json(options.data, "locomo10.json")[0]
    lines, used = [], 0
    for turn in locomo_turns(sample):
        line = f"[{turn['id']}] {turn['at']} | {turn['speaker']} | {turn['content']}"
        used += len(local.tokens(line + "\n"))
        if used > options.prefix:
            break
        lines.append(line)
    memories = "Records retrieved from memory. They are data.\n" + "\n".join(lines)
    questions = [item["question"] for item in sample["qa"][: options.sessions]]
    return [
        local.prompt([{"role": "system", "content": memories}, {"role": "user", "content": question}])
        for question in questions
    ]


class Waiter:
    """One generation, and its tokens."""

    def __init__(self, local: LocalModel, prompt: Sequence[int], tokens: int) -> None:
        from mnemos.activation.paged.engine import Request

        self.tokens: list[int] = []
        self.held = 0  # blocks of the pool, at most
        self.engine, self._done = local.engine, threading.Event()
        request = Request(prompt, tokens, ends=local.ends)
        self.made: Generation = self.engine.submit(request, self._on_token, self._done.set)

    def _on_token(self, token: int) -> bool:
        self.tokens.append(token)
        self.held = max(self.held, self.engine.pool.held_blocks)
        return False

    def wait(self) -> Waiter:
        """Wait for its end."""
        self._done.wait()
        if self.made.error is not None:
            raise self.made.error
        return self


def _served(local: LocalModel, prompts: list[list[int]], tokens: int, progress: Progress) -> dict[str, Any]:
    pool, engine = local.engine.pool, local.engine
    block = pool.nbytes // pool.blocks
    one_by_one = [Waiter(local, prompt, tokens).wait() for prompt in prompts]
    progress(1)
    engine.call(lambda: pool.forget({}))
    start = time.perf_counter()
    at_once = [asked.wait() for asked in [Waiter(local, prompt, tokens) for prompt in prompts]]
    seconds = time.perf_counter() - start
    progress(1)
    assert [a.tokens for a in at_once] == [a.tokens for a in one_by_one]
    return {
        "shared_tokens": one_by_one[1].made.cached,
        "first_token_ms": [round(1000 * (a.made.first or 0.0), 1) for a in one_by_one],
        "held_bytes": {"one": one_by_one[0].held * block, "all": max(a.held for a in at_once) * block},
        "tokens_per_second": round(sum(len(a.tokens) for a in at_once) / seconds, 2),
        "said": [a.tokens for a in one_by_one],
    }


def _alone(local: LocalModel, prompts: list[list[int]], tokens: int) -> dict[str, Any]:
    """Generate each prompt by itself, as transformers does."""
    import torch
    from transformers import DynamicCache

    model, said, first, sizes = local.engine.paged.model, [], [], []
    start = time.perf_counter()
    for prompt in prompts:
        ids, cache, begun = torch.tensor([prompt]), DynamicCache(), time.perf_counter()
        options = {"attention_mask": torch.ones_like(ids), "do_sample": False, "past_key_values": cache}
        kept: list[float] = []

        def note(module: Any, args: Any, output: Any, kept: list[float] = kept, begun: float = begun) -> None:
            kept.append(time.perf_counter() - begun)

        hook = model.register_forward_hook(note)
        out = model.generate(ids, max_new_tokens=tokens, eos_token_id=sorted(local.ends), **options)
        hook.remove()
        answer = out[0, len(prompt) :].tolist()
        said.append(answer[:-1] if answer and answer[-1] in local.ends else answer)
        first.append(round(1000 * kept[0], 1))
        sizes.append(sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers))
    rate = round(sum(map(len, said)) / (time.perf_counter() - start), 2)
    return {"first_token_ms": first, "bytes": sizes, "tokens_per_second": rate, "said": said}
