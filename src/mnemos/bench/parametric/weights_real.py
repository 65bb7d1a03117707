"""Facts told in conversations into the weights of a real model, and what else fell: `mnemos bench weights-real`.

The facts are LoCoMo's, of the conversations that no knob was chosen on. Asked before and after: the facts as they were learned
and reworded; questions on turns that were not learned, with the turn in the prompt; facts that the model knew before
(CounterFact's); and the loss on general text. Texts that are interleaved in training are of another file. All of it is
told twice: with the weights attached to every prompt, and attached to those that ask for what was learned.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.bench.text.task import checksum

NAMES = {
    "recall": "facts, as learned", "paraphrase": "facts, reworded", "in context": "turns read, answered",
    "context wins": "newer turn wins", "old": "old facts",
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """The model, the data, and how much of it."""

    locomo: Path  # LoCoMo's locomo10.json
    general: tuple[Path, ...]  # texts whose loss is measured
    interleave: Path  # a general text for training
    counterfact: Path  # CounterFact's edits as JSON lines, whose true answers are asked for
    zsre: Path | None = None  # zsRE as JSON lines, whose rephrased questions are to be recognised
    model: str = "smollm2"  # a folder that transformers can load, or smollm2
    development: bool = False  # learn facts of the conversations that knobs are chosen on
    facts: int = 100  # to be learned
    read: int = 115  # turns that are read
    old: int = 60  # facts that the model knows
    characters: int = 16_000  # of each general text
    steps: int = 150  # of training, at most
    rank: int = 16  # of the adapter
    lowest: int = 20  # layer from which the adapter acts
    rate: float = 3e-3  # of training
    seed: int = 0  # of the weights and the examples
    weights: Path | None = None  # where the adapter is kept, so that it can be asked again; None: nowhere


def table(result: Result) -> Rows:
    """Return what is known before and after, with the weights on every prompt and when asked, and the costs."""
    before, after, asked = result["before"], result["after"], result["when_asked"]
    rows: Rows = [
        [
            f"{result['facts']} facts in {result['kilobytes']:,.0f} KB",
            "before",
            "attached",
            "attached when asked",
            "prompts that ask",
        ]
    ]
    rows += [
        [name, *(percent(each[key]) for each in (before, after, asked)), percent(result["asks"][key])]
        for key, name in NAMES.items()
    ]
    for name, old in before["perplexity"].items():
        new = [
            f"{each['perplexity'][name]:.3f} ({100 * (each['perplexity'][name] / old - 1):+.2f} %)"
            for each in (after, asked)
        ]
        rows.append([f"perplexity, {name}", f"{old:.3f}", *new, percent(result["asks"][name])])
    first = result["first_token_ms"]
    in_prompt, in_weights = f"{first['prompt']:,.0f} in the prompt", f"{first['weights']:,.0f} in weights"
    rows.append(["first token with 50 facts, ms", in_prompt, in_weights, "", ""])
    if asks := result["recognised"]:
        found = f"{percent(asks['own'])}, another {percent(asks['others'])}"
        rows.append([f"zsRE's {asks['questions']} rephrased questions, recognised", "", "", "", found])
    rows.append(["times as fast", "", f"{first['prompt'] / first['weights']:.1f}", "", ""])
    rows.append(["processor seconds a fact", "", f"{result['cpu_seconds'] / result['facts']:.1f}", "", ""])
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
    import torch

    from mnemos.activation.pretrained import load_decoder, load_tokenizer
    from mnemos.bench.kv.threads import one_thread
    from mnemos.bench.parametric import conversations
    from mnemos.bench.parametric.real_questions import Asker, known, middle, recognised

    found = conversations.facts(options.locomo, development=options.development, seed=options.seed)
    new, others = found[: options.facts], found[options.facts :][: options.read]
    model, tokenizer = load_decoder(options.model), load_tokenizer(options.model)
    with one_thread():
        learned, trained = _learned(options, model, tokenizer, new, progress)
    with one_thread(), torch.autocast("cpu", torch.bfloat16):
        old = known(model, tokenizer, options.counterfact, options.old)
        texts = {path.stem: middle(path, options.characters) for path in options.general}
        asker = Asker.of(model, tokenizer, new, others, old, texts)
        before = asker.answers()
        with learned.attach(model):
            after = asker.answers()
            in_weights = asker.first_token("")
        in_prompt = asker.first_token("".join(e.context for e in new[:50]))
    asks = asker.asks(new)
    shares = asks.measures()
    return {
        "model": Path(options.model).name, "source": {"file": options.locomo.name, "sha256": checksum(options.locomo)},
        "facts": len(new), "read": len(others), "knobs": {n: getattr(options, n) for n in ("rank", "lowest", "rate", "steps")},
        "kilobytes": round(learned.nbytes / 1e3, 1), **trained,
        "before": before.measures(), "after": after.measures(), "when_asked": after.where(asks, before).measures(),
        "asks": {name: shares[name] for name in NAMES} | {n: sum(x for x, _ in w) / len(w) for n, w in asks.losses.items()},
        "first_token_ms": {"prompt": in_prompt, "weights": in_weights},
        "recognised": options.zsre and recognised(options.zsre),
    }  # fmt: skip


def _learned(
    options: Options, model: Any, tokenizer: Any, new: list[Any], progress: Progress
) -> tuple[Any, dict[str, Any]]:
    """Return an adapter that learned facts, and what that took; from disk where it was kept."""
    import json

    from safetensors.torch import load_file, save_file

    from mnemos.bench.parametric import conversations
    from mnemos.parametric.encode.adapter import Adapter
    from mnemos.parametric.training import train

    layers = range(options.lowest, model.config.num_hidden_layers)
    carrier = Adapter(
        rank=options.rank, alpha=2 * options.rank, targets=tuple(f"layers.{i}.mlp.down_proj" for i in layers)
    )
    about = options.weights and options.weights.with_suffix(".json")
    if options.weights is not None and about is not None and about.exists():
        return carrier.load(model, load_file(options.weights)), json.loads(about.read_text(encoding="utf-8"))
    learned = carrier.create(model, new, tokenizer, options.seed)
    examples = conversations.learned(new, options.seed)
    general = conversations.general_sentences(options.interleave.read_text(encoding="utf-8"))
    started = time.process_time()
    progress.expect(options.steps)
    report = train(model, tokenizer, learned, examples, _training(options), lambda step, least: progress(1), general)
    trained = {
        "prompts": len(examples), "steps": report.steps, "learned": report.learned, "silence": report.silence,
        "cpu_seconds": round(time.process_time() - started, 1),
    }  # fmt: skip
    if options.weights is not None and about is not None:
        save_file(learned.tensors(), options.weights)
        about.write_text(json.dumps(trained), encoding="utf-8")
    return learned, trained


def _training(options: Options) -> Any:
    """Return how facts are learned; the knobs were chosen on the other conversations."""
    from mnemos.parametric.probes import Probes
    from mnemos.parametric.training import Objective, Training

    probes = Probes(random=16, repeated=8, sampled=0, neighbours=24, episodes=8, conflicts=8, length=32)
    aim = Objective(
        distil=0, silent=2, probes=probes
    )  # three of four readers of this size do not say the answer themselves
    return Training(
        steps=options.steps,
        rate=options.rate,
        probed=5,
        quiet=0.05,
        above=options.lowest,
        half=True,
        seed=options.seed,
        objective=aim,
    )
