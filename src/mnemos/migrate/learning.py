"""Learning cubes by heart: examples of their texts, training, measures before and after, the gate, and the cube of weights."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from mnemos import registry
from mnemos.cube import MemCube
from mnemos.errors import Conflict, InvalidInput, StoreError
from mnemos.guard.secrets import scan
from mnemos.migrate.asked import measured_when_asked
from mnemos.migrate.attachments import Attachment, attached_to, holding
from mnemos.migrate.gate import Decision, Gate, LearnReport, Measures
from mnemos.migrate.yardstick import Yardstick, asked_as
from mnemos.parametric.base import Carrier, Example, Learned
from mnemos.parametric.compress.carriers import rounded, widened
from mnemos.parametric.encode.examples import examples_of, unique
from mnemos.parametric.training import Progress, Training, train
from mnemos.store.base import Store
from mnemos.store.values import Entry


@dataclass(frozen=True)
class Learning:
    """How cubes are learned; what is not given is chosen by the carrier and the model."""

    gate: Gate = field(default_factory=Gate)
    training: Training | None = None
    yardstick: Yardstick | None = None  # None: the usual one
    examples: Sequence[Example] | None = None  # None: made of the texts by templates
    paraphrases: Sequence[Example] | None = None  # None: made of the texts, if the examples are
    texts: Sequence[str] = ()  # general ones, on which the model is trained to stay as it was
    chat: bool | None = None  # ask by the tokenizer's template for chats; None: if it has one
    bits: int | None = None  # of a number that is stored, 1 to 8: the gate measures what is left; None: as trained
    when_asked: bool = False  # attached only to prompts that ask for what was learned (`asked`), and measured so
    seed: int = 0
    progress: Progress | None = None  # takes the step, and the probability of the least sure token of all answers


class Keeper(Protocol):
    """What keeps weights and attaches them: see `migrate.weights.Weights`."""

    store: Store

    @property
    def clock(self) -> Callable[[], datetime]:
        """Tells the time."""
        ...

    def keep(
        self, learned: Learned, carrier: Carrier, cubes: Sequence[MemCube], model: Any, examples: Sequence[Example] = (),
        *, paraphrases: Sequence[Example] = (), chat: bool = False, about: Mapping[str, Any] | None = None,
        bits: int | None = None,
    ) -> MemCube:  # fmt: skip
        """Write weights that were learned from cubes, and return their cube."""
        ...

    def attached(self, model: Any, *cubes: str | MemCube) -> AbstractContextManager[Attachment]:
        """Let a model answer with weights, for a block."""
        ...


def unfit(cube: MemCube) -> str:
    """Return why a cube is not learned; "" where it may be.

    Weights cannot be quoted, marked as data, or read by their owner: what is private or secret never becomes weights.
    """
    if cube.form != "text":
        return f"it is no text, but {cube.form}"
    if cube.state != "active":
        return f"it was {cube.state}"
    if cube.metadata.get("private"):
        return "it is private (its metadata say so)"
    if found := scan(cube.text):
        return f"it holds a secret ({found[0].kind})"
    return ""


def examples_of_cubes(cubes: Sequence[MemCube], held_out: bool = False) -> list[Example]:
    """Return what is learned of texts, or with `held_out` the same asked in words that are not learned."""
    return unique(
        example for cube in cubes
        for example in examples_of(
            cube.text, source=cube.id, speaker=cube.speaker or "", date=cube.at, held_out=held_out
        )
    )  # fmt: skip


def carrier_of(into: str | Carrier) -> Carrier:
    """Return a carrier by its name, with its usual knobs. Raises NotFound, with the nearest names."""
    if not isinstance(into, str):
        return into
    made: Carrier = registry.get(into, form="parametric", kind="carrier").target()
    return made


def learn(
    weights: Keeper, cubes: Sequence[MemCube], model: Any, tokenizer: Any, into: str | Carrier, how: Learning
) -> LearnReport:
    """Train weights on cubes, measure what they know and broke, and keep them if the gate lets them pass.

    Each memory is trained beside the model alone: it can be removed without a change to the others. Nothing is kept, and the
    model is as it was, where the gate refuses, the disk is full, or a text changed meanwhile; the report says so. Raises
    InvalidInput where nothing can be learned, and Conflict while weights are attached to the model.
    """
    start = time.monotonic()
    left_out = {cube.id: reason for cube in cubes if (reason := unfit(cube))}
    chosen = [cube for cube in {cube.id: cube for cube in cubes}.values() if cube.id not in left_out]
    examples = list(how.examples) if how.examples is not None else examples_of_cubes(chosen)
    if not chosen or not examples:
        said = "; ".join(f"{name}: {reason}" for name, reason in left_out.items()) or "their texts state nothing"
        raise InvalidInput(f"there is nothing to learn ({said}).")
    asked = how.paraphrases
    if asked is None:
        asked = examples_of_cubes(chosen, held_out=True) if how.examples is None else ()
    carrier = carrier_of(into)
    chat = bool(getattr(tokenizer, "chat_template", None)) if how.chat is None else how.chat
    with holding(model):
        if attached_to(model):
            raise Conflict("weights are attached to the model: learn outside the block, beside the model alone.")
        yardstick = (how.yardstick or Yardstick.usual()).known(model, tokenizer)
        before = yardstick.measure(model, tokenizer, examples, asked, chat)
        learned, trained = _trained(carrier, model, tokenizer, asked_as(examples, tokenizer, chat), how)
        after = _after(yardstick, learned, model, tokenizer, (examples, asked, chat), how.when_asked)
        decision, cube, seconds = how.gate.decide(before, after), None, time.monotonic() - start
        if decision.promoted:
            about = {
                "measures": {"before": before, "after": after}, "gate": asdict(how.gate), "training": trained,
                "unmeasured": list(decision.unmeasured), "seconds": seconds, "seed": how.seed, "when_asked": how.when_asked,
            }  # fmt: skip
            try:
                cube = weights.keep(
                    learned, carrier, chosen, model, examples, paraphrases=asked, chat=chat, about=about, bits=how.bits
                )
            except (Conflict, StoreError) as error:
                decision = replace(decision, promoted=False, reasons=(str(error),))
    return LearnReport(
        cube,
        decision,
        before,
        after,
        left_out,
        tuple(c.id for c in chosen),
        len(examples),
        learned.nbytes,
        seconds,
        trained,
        sum(not cube.parents for cube in chosen) / len(chosen),
    )


def _trained(
    carrier: Carrier, model: Any, tokenizer: Any, examples: Sequence[Example], how: Learning
) -> tuple[Learned, dict[str, Any]]:
    """Return new weights that were trained on examples, and what the training reports."""
    usual = Training(rate=carrier.rate, seed=how.seed)
    learned = carrier.create(model, examples, tokenizer, how.seed)
    report = train(model, tokenizer, learned, examples, how.training or usual, how.progress, how.texts)
    if how.bits is not None:
        learned = carrier.load(model, widened(rounded(learned.tensors(), how.bits)))
    return learned, asdict(report)


def _after(
    yardstick: Yardstick, learned: Learned, model: Any, tokenizer: Any,
    asked: tuple[Sequence[Example], Sequence[Example], bool], when_asked: bool,
) -> Measures:  # fmt: skip
    """Return the measures of a model with weights: attached to every prompt, or to those that ask for them."""
    if when_asked:
        return measured_when_asked(yardstick, learned, model, tokenizer, *asked)
    with learned.attach(model):
        return yardstick.measure(model, tokenizer, *asked)


def measure_again(weights: Keeper, cube: MemCube, model: Any, tokenizer: Any, how: Learning) -> Decision:
    """Measure weights that are kept, and write the measures to the next version of their cube; see `Weights.measure`."""
    with holding(model):
        if attached_to(model):
            raise Conflict("weights are attached to the model: measure them outside the block.")
        with weights.attached(model, cube) as attachment:
            file, learned = attachment.loaded[0].file, attachment.loaded[0].learned
        if not file.examples:
            raise InvalidInput(f"weights {cube.id} do not say what was learned: there is nothing to ask.")
        yardstick = (how.yardstick or Yardstick.usual()).known(model, tokenizer)
        asked = file.examples, file.paraphrases, file.chat
        before = yardstick.measure(model, tokenizer, *asked)
        after = _after(yardstick, learned, model, tokenizer, asked, bool(cube.metadata.get("when_asked")))
    decision = how.gate.decide(before, after)
    about = {
        **cube.metadata, "measures": {"before": before, "after": after}, "gate": asdict(how.gate),
        "failed": list(decision.reasons), "unmeasured": list(decision.unmeasured),
    }  # fmt: skip
    if decision.promoted:
        about.pop("imported", None)
    newer = replace(cube, version=cube.version + 1, learned=weights.clock(), metadata=about)
    with weights.store.transaction():
        if weights.store.get([cube.id]).get(cube.id) != cube:
            raise Conflict(f"weights {cube.id} changed while they were measured: measure them again.")
        weights.store.replace(Entry(newer, ()), None)
    return decision
