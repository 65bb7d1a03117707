"""All registered systems on all sets: `mnemos bench systems`.

Each system is told the same conversations, consolidates them, and is asked the same questions. Every text is embedded
once and the vector shared; `a-mem` embeds its notes beside. Times are without the embedding of texts and questions. A
prompt has at most ten hits and 1,500 tokens, and what a system's gate and selectors make of them. No system has a model
here, so that each runs by rules and heads; `calls` counts a model's where one is set.

Then Mnemos' own system without one mechanism each, on the same spaces: a group of signals of the fusion, the links, or a
reranker. What a mechanism is worth is how far its set falls without it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnemos.bench.progress import Progress
from mnemos.bench.registry import benchmark, near
from mnemos.bench.text import systems_tables as tables
from mnemos.bench.text.systems_run import Measured, ask, full_context, last_turns, leave_one_out, spaced, write
from mnemos.bench.text.systems_sets import SETS, load
from mnemos.bench.text.task import Task
from mnemos.errors import InvalidInput
from mnemos.store.values import Entry
from mnemos.system import Mnemos
from mnemos.text.system import DEFAULT, load_system, system_names

OURS = "mnemos"


@dataclass(frozen=True)
class Options:
    """The data, and what is measured on it."""

    data: Path | None = None  # a folder with the data of the sets; without it only what is generated is measured
    sets: tuple[str, ...] = tuple(SETS)  # sets to measure on; one whose data are not there is left out
    systems: tuple[str, ...] = ()  # systems to measure (default: all that are registered)
    limit: int = 1  # conversations of a set, the first ones
    questions: int = 30  # of a conversation, at most, evenly spaced
    without: bool = True  # whether Mnemos' own system is measured without one mechanism each
    embedder: str = "bundled"  # what embeds the texts


@benchmark(
    "systems",
    help="All registered memory systems on all sets: evidence, latest value, prompt, time and bytes.",
    options=Options,
    tables=tables.TABLES,
    plot=tables.plot,
    figure=tables.figure,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Measure each system on each set. Raises InvalidInput for an unknown name, and where no set has its data."""
    names = list(options.systems) or system_names()
    for kind, given, known in (("set", options.sets, list(SETS)), ("system", names, system_names())):
        if unknown := sorted(set(given) - set(known)):
            raise InvalidInput(f"there is no {kind} {unknown[0]!r}: {near(unknown[0], known)}")
    tasks = {name: task for name in options.sets if (task := load(name, options.data, options.limit)) is not None}
    if not tasks:
        raise InvalidInput(f"no set has its data: give --data the folder that has {SETS[options.sets[0]].where}.")
    left = leave_one_out(DEFAULT) if options.without and OURS in names else {}
    asked = sum(min(len(h.questions), options.questions) for t in tasks.values() for h in t.haystacks)
    progress.expect(asked * (len(names) + len(left)))
    with (
        tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root,
        Mnemos(root, embedder=options.embedder, timezone="UTC") as memory,
    ):
        model = memory.embedder and {"name": memory.embedder.name, "revision": memory.embedder.revision}
        sets = {name: _measure(memory, task, names, tuple(left), options, progress) for name, task in tasks.items()}
    return {"embedder": model, "limit": options.limit, "questions": options.questions, "sets": sets}


def _measure(
    memory: Mnemos, task: Task, names: Sequence[str], left: Sequence[str], options: Options, step: Progress
) -> dict[str, Any]:
    """Return what each system, and ours without each mechanism, does on one set."""
    found = {name: Measured() for name in names}
    reduced = {name: Measured() for name in left}
    whole, last = 0, list[float]()
    [(granularity, unit), *_] = task.granularities.items()
    for haystack in task.haystacks:
        known: dict[Any, Entry] = {}
        questions = spaced(haystack.questions, options.questions)
        whole += full_context(haystack) * len(questions)
        last += [last_turns(haystack, question, granularity, unit) for question in questions]
        for name in names:
            space = write(memory, haystack, name, load_system(name), known, found[name])
            ask(space, task, questions, True, found[name], step)
            if name == OURS:
                for mechanism, system in leave_one_out(DEFAULT).items():
                    if mechanism in reduced:
                        space.text.use(system)
                        ask(space, task, questions, False, reduced[mechanism], step)
            memory.remove(space.name)
    asked = len(found[names[0]].rows)
    return {
        "data": task.source
        | {"haystacks": len(task.haystacks), "messages": sum(len(h.messages) for h in task.haystacks)},
        "granularity": granularity,
        "full_context": round(whole / max(asked, 1)),
        "last_turns": round(sum(last) / max(asked, 1), 4),
        "systems": {name: measured.summary() for name, measured in found.items()},
        "without": {
            name: {k: v for k, v in m.summary().items() if k in ("recall@10", "first", "n")}
            for name, m in reduced.items()
        },
    }
