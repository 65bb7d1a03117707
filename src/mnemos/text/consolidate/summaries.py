"""Summaries: sessions, days and weeks summed up, each level from the one below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mnemos.registry import Paper, register
from mnemos.store.values import DerivedCube
from mnemos.text.base import Memory
from mnemos.text.consolidate.derive import Writer
from mnemos.text.consolidate.groups import Group, Level, groups, members_of
from mnemos.text.consolidate.report import Budget

SENTENCES: Mapping[Level, int] = {"session": 5, "day": 7, "week": 9, "all": 9}


@register(
    "summaries",
    papers=(
        Paper(
            "MemoryBank: Enhancing Large Language Models with Long-Term Memory",
            "2305.10250",
            code="zhongwanjun/MemoryBank-SiliconFriend",
        ),
    ),
)
@dataclass(frozen=True, slots=True)
class Summaries:
    """Sum up the groups of each level, and keep what a model concludes from a week.

    The first level is made of the originals, each other one of the summaries of the level before it. A summary is made
    again when a member has changed, and when a model that failed may try again. O(N), and O(what changed).

    Deviation: the paper's model writes the summaries; here the space's reasoner does, which is the rules by default.
    """

    levels: tuple[Level, ...] = ("session", "day", "week")  # of "session", "day", "week" and "all", in this order

    def run(self, memory: Memory, budget: Budget) -> None:
        """Write the summaries that are missing or no longer right."""
        for below, level in zip((None, *self.levels), self.levels, strict=False):
            if budget.spent:
                return
            derived = memory.store.derived.existing()
            members = (
                memory.store.derived.members()
                if below is None
                else members_of(d for d in derived.values() if d.level == below)
            )
            writer = Writer(memory)
            for group in groups(members, level):
                if budget.spent:
                    break
                if not group.is_current(derived) or _again(memory, derived[group.of], budget):
                    _sum_up(writer, group, derived, budget)
            writer.flush()


def _again(memory: Memory, summary: DerivedCube, budget: Budget) -> bool:
    """Tell whether the rules wrote a summary because the model failed, and the model is to try again."""
    return memory.judge.has_model and summary.id in budget.done.ids_waiting


def _sum_up(writer: Writer, group: Group, derived: Mapping[str, DerivedCube], budget: Budget) -> None:
    memory = writer.memory
    cubes = memory.store.by_key([m.key for m in group.members])
    texts = [
        (f"{c.speaker}: " if c.speaker else "") + c.text
        for c in (cubes[m.key] for m in group.members if m.key in cubes)
    ]
    sentences = SENTENCES[group.level]
    (title, summary), good = memory.judge.ask(lambda r: (r.title(texts), r.summarise(texts, sentences)))
    if summary:
        text = f"{title} ({group.members[0].when:%Y-%m-%d}): {summary}"
        about = {"title": title, "level": group.level}
        existing = derived.get(group.of)
        writer.put("summary", group.of, text, group.members, group.fingerprint, existing, about, good=good)
        budget.done.count(group.level)
        if group.level == "week":
            _reflect(writer, group, texts, derived, budget)
    if budget.progress:
        budget.progress(1)


def _reflect(
    writer: Writer, group: Group, texts: Sequence[str], derived: Mapping[str, DerivedCube], budget: Budget
) -> None:
    """Keep what the reasoner concludes from a group; the rules conclude nothing."""
    insights, _ = writer.memory.judge.ask(lambda r: r.reflect(texts))
    if insights:
        of = f"reflection:{group.of}"
        text, about = "\n".join(insights), {"level": group.level}
        writer.put("reflection", of, text, group.members, group.fingerprint, derived.get(of), about)
        budget.done.count("reflection")
