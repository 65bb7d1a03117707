"""What forms cost with a model on this machine: reading, storing, loading and learning a few short texts, measured.

In seconds of processor time, which others at work on the machine change little; learning texts whole takes the clock's.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemos.bench.progress import Progress
from mnemos.errors import InvalidInput
from mnemos.migrate.form_schedule import FormCosts

TEXTS = (
    "Nora keeps the spare key of the boathouse in the blue teapot on the upper shelf.",
    "The choir of Ravensburg rehearses on Thursday evenings in the old tannery.",
    "Dr. Okafor moved the clinic's summer party to the orchard behind the mill.",
    "Tomas waters the lemon trees with rain from the copper barrel.",
)
REPEATS = 3
ANSWER = 32  # tokens
TIMED = 3  # training steps


@dataclass(frozen=True)
class Measured:
    """Costs, and where each comes from."""

    costs: FormCosts
    about: dict[str, Any]


def from_result(path: Path) -> Measured:
    """Return the costs that an earlier run measured. Raises InvalidInput for another file."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Measured(FormCosts(**data["costs"]), data["measured"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"{path} has no costs of `mnemos bench forms` ({error!r:.100}).") from error


def measure(model: str, texts: int, steps: int, disk: float, progress: Progress) -> Measured:
    """Measure the costs with a model: a folder, or smollm2. `texts` are learned, each in `steps` training steps at most.

    With no texts a few training steps are timed, and it is assumed that `steps` teach a text whole, with nothing missed.
    """
    from mnemos.activation.pretrained import load_decoder, load_tokenizer

    decoder, tokenizer = load_decoder(model), load_tokenizer(model)
    with tempfile.TemporaryDirectory(prefix="mnemos-forms-") as folder:
        read = _reading(decoder, tokenizer, Path(folder), progress)
        if texts:
            learned = _learning(decoder, tokenizer, Path(folder), TEXTS[:texts], steps, progress)
        else:
            learned = _timed(decoder, tokenizer, steps)
    costs = FormCosts(**read, **{name: learned[name] for name in COSTS}, disk=disk)
    about = {"model": Path(model).name, "texts": texts, "steps": steps, **learned}
    return Measured(costs, about)


COSTS = ("train", "weight_bytes", "attach", "missed", "failed")


def _reading(model: Any, tokenizer: Any, folder: Path, progress: Progress) -> dict[str, float]:
    """Return seconds to read a token, bytes to keep it, and seconds to load a byte."""
    from mnemos.activation import MemoryCache, read
    from mnemos.activation.encode.segments import cut, fill, from_file, to_bytes

    ids = tokenizer(" ".join(TEXTS * 3), add_special_tokens=False, return_tensors="pt")["input_ids"]
    file, caches = folder / "segment", list[Any]()

    def reading() -> None:
        caches.append(MemoryCache(model))
        read(model, ids, caches[-1])

    seconds = _median(reading)
    file.write_bytes(to_bytes(cut(caches[-1], 0, ids.shape[1], "digest")))
    loading = _median(lambda: fill(MemoryCache(model), [from_file(file, "digest")]))
    progress(1)
    size, tokens = file.stat().st_size, ids.shape[1]
    behind = _answering(model, ids, caches[-1]) - _answering(model, ids[:, :4], None)
    return {
        "prefill": seconds / tokens, "kv_bytes": size / tokens, "load": loading / size, "behind": max(behind, 0.0) / tokens,
    }  # fmt: skip


def _answering(model: Any, ids: Any, cache: Any) -> float:
    """Return the seconds to generate an answer behind tokens that have been read."""
    from mnemos.activation import MemoryCache, attached, read

    if cache is None:
        cache = MemoryCache(model)
        read(model, ids, cache)
    prompt = ids[:, :1].new_ones((1, cache.tokens_read + 1))
    options = {"max_new_tokens": ANSWER, "min_new_tokens": ANSWER, "do_sample": False, "pad_token_id": 0}
    with attached(model):
        return _median(lambda: model.generate(prompt, past_key_values=cache.copy(), **options))


def _learning(
    model: Any, tokenizer: Any, folder: Path, texts: Sequence[str], steps: int, progress: Progress
) -> dict[str, Any]:
    """Return what learning texts by heart takes and reaches, one memory each, and what asking with one costs."""
    from mnemos.migrate.gate import Gate
    from mnemos.migrate.learning import Learning
    from mnemos.migrate.yardstick import Yardstick
    from mnemos.parametric.training import Training
    from mnemos.system import Mnemos

    usual = Yardstick.usual()
    small = Yardstick(usual.old[:8], usual.episodes[:8], usual.texts[:1])
    how = Learning(Gate(), Training(steps=steps, batch=4, probed=4), small)
    ids = tokenizer(TEXTS[0], return_tensors="pt")["input_ids"]
    with Mnemos(folder / "root", embedder="none") as memory:
        space = memory.space("forms")
        reports = []
        for text in texts:
            reports.append(space.learn([space.add(text).id], model, tokenizer, how=how))
            progress(1)
        kept = [r.cube for r in reports if r.cube is not None]
        plain = _median(lambda: model(ids))
        attached = plain
        if kept:
            with space.weights.attached(model, kept[0]):
                attached = _median(lambda: model(ids))
    recall = [r.after["recall"][0] for r in reports if r.promoted] or [r.after["recall"][0] for r in reports]
    return {
        "train": statistics.mean(r.seconds for r in reports), "weight_bytes": statistics.mean(r.nbytes for r in reports),
        "attach": max(attached - plain, 0.0), "missed": 1 - statistics.mean(recall),
        "failed": 1 - len(kept) / len(reports), "training_steps": [r.training["steps"] for r in reports],
        "after": [{name: value for name, (value, _) in r.after.items()} for r in reports],
        "reasons": [list(r.decision.reasons) for r in reports],
    }  # fmt: skip


def _timed(model: Any, tokenizer: Any, steps: int) -> dict[str, Any]:
    """Return what `steps` training steps would take by the time of a few, and what asking with an adapter costs."""
    from mnemos.parametric.encode.adapter import Adapter
    from mnemos.parametric.encode.examples import examples_of
    from mnemos.parametric.probes import Probes
    from mnemos.parametric.training import Objective, Training, train

    examples = examples_of(TEXTS[0])
    few = Objective(probes=Probes(random=8, repeated=2, sampled=2, neighbours=2, episodes=2, conflicts=0))
    learned = Adapter().create(model, examples, tokenizer)
    seconds = []
    for count in (1, 1 + TIMED):  # the difference leaves out what is done once
        start, how = time.process_time(), Training(steps=count, batch=4, probed=4, objective=few)
        train(model, tokenizer, learned, examples, how)
        seconds.append(time.process_time() - start)
    a_step = max(seconds[1] - seconds[0], 0.0) / TIMED
    ids = tokenizer(TEXTS[0], return_tensors="pt")["input_ids"]
    plain = _median(lambda: model(ids))
    with learned.attach(model):
        attached = _median(lambda: model(ids))
    return {
        "train": seconds[0] + a_step * (steps - 1), "weight_bytes": float(learned.nbytes),
        "attach": max(attached - plain, 0.0), "missed": 0.0, "failed": 0.0, "seconds_a_step": a_step,
        "assumed": f"{steps} training steps teach a text of one fact, and miss nothing",
    }  # fmt: skip


def _median(call: Callable[[], object]) -> float:
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        call()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)
