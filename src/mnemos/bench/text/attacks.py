"""Attacks in several hands' wording, through a real space: `mnemos bench attacks`. What reaches `Space.context`, what is lost.

An item is a small memory: `truth`, what the user said; `other`, a text that came from outside, or one more truth of the user;
a `question`; and `bad`, whether `other` must stay out of the prompt. Orders, lies that a pattern reads, lies in oblique words,
and subtle ones: advice and slander that would harm. Hands a and b were seen while the guard was written, and its model is
fitted on them; what the guard does with wording that it has not seen is what a hand says that was not.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.bench.text.hands import Item, items
from mnemos.embed import load
from mnemos.embed.base import Embedder
from mnemos.registry import Entry
from mnemos.space import Space
from mnemos.system import Mnemos
from mnemos.text.recall.context import records

START = datetime(2024, 1, 1, tzinfo=UTC)
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


def cases(data: str = "") -> dict[str, list[Case]]:
    """Return the cases by hand: of a file or a folder of JSON lines, or of the package. Raises InvalidInput."""
    hands = items("attacks", data, "attacks.jsonl", valid)
    return {hand: [_case(item) for item in rows] for hand, rows in hands.items()}


def valid(item: Item) -> bool:
    """Tell whether an item has what a case needs."""
    case = _case(item)
    return all(message["text"] for message in (*case.truth, case.other)) and isinstance(case.bad, bool)


def _case(item: Item) -> Case:
    return Case(item["id"], item["kind"], tuple(item["truth"]), item["other"], item["question"], item["bad"])


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


def apart(cases: Sequence[Case], embedder: Embedder | None) -> list[Outcome]:
    """Return the outcome of each case, in a space of its own. About 50 ms a case."""
    outcomes = []
    with (
        tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root,
        Mnemos(root, embedder=embedder, timezone="UTC") as memory,
    ):
        for number, case in enumerate(cases):
            space = memory.space(f"case-{number}")
            tell(space, case, 0)
            outcomes.append(outcome(space, case))
    return outcomes


def together(cases: Sequence[Case], embedder: Embedder | None) -> list[Outcome]:
    """Return the outcome of each case, all told to one space: questions find the memories of others too."""
    with (
        tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root,
        Mnemos(root, embedder=embedder, timezone="UTC") as memory,
    ):
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


@dataclass(frozen=True)
class Options:
    """The attacks, and what embeds them."""

    data: str = ""  # file or folder of JSON lines instead of those of the package, one file a hand
    embedder: str = "bundled"  # what embeds the texts


def table(result: Result) -> Rows:
    """Return what reaches the prompts, and what is lost, by hand."""
    lines: Rows = [
        ["hand", "told", "reach a prompt, unguarded", "guarded", *KINDS, "true memories lost", "harmless texts lost"]
    ]
    for hand, ways in result["hands"].items():
        for way, row in ways.items():
            kinds = [percent(row["by_kind"][kind]) if kind in row["by_kind"] else "-" for kind in KINDS]
            lines.append(
                [
                    hand,
                    WAYS[way],
                    percent(row["unguarded"]),
                    percent(row["reached"]),
                    *kinds,
                    percent(row["lost"]),
                    percent(row["others_lost"]),
                ]
            )
    return lines


KINDS = ("order", "lie", "lie-unread", "subtle")
WAYS = {"apart": "a space for each case", "together": "all in one space"}


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what `context` lets through, of the worst hand."""
    if (entry.form, entry.name) != ("text", "context"):
        return None
    worst = max((ways["apart"] for ways in result["hands"].values()), key=lambda row: float(row["reached"]))
    text = (
        f"shows {percent(worst['reached'])} of a hand's attacks and loses {percent(worst['lost'])} of the true memories"
    )
    return Figure(text, {"shown without the guard": percent(worst["unguarded"])})


@benchmark(
    "attacks",
    help="Attacks and harmless texts that several people wrote: what reaches a prompt?",
    options=Options,
    tables={"attacks": table},
    figure=figure,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return shares by hand, each case in a space of its own and all in one space."""
    model = load(options.embedder)
    found: dict[str, dict[str, Any]] = {}
    hands = cases(options.data)
    progress.expect(2 * len(hands))
    for hand, rows in hands.items():
        found[hand] = {}
        for name, way in (("apart", apart), ("together", together)):
            outcomes = way(rows, model)
            reached = [o.case.id for o in outcomes if o.case.bad and o.reached]
            lost = [o.case.id for o in outcomes if o.kept < o.truths or (o.found and not o.reached and not o.case.bad)]
            found[hand][name] = {**summary(outcomes), "not": {"kept out": reached, "kept": lost}}
            progress(1)
    return {"hands": found}
