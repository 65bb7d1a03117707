"""`space.consolidate()`: episodes to summaries, sessions to days to weeks, facts to profiles, hot to long term, stale away."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mnemos.cube import to_micros
from mnemos.facts import Link
from mnemos.registry import Paper, register
from mnemos.store.values import DerivedCube, Member
from mnemos.text.consolidate.derive import Writer, reflect, summarise
from mnemos.text.consolidate.episodes import cut
from mnemos.text.consolidate.groups import Group, above, fingerprint, units
from mnemos.text.consolidate.profiles import profiles
from mnemos.text.consolidate.reconsider import TRIES, reconsider
from mnemos.text.consolidate.runs import Consolidation, keep
from mnemos.text.consolidate.similar import link_new
from mnemos.text.forget.policy import apply_policy, promote
from mnemos.text.memory import TextMemory

LIMIT = 2_000  # derived cubes that one run writes
LINK_BATCH = 4_000  # new cubes that one run links
SENTENCES = {"session": 5, "day": 7, "week": 9}
SHORTEST = {"session": 3, "day": 2, "week": 2}  # members that are worth a summary
Progress = Callable[[int], None]


@register(
    "consolidate",
    papers=(
        Paper(
            "MemoryBank: Enhancing Large Language Models with Long-Term Memory",
            "2305.10250",
            code="zhongwanjun/MemoryBank-SiliconFriend",
        ),
        Paper("Memory OS of AI Agent", "2506.06326", code="BAI-LAB/MemoryOS"),
    ),
)
def consolidate(space: TextMemory, *, limit: int = LIMIT, progress: Progress | None = None) -> Consolidation:
    """Make memories last: link, sum up, profile, promote what is hot and let go of what is stale.

    Derived cubes are written some at a time, and what is to be done is read from the file alone: a run that was killed
    loses nothing, the next one goes on, and one with nothing new writes nothing. Originals are never rewritten.
    Costs one scan, O(N), and O(what changed).
    """
    done = Consolidation()
    space.flush()
    done.reconsidered, done.waiting = reconsider(space, limit=limit)
    done.ids_waiting = frozenset(i for i, tries, _ in space.store.queue.pending() if tries < TRIES)
    done.linked = link(space)
    originals, made = space.store.derived.members(), space.store.derived.existing()
    alive = {m.id: m.version for m in originals}
    writer = Writer(space)
    _sum_up(writer, units(originals), made, done, limit, progress)
    writer.flush()
    for level in ("day", "week"):
        if done.total < limit:
            below = "session" if level == "day" else "day"
            parts = [m for m in space.store.derived.existing().values() if m.level == below]
            _sum_up(writer, above(parts, level), made, done, limit, progress)
            writer.flush()
    if done.total < limit:
        _profiles(writer, made, alive, done)
        writer.flush()
        done.removed += _remove_empty(space)
    done.promoted = promote(space.store, space.clock())
    done.forgotten = apply_policy(space.store, space.policy, space.clock())
    done.more = done.total >= limit or done.linked >= LINK_BATCH
    keep(space.store, space.clock(), done)
    return done


def link(space: TextMemory) -> int:
    """Link cubes that are new since the last run to those that are like them; return how many were looked at."""
    model = space.model_key()
    if model is None:
        return 0
    after = int(space.store.meta.get("linked", "0"))
    view = space.view.refresh(space.model_key(), space.embedder)
    if view is None:
        return 0
    new, pairs = link_new(view.corpus, after, LINK_BATCH)
    if not len(new):
        return 0
    keys = view.corpus.keys
    cubes = space.store.by_key(sorted({int(keys[i]) for pair in pairs for i in pair[:2]}))
    links = [
        Link(cubes[int(keys[i])].id, cubes[int(keys[j])].id, "similar", round(float(weight), 4))
        for i, j, weight in pairs
        if int(keys[i]) in cubes and int(keys[j]) in cubes
    ]
    with space.store.transaction():
        space.store.links.put(links, to_micros(space.clock()))
        space.store.meta.set("linked", str(int(keys[new].max())))
    return len(new)


def _sum_up(
    writer: Writer,
    groups: Sequence[Group],
    made: dict[str, DerivedCube],
    done: Consolidation,
    limit: int,
    progress: Progress | None,
) -> None:
    """Write the summaries of groups, and the episodes of sessions, that are not there or no longer right."""
    for group in groups:
        if done.total >= limit:
            return
        there = made.get(group.of)
        if len(group.members) < SHORTEST[group.level]:
            continue
        if there and there.fingerprint == group.fingerprint and not _redo(writer.space, there, done):
            continue
        if group.level == "session":
            _episodes(writer, group, made, done)
        _summary(writer, group, there, done)
        if progress:
            progress(1)


def _redo(space: TextMemory, made: DerivedCube, done: Consolidation) -> bool:
    """Tell whether a summary was written by rules because the model failed, and the model is to try again."""
    return space.reasoner is not space.rules and made.id in done.ids_waiting


def _summary(writer: Writer, group: Group, there: DerivedCube | None, done: Consolidation) -> None:
    cubes = writer.space.store.by_key([m.key for m in group.members])
    texts = [(f"{c.speaker}: " if c.speaker else "") + c.text for c in (cubes[m.key] for m in group.members)]
    title, summary, good = summarise(writer.space, texts, SENTENCES[group.level])
    if summary:
        text = f"{title} ({group.members[0].when:%Y-%m-%d}): {summary}"
        about = {"title": title, "level": group.level}
        writer.put("summary", group.of, text, group.members, group.fingerprint, there, about, good=good)
        done.count(group.level)
        if group.level == "week":
            _reflection(writer, group, texts, done)


def _reflection(writer: Writer, group: Group, texts: Sequence[str], done: Consolidation) -> None:
    """Keep what the reasoner concludes from a week; the rules conclude nothing."""
    insights = reflect(writer.space, texts)
    if insights:
        of = f"reflection:{group.of}"
        there = writer.space.store.derived.existing().get(of)
        writer.put("reflection", of, "\n".join(insights), group.members, group.fingerprint, there, {"level": "week"})
        done.count("reflection")


def _episodes(writer: Writer, group: Group, made: dict[str, DerivedCube], done: Consolidation) -> None:
    """Cut a session where its topic turns; one that does not turn is its own episode."""
    space = writer.space
    parts = [group.members[a:b] for a, b in cut(space.view.refresh(space.model_key(), space.embedder), group.members)]
    wanted = {f"episode:{part[0].id}": part for part in parts} if len(parts) > 1 else {}
    stale = [m for m in made.values() if m.of.startswith("episode:") and m.of not in wanted and _is_of(m, group)]
    if stale:
        writer.drop([m.id for m in stale])
        done.removed += len(stale)
    for of, part in wanted.items():
        there, mark = made.get(of), fingerprint((m.id, m.version) for m in part)
        if there and there.fingerprint == mark:
            continue
        cubes = space.store.by_key([m.key for m in part])
        texts = [cubes[m.key].text for m in part]
        title, summary = space.rules.title(texts), space.rules.summarise(texts, 2)
        text = f"{title} ({part[0].when:%Y-%m-%d %H:%M}): {summary}" if summary else title
        if text:
            writer.put("episode", of, text, part, mark, there, {"title": title, "turns": len(part)})
            done.count("episode")


def _is_of(made: DerivedCube, group: Group) -> bool:
    return made.of.removeprefix("episode:") in {m.id for m in group.members}


def _profiles(writer: Writer, made: dict[str, DerivedCube], versions: dict[str, int], done: Consolidation) -> None:
    space = writer.space
    for profile in profiles(space.store.facts.find()):
        of = f"profile:{profile.subject}"
        ids = list(dict.fromkeys(f.cube for f in profile.facts if f.cube in versions))
        mark = fingerprint(
            [*((i, versions[i]) for i in ids), *((f.fact.attribute + f.fact.value, 0) for f in profile.facts)]
        )
        there = made.get(of)
        if not ids or (there and there.fingerprint == mark):
            continue
        cubes = sorted(space.store.get(ids).values(), key=lambda c: c.at)
        members = [Member(0, c.id, c.version, None, to_micros(c.at), 0) for c in cubes]
        writer.put("profile", of, profile.text, members, mark, there, {"subject": profile.subject})
        done.count("profile")


def _remove_empty(space: TextMemory) -> int:
    """Remove derived cubes whose parents are all gone."""
    ids = space.store.derived.parentless()
    return len(space.store.erase(ids)) if ids else 0
