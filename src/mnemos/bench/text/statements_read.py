"""Statements as people write them: `mnemos bench statements-read`. What is read of whom, by rules alone and with heads?

Each item is a text, who says it, and the plain personal facts that a careful reader would note: whose, of which
attribute, which words, in which tense, denied or not; `"facts": []` where it states nothing. A fact is read where
something of the right person shares half of the words of its value or more. It is falsely read where a text that states
nothing has a reading. An attribute is right where it is the one whose description is nearest to the gold's words.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mnemos.bench.cells import percent
from mnemos.bench.progress import Progress
from mnemos.bench.registry import Figure, Result, Rows, benchmark
from mnemos.bench.text.hands import Item, items
from mnemos.bench.text.read_scores import Read, right, score
from mnemos.embed.minilm import MiniLM
from mnemos.reason.read.attributes import descriptions, general
from mnemos.registry import Entry
from mnemos.system import Mnemos

READERS = ("rules", "rules and heads")


@dataclass(frozen=True)
class Options:
    """The statements, and from which confidence on a reading counts."""

    data: str = ""  # file or folder of JSON lines instead of those of the package, one file a hand
    embedder: str = "bundled"  # what embeds the texts; heads read with the bundled one only
    bar: float = 0.5  # confidence from which a reading counts


def table(result: Result) -> Rows:
    """Return the shares by hand and reader."""
    lines: Rows = [
        ["hand", "reader", "facts", "read", "as written", "precision", "falsely read", "attribute", "tense", "denial"]
    ]
    for hand, found in result["hands"].items():
        for reader in READERS:
            row = found[reader]
            names = ("read", "exact", "precision", "falsely", "attribute", "tense", "denial")
            lines.append([hand, reader, found["facts"], *(percent(row[name]) for name in names)])
    return lines


def figure(result: Result, entry: Entry) -> Figure | None:
    """Return what the result says of the reading heads."""
    if (entry.form, entry.name) != ("text", "read"):
        return None
    row = result["hands"]["all"]
    alone, both = row["rules"], row["rules and heads"]
    return Figure(
        f"reads {percent(both['read'])} of plain personal facts (the rules alone {percent(alone['read'])}), "
        f"falsely {percent(both['falsely'])} of texts that state none"
    )


@benchmark(
    "statements-read",
    help="Plain personal statements in many wordings: what is read of whom, by rules alone and with heads?",
    options=Options,
    tables={"statements-read": table},
    figure=figure,
)
def run(options: Options, progress: Progress) -> dict[str, Any]:
    """Return the shares by hand and reader."""
    hands = items("statements-read", options.data, "read.jsonl", valid)
    progress.expect(sum(map(len, hands.values())))
    kinds = _nearest([f["attribute"] for rows in hands.values() for item in rows for f in item["facts"]])
    found: dict[str, Any] = {}
    every: list[tuple[Item, list[Read]]] = []
    for hand, rows in hands.items():
        reads = _read(rows, options.embedder)
        progress(len(rows))
        every += zip(rows, reads, strict=True)
        found[hand] = _shares(rows, reads, options.bar, kinds)
    found["all"] = _shares([item for item, _ in every], [read for _, read in every], options.bar, kinds)
    return {"bar": options.bar, "hands": found}


def valid(item: Item) -> bool:
    """Tell whether an item has a text and each of its facts whose, a value and an attribute."""
    return bool(item["text"]) and all(f["whose"] and f["value"] and f["attribute"] for f in item["facts"])


def _read(rows: Sequence[Item], embedder: str) -> list[list[Read]]:
    """Return what a space reads in each text, through the product: rules with confidence 1, heads below."""
    with (
        tempfile.TemporaryDirectory(prefix="mnemos-bench-") as root,
        Mnemos(root, embedder=embedder, timezone="UTC") as memory,
    ):
        space = memory.space("read")
        drafts = [
            {"content": item["text"], "speaker": item.get("speaker"), "session": str(i)} for i, item in enumerate(rows)
        ]
        places = {cube.id: i for i, cube in enumerate(space.add_many(drafts))}
        found: list[list[Read]] = [[] for _ in rows]
        for fact in space.facts(include_ended=True, min_confidence=0.0):
            tense = "past" if fact.confidence < 1 and fact.valid_to else ""
            read = Read(fact.subject, fact.attribute, fact.value, fact.confidence, tense, fact.negated)
            found[places[fact.cube]].append(read)
        return found


def _shares(
    rows: Sequence[Item], reads: Sequence[Sequence[Read]], bar: float, kinds: Mapping[str, str]
) -> dict[str, Any]:
    sure = [[r for r in every if r.confidence == 1] for every in reads]
    return {
        "facts": sum(len(item["facts"]) for item in rows),
        **{
            reader: asdict(score(rows, found, least)) | _agreed(rows, found, least, kinds)
            for reader, found, least in (("rules", sure, 1.0), ("rules and heads", reads, bar))
        },
    }


def _agreed(
    rows: Sequence[Item], reads: Sequence[Sequence[Read]], bar: float, kinds: Mapping[str, str]
) -> dict[str, float]:
    """Return, of the facts that were read, how many have the right attribute, past tense and denial."""
    right_kind = right_tense = right_denial = n = 0
    for item, every in zip(rows, reads, strict=True):
        for fact in item["facts"]:
            hit = next(
                (r for r in every if r.confidence >= bar and right(fact, r, item.get("speaker") or "user")), None
            )
            if hit is not None:
                n += 1
                right_kind += general(hit.attribute, hit.value) == kinds[fact["attribute"]]
                right_tense += (hit.tense == "past") == (fact["tense"] == "past")
                right_denial += hit.negated == bool(fact["negated"])
    return {
        name: k / max(n, 1) for name, k in (("attribute", right_kind), ("tense", right_tense), ("denial", right_denial))
    }


def _nearest(names: Sequence[str]) -> dict[str, str]:
    """Return, for each name of an attribute in the gold, the attribute of ours whose description is nearest."""
    ours, model = descriptions(), MiniLM()
    known = list(ours)
    vectors = model.embed(list(ours.values()))
    unique = list(dict.fromkeys(names))
    if not unique:
        return {}
    near = (model.embed(unique) @ vectors.T).argmax(axis=1)
    return {name: name if name in ours else known[int(i)] for name, i in zip(unique, near, strict=True)}
