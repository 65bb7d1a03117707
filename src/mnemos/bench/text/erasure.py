"""Erasure over random cases: `mnemos bench erasure`. Nothing of what is forgotten may remain anywhere."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mnemos.bench.progress import Progress
from mnemos.bench.registry import Result, Rows, benchmark
from mnemos.cube import MemCube
from mnemos.space import Space
from mnemos.system import Mnemos

WAYS = ("ids", "query", "filter", "everything")
START = datetime(2024, 1, 1, tzinfo=UTC)
TEXTS = (
    "I moved to {}.", "I live in {} with my dog.", "My bank is {} Bank.", "The project deadline is {}.",
    "{} said that the harbour was closed.", "We cooked {} and the oven was hot, and everybody stayed late.",
)  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Number and size of the spaces."""

    seed: int = 0  # seed of the cases
    cases: int = 1_000  # spaces to build
    cubes: int = 14  # cubes in each


def table(result: Result) -> Rows:
    """Return what was forgotten and what remains."""
    lines: Rows = [["what", "count"]]
    lines += [
        [name.replace("_", " "), f"{result[name]:,}"] for name in ("cases", "cubes_forgotten", "derived_forgotten")
    ]
    lines += [[f"remains: {name.replace('_', ' ')}", count] for name, count in result["remains"].items()]
    return [*lines, ["wrongly gone", result["wrongly_gone"]]]


@benchmark(
    "erasure",
    help="A thousand random spaces in which something is forgotten, and what remains of it.",
    options=Options,
    tables={"erasure": table},
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Build `cases` random spaces, forget something in each, and search for remains; return the counts.

    A space has statements that supersede each other, versions, sessions with summaries, episodes and profiles, links,
    recalls and decisions. What to forget is chosen by ids, by query, by a filter, or as everything. Then every table
    and the raw bytes of every file are searched for the unique word and the id of each forgotten cube, and for those of
    each kept one.
    """
    seed, cases = options.seed, options.cases
    progress.expect(cases)
    rng = random.Random(seed)
    found: Counter[str] = Counter()
    for case in range(cases):
        with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root:
            found += _case(rng, case, options.cubes, Path(root))
        progress(1)
    names = ("rows", "words", "vectors", "links", "derived", "raw_bytes", "receipt")
    return {
        "seed": seed, "cases": cases, "cubes_built": found["built"], "cubes_forgotten": found["forgotten"],
        "derived_forgotten": found["derived_forgotten"], "by": {n: found[f"by {n}"] for n in WAYS},
        "remains": {name: found[name] for name in names}, "remains_total": sum(found[name] for name in names),
        "wrongly_gone": found["wrongly_gone"],
    }  # fmt: skip


def _case(rng: random.Random, case: int, count: int, root: Path) -> Counter[str]:
    found: Counter[str] = Counter(built=count)
    now = [START]
    with Mnemos(root, embedder="hashing:32", clock=lambda: now[0], timezone="UTC") as memory:
        space = memory.space("s")
        words: dict[str, str] = {}  # the unique word of each cube
        for i in range(count):
            word = "Q" + "".join(rng.choice("bcdfghjklmnpqrstvwxz") for _ in range(14))
            session = f"s{rng.randrange(3)}" if rng.random() < 0.8 else None
            cube = space.add(rng.choice(TEXTS).format(word), speaker="Ana", session=session, metadata={"i": i})
            if rng.random() < 0.2:
                space.update(cube.id, content=f"Changed: {word} it is.")
            words[cube.id] = word
            now[0] += timedelta(hours=rng.randrange(30))
        if rng.random() < 0.8:
            space.consolidate()
        for word in rng.sample(sorted(words.values()), 2):
            space.search(word)
        space.flush()
        doomed = _forget(rng, space, words, found)
        found += _remains(space, {i: words[i] for i in doomed}, root)
        kept = set(words) - doomed
        raw = _raw(root)
        found["wrongly_gone"] += sum(
            i.encode() not in raw or words[i].encode() not in raw or i not in space.store.get([i]) for i in kept
        )
        found["forgotten"] += len(doomed)
    return found


def _forget(rng: random.Random, space: Space, words: dict[str, str], found: Counter[str]) -> set[str]:
    """Forget something in one of four ways; return the ids of the originals that must be erased."""
    way = rng.choices(WAYS, (6, 2, 2, 1))[0]
    found[f"by {way}"] += 1
    some = set(rng.sample(sorted(words), rng.randrange(1, len(words))))
    if way == "ids":
        receipt = space.forget(sorted(some))
    elif way == "query":
        some = {min(some)}
        receipt = space.forget(query=words[min(some)])
    elif way == "filter":
        session = next((c.session for c in _all(space) if c.session and c.kind == "turn"), None)
        some = {c.id for c in _all(space) if c.session == session and c.id in words} if session else set(words)
        receipt = space.forget(session=session) if session else space.forget(everything=True)
    else:
        some, receipt = set(words), space.forget(everything=True)
    found["receipt"] += not receipt.verified
    found["derived_forgotten"] += receipt.derived
    return some


def _all(space: Space) -> list[MemCube]:
    return space.cubes(limit=1_000, state="any").items


def _remains(space: Space, doomed: dict[str, str], root: Path) -> Counter[str]:
    """Count the traces of forgotten cubes, by where they are."""
    found: Counter[str] = Counter(vectors=space.store.remains.orphans())
    raw = _raw(root)
    for name, word in doomed.items():
        places = space.store.remains.places(word)
        found["rows"] += places["cubes"] + len(space.store.versions(name))
        found["words"] += places["words"]
        found["derived"] += places["facts"]
        found["links"] += space.store.remains.traces([name])
        found["raw_bytes"] += any(piece.encode() in raw for piece in (name, word, word.lower()))
    return found


def _raw(root: Path) -> bytes:
    return b"".join(p.read_bytes() for p in sorted(root.iterdir()) if p.is_file())
