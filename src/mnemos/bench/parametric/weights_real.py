"""Facts told in conversations into the weights of a real model, and what else fell: `mnemos bench weights-real`.

The facts are LoCoMo's, of the conversations that no knob was chosen on. Asked before and after: the facts as they were learned
and reworded; questions on turns that were not learned, with the turn in the prompt; facts that the model knew before
(CounterFact's); and the loss on general text. Texts that are interleaved in training are of another file.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text.task import checksum

SAID = 16  # tokens of an answer that may be read
INTERLEAVED = 12_000  # characters of the general text that is interleaved


@dataclass(frozen=True)
class Options:
    """The model, the data, and how much of it."""

    locomo: Path  # LoCoMo's locomo10.json
    general: tuple[Path, ...]  # texts whose loss is measured
    interleave: Path  # a general text for training
    counterfact: Path  # CounterFact's edits as JSON lines, whose true answers are asked for
    model: str = "smollm2"  # a folder that transformers can load, or smollm2
    facts: int = 100  # to be learned
    asked: int = 60  # turns that are read, and old facts
    characters: int = 16_000  # of each general text
    steps: int = 160  # of training, at most
    rank: int = 16  # of the adapter
    rate: float = 2e-3  # of training
    seed: int = 0  # of the weights and the examples


def table(result: Result) -> Rows:
    """Return what is known before and after, and the costs."""
    before, after = result["before"], result["after"]
    rows: Rows = [[f"{result['facts']} facts in {result['kilobytes']:,.0f} KB", "before", "after"]]
    names = {
        "recall": "facts, as learned", "paraphrase": "facts, reworded", "in context": "turns read, answered",
        "context wins": "newer turn wins", "old": "old facts",
    }  # fmt: skip
    rows += [[name, percent(before[key]), percent(after[key])] for key, name in names.items()]
    for name in before["perplexity"]:
        old, new = before["perplexity"][name], after["perplexity"][name]
        rows.append([f"perplexity, {name}", f"{old:.3f}", f"{new:.3f} ({100 * (new / old - 1):+.2f} %)"])
    first = result["first_token_ms"]
    rows.append(
        [
            "first token with 50 facts, ms",
            f"{first['prompt']:,.0f} in the prompt",
            f"{first['weights']:,.0f} in weights",
        ]
    )
    rows.append(["times as fast", "", f"{first['prompt'] / first['weights']:.1f}"])
    rows.append(["processor seconds a fact", "", f"{result['cpu_seconds'] / result['facts']:.1f}"])
    return rows


@benchmark(
    "weights-real",
    help="Facts told in conversations into the weights of a real model: recall, paraphrase, and what else fell.",
    options=Options,
    tables={"weights-real": table},
    extra="torch",
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Learn the facts in one adapter, and measure before and after."""
    from mnemos.activation.pretrained import load_decoder, load_tokenizer
    from mnemos.bench.kv.threads import one_thread
    from mnemos.bench.parametric import conversations
    from mnemos.parametric.encode.adapter import Adapter
    from mnemos.parametric.probes import Probes
    from mnemos.parametric.training import Objective, Training, train

    few = Probes(random=24, repeated=8, sampled=16, neighbours=32, episodes=16, conflicts=16, length=24)
    training = Training(
        steps=options.steps, rate=options.rate, probed=5, quiet=1.0, seed=options.seed, objective=Objective(probes=few)
    )
    with one_thread():
        model, tokenizer = load_decoder(options.model), load_tokenizer(options.model)
        found = conversations.facts(options.locomo, development=False, seed=options.seed)
        new, others = found[: options.facts], found[options.facts :][: options.asked]
        asker = _Asker(model, tokenizer, options, new, others)
        before = asker.measures()
        carrier = Adapter(rank=options.rank, alpha=2 * options.rank)
        learned = carrier.create(model, new, tokenizer, options.seed)
        general = options.interleave.read_text(encoding="utf-8")[:INTERLEAVED]
        started = time.process_time()
        progress.expect(options.steps)
        report = train(
            model, tokenizer, learned, conversations.learned(new), training, lambda step, least: progress(1), [general]
        )
        seconds = time.process_time() - started
        with learned.attach(model):
            after = asker.measures()
            in_weights = asker.first_token("")
        in_prompt = asker.first_token("".join(e.context for e in new[:50]))
    return {
        "model": Path(options.model).name, "source": {"file": options.locomo.name, "sha256": checksum(options.locomo)},
        "facts": len(new), "prompts": 2 * len(new), "read": len(others), "knobs": {"rank": options.rank, "rate": options.rate},
        "kilobytes": round(learned.nbytes / 1e3, 1), "steps": report.steps, "learned": report.learned,
        "cpu_seconds": round(seconds, 1), "before": before, "after": after,
        "first_token_ms": {"prompt": in_prompt, "weights": in_weights},
    }  # fmt: skip


class _Asker:
    """Asks a model for all that is measured."""

    def __init__(self, model: Any, tokenizer: Any, options: Options, new: list[Any], others: list[Any]) -> None:
        from mnemos.bench.parametric import conversations

        self.model, self.tokenizer, self.new, self.others = model, tokenizer, new, others
        self.reworded = conversations.held_out(new)
        self.texts = {path.stem: _middle(path, options.characters) for path in options.general}
        self.old = known(model, tokenizer, options.counterfact, options.asked)

    def measures(self) -> dict[str, Any]:
        """Return all measures of the model as it is now."""
        from mnemos.parametric import measure

        at = self.model, self.tokenizer
        return {
            "recall": measure.recall(*at, self.new).value,
            "paraphrase": measure.recall(*at, self.reworded).value,
            "in context": self.read(),
            "context wins": measure.newer_context_wins(*at, self.new[:60]).value,
            "old": measure.recall(*at, self.old).value,
            "perplexity": {n: measure.perplexity(measure.general_loss(*at, [t], 192)) for n, t in self.texts.items()},
        }

    def read(self) -> float:
        """Return the share of turns that were not learned whose question is answered from the prompt, in any words.

        An answer counts where the words of the turn are among the 16 tokens that a greedy model says.
        """
        import torch

        right = 0
        for example in self.others:
            ids = torch.tensor([self.tokenizer(example.context + example.prompt)["input_ids"]])
            with torch.no_grad():
                out = self.model.generate(
                    ids, max_new_tokens=SAID, do_sample=False, attention_mask=torch.ones_like(ids), pad_token_id=0
                )
            said = self.tokenizer.decode(out[0, ids.shape[1] :]).casefold()
            right += example.answer.strip().casefold() in said
        return right / len(self.others)

    def first_token(self, context: str) -> float:
        """Return the time to the first token of questions after a text, the median of three, in milliseconds."""
        import torch

        times = []
        for example in self.new[:3]:
            ids = torch.tensor([self.tokenizer(context + example.prompt)["input_ids"]])
            started = time.perf_counter()
            with torch.no_grad():
                self.model(ids, logits_to_keep=1)
            times.append(1000 * (time.perf_counter() - started))
        return round(median(times), 1)


def known(model: Any, tokenizer: Any, path: Path, n: int) -> list[Any]:
    """Return n facts of CounterFact that the model answers before anything is learned."""
    from mnemos.parametric import measure
    from mnemos.parametric.base import Example
    from mnemos.parametric.tokens import row_of

    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[: 8 * n]]
    examples = [Example(row["prompt"], f" {row['ground_truth']}") for row in rows]
    said = measure.said(model, tokenizer, [row_of(tokenizer, e.prompt, e.answer) for e in examples])
    return [e for e, right in zip(examples, said, strict=True) if right][:n]


def _middle(path: Path, characters: int) -> str:
    """Return a part of a text from its middle, where no licence stands."""
    text = path.read_text(encoding="utf-8")
    return text[len(text) // 2 :][:characters]
