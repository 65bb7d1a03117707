"""Attacks as several hands wrote them, told to a real space: what reaches `Space.context`, and what is lost.

A line of a file is one case: `truth`, what the user said; `other`, a text that came from elsewhere, or another truth of the
user; a `question`; and `bad`, whether `other` must not reach the prompt. Each hand wrote without seeing the code or the
others' cases.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mnemos.embed.base import Embedder
from mnemos.errors import InvalidInput
from mnemos.space import Space
from mnemos.system import Mnemos
from mnemos.text.recall.context import records

BUNDLED = Path(__file__).parent / "data" / "attacks"
START = datetime(2024, 1, 1, tzinfo=UTC)
KEYS = ("id", "kind", "truth", "other", "question", "bad")
FIELDS = ("speaker", "role", "source", "session", "at")
TOKENS, HITS = 4_000, 40


@dataclass(frozen=True)
class Case:
    """One case: messages of the user, another one, the question, and whether the other must stay out of a prompt."""

    id: str
    kind: str
    truth: tuple[dict[str, Any], ...]
    other: dict[str, Any]
    question: str
    bad: bool


def read(path: str | Path = "") -> dict[str, list[Case]]:
    """Return the cases by hand: of a file, of all *.jsonl in a folder, or the bundled ones. Raises InvalidInput."""
    place = Path(path) if path else BUNDLED
    files = sorted(place.glob("*.jsonl")) if place.is_dir() else [place]
    if not files:
        raise InvalidInput(f"there is no .jsonl file in {place}. Give a file of cases, or a folder that has some.")
    return {file.stem: _cases(file) for file in files}


def _cases(file: Path) -> list[Case]:
    found = []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read ({error.strerror}). Give a file of cases in JSON Lines.") from error
    for number, line in enumerate(filter(str.strip, lines), 1):
        try:
            row = json.loads(line)
            found.append(Case(row["id"], row["kind"], tuple(row["truth"]), row["other"], row["question"], row["bad"]))
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput(f"{file}, line {number}: not a case ({error!r}). It needs {', '.join(KEYS)}.") from error
    return found


def tell(space: Space, case: Case, number: int) -> None:
    """Store what a case tells, under ids of its own, an hour apart."""
    for i, message in enumerate([*case.truth, case.other]):
        given = {name: message[name] for name in FIELDS if message.get(name)}
        given.setdefault("at", START + timedelta(days=number, hours=i))
        space.add(message["text"], id=name_of(case, i), **given)


def name_of(case: Case, index: int) -> str:
    """Return the id of a message of a case; the last is `other`."""
    return f"{case.id}:{index}"


def shown(space: Space, case: Case, *, quarantine: bool) -> set[str]:
    """Return the ids that the prompt for the question of a case has."""
    block = space.context(case.question, tokens=TOKENS, k=HITS, quarantine=quarantine)
    return {record.id for record in records(block)} if block else set()


@dataclass(frozen=True)
class Outcome:
    """What became of the messages of one case."""

    case: Case
    found: bool  # `other` is in the prompt without the guard
    reached: bool  # and with it
    truths: int  # of the user's other messages, in the prompt without the guard
    kept: int  # and with it


def run(cases: Sequence[Case], embedder: Embedder) -> list[Outcome]:
    """Return the outcome of each case, in a space of its own. About 50 ms a case."""
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root, Mnemos(root, embedder=embedder) as memory:
        for number, case in enumerate(cases):
            space = memory.space(f"case-{number}")
            tell(space, case, 0)
            outcomes.append(outcome(space, case))
    return outcomes


def run_together(cases: Sequence[Case], embedder: Embedder) -> list[Outcome]:
    """Return the outcome of each case, all told to one space: questions find the memories of others too."""
    with tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root, Mnemos(root, embedder=embedder) as memory:
        space = memory.space("all")
        for number, case in enumerate(cases):
            tell(space, case, number)
        return [outcome(space, case) for case in cases]


def outcome(space: Space, case: Case) -> Outcome:
    """Return what became of the messages of a case that were told to a space."""
    before, after = shown(space, case, quarantine=False), shown(space, case, quarantine=True)
    other = name_of(case, len(case.truth))
    truths = {name_of(case, i) for i in range(len(case.truth))} & before
    return Outcome(case, other in before, other in after, len(truths), len(truths & after))


def summary(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Return shares of the attacks that reach a prompt, by kind, and of the true memories that are lost."""
    rows = list(outcomes)
    attacks, others = [o for o in rows if o.case.bad], [o for o in rows if not o.case.bad]
    kinds = Counter(o.case.kind for o in attacks)
    reached = Counter(o.case.kind for o in attacks if o.reached)
    true = sum(o.truths for o in rows) + sum(o.found for o in others)
    lost = sum(o.truths - o.kept for o in rows) + sum(o.found and not o.reached for o in others)
    return {
        "attacks": len(attacks),
        "unguarded": _share(sum(o.found for o in attacks), len(attacks)),
        "reached": _share(sum(reached.values()), len(attacks)),
        "by_kind": {kind: _share(reached[kind], n) for kind, n in sorted(kinds.items())},
        "true": true,
        "lost": _share(lost, true),
        "others": len(others),
        "others_lost": _share(sum(o.found and not o.reached for o in others), sum(o.found for o in others)),
    }


def _share(part: int, whole: int) -> float:
    return round(part / max(whole, 1), 4)
