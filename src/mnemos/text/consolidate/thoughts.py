"""Thoughts by tag: what was said of a subject, a dated line a session, in one cube for each tag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mnemos.registry import register
from mnemos.store.values import Member
from mnemos.text.base import Memory
from mnemos.text.consolidate.derive import Writer
from mnemos.text.consolidate.groups import fingerprint
from mnemos.text.consolidate.report import Budget
from mnemos.text.encode.tags import tags_of
from mnemos.text.recall.self_contained import CAIM


@register(
    "thoughts",
    unmeasured="tests/text/systems/test_caim.py checks it within caim",
    papers=(CAIM,),
)
@dataclass(frozen=True, slots=True)
class Thoughts:
    """Write a thought for each tag: of each session one dated sentence about it, merged into one cube.

    A new session adds a line to the thought that exists. Reads the texts of all originals, O(N), and writes only what
    changed.

    Deviation: the paper's model writes thoughts and chooses which to merge; here the space's reasoner writes them, by rules
    where it has no model, and what has the same tag is merged.
    """

    least: int = 3  # texts of a tag that are worth a thought
    lines: int = 60  # of a thought, at most: the newest

    def run(self, memory: Memory, budget: Budget) -> None:
        """Write the thoughts that are missing or no longer right."""
        store, writer = memory.store, Writer(memory)
        derived = store.derived.existing()
        texts: dict[int, str] = {}
        of_tag: dict[str, list[Member]] = {}
        members = store.derived.members()
        cubes = store.by_key([m.key for m in members])
        for member in members:
            cube = cubes.get(member.key)
            if cube is not None and cube.state == "active":
                texts[member.key] = cube.text
                for tag in tags_of(cube.text)[:1]:
                    of_tag.setdefault(tag, []).append(member)
        for tag, own in sorted(of_tag.items()):
            if budget.spent:
                break
            of, mark = f"tag:{tag}", fingerprint((m.id, m.version) for m in own)
            existing = derived.get(of)
            if len(own) < self.least or (existing is not None and existing.fingerprint == mark):
                continue
            lines, good = self._lines(memory, own, texts)
            if lines:
                text = "\n".join([f"What was said about {tag.replace('-', ' ')}:", *lines])
                writer.put("summary", of, text, own, mark, existing, {"title": tag, "level": "tag"}, good=good)
                budget.done.count("thought")
        writer.flush()

    def _lines(self, memory: Memory, members: Sequence[Member], texts: dict[int, str]) -> tuple[list[str], bool]:
        """Return a dated sentence for each session, and whether the reasoner of the space wrote all of them."""
        sessions: dict[str, list[Member]] = {}
        for m in members:
            sessions.setdefault(m.session or f"{m.when.date()}", []).append(m)
        lines, well = [], True
        for own in list(sessions.values())[-self.lines :]:
            said = [texts[m.key] for m in own]
            gist, good = memory.judge.ask(lambda r, said=said: r.summarise(said, 1))  # type: ignore[misc]
            well &= good
            if gist:
                lines.append(f"{own[0].when:%Y-%m-%d}: {gist}")
        return lines, well
