"""What MemoryOS claims (arXiv 2506.06326): segments find more than the last turns or vectors alone; heat keeps what is used."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zlib import crc32

import numpy as np
import pytest

from mnemos import Mnemos, Policy
from mnemos.cube import to_micros
from mnemos.embed.base import unit_rows
from mnemos.index.terms import words_of
from mnemos.text.base import DAY, Histories
from mnemos.text.forget.memoryos_heat import Heat
from mnemos.text.recall.latest import Latest

T0 = datetime(2024, 1, 1, 9, tzinfo=UTC)
TOPICS = ("pottery kiln glaze", "sailing harbour boat", "chess opening gambit", "leek garden compost", "piano sonata pedal",
          "marathon training shoes")  # fmt: skip


class Words:
    """An embedder of words that have nothing in common with each other."""

    name, revision, dimension = "words", "1", 256

    def embed(self, texts, *, progress=None):
        return unit_rows(np.array([sum(map(self.of, words_of(t)), np.zeros(256)) for t in texts]))

    def of(self, word):
        return np.random.default_rng(crc32(word.encode())).normal(size=256)


@pytest.fixture
def memory(tmp_path, clock):
    with Mnemos(tmp_path, embedder=Words(), clock=clock) as memory:
        yield memory


def talk(space, clock, rounds=6):
    """Tell about six topics in turn, in sessions that mix them; each topic has a detail that lacks its first word."""
    for r in range(rounds):
        clock.now = T0 + timedelta(days=r)
        for t, topic in enumerate(TOPICS):
            one, two, three = topic.split()
            space.add(f"{one} {two} {three}, round {r}.", id=f"p{r}.{t}", session=f"s{r}", speaker="Ana")
        for t, topic in enumerate(TOPICS):
            _, two, three = topic.split()
            if r == t:
                space.add(f"{two} {three}: {r + 20} coins.", id=f"gold{t}", session=f"s{r}", speaker="Ana")
            else:
                space.add(f"mug{r}{t} jar{t}{r}: {r + t} coins.", id=f"n{r}.{t}", session=f"s{r}")


def test_pages_of_one_topic_are_joined_whenever_they_were_said(memory, clock):
    space = memory.space("ana", system="memoryos")
    talk(space, clock)
    space.consolidate()
    segments = [c for c in space.cubes(kind="episode", limit=500).items if c.metadata["level"] == "segment"]
    for t in range(len(TOPICS)):
        [own] = [c for c in segments if f"p0.{t}" in c.parents]
        assert {f"p{r}.{t}" for r in range(6)} <= set(own.parents)
        assert f"p0.{(t + 1) % 6}" not in own.parents
    assert {p for c in segments for p in c.parents} == {c.id for c in space.cubes(limit=500).items}


def test_segments_find_what_vectors_alone_and_the_last_turns_do_not(memory, clock):
    found = {}
    for name in ("memoryos", "vectors"):
        space = memory.space(name, system=name)
        talk(space, clock)
        space.consolidate()
        found[name] = sum(
            f"gold{t}" in {h.cube.id for h in space.search(f"What was said about {topic.split()[0]}?", k=8)}
            for t, topic in enumerate(TOPICS)
        )
        clock.now = T0
    space = memory.space("memoryos")
    latest = Latest(turns=6).select(space.text, "", [], _all())
    assert found["memoryos"] > found["vectors"]
    assert found["memoryos"] > sum(hit.cube.id.startswith("gold") for _, hit in latest)


def _all():
    from mnemos.store.values import Filter

    return Filter()


def test_hot_topics_reach_the_long_term_and_cold_ones_go_first(memory, clock):
    space = memory.space("ana", system="memoryos")
    talk(space, clock)
    reuse = np.array([8, 6, 4, 1, 0, 0])
    for day in range(8):
        clock.now = T0 + timedelta(days=10 + day)
        for t, times in enumerate(reuse):
            if day < times:
                space.text.recalled([f"p{r}.{t}" for r in range(3)])
    space.flush()
    now = to_micros(clock.now) / DAY
    heat = [
        float(Heat().retention(Histories.of([space.get(f"p{r}.{t}") for r in range(6)]), now).sum()) for t in range(6)
    ]
    assert np.corrcoef(np.argsort(np.argsort(heat)), np.argsort(np.argsort(reuse)))[0, 1] > 0.8
    assert space.consolidate().promoted > 0
    tier = [max(space.get(f"p{r}.{t}").layer for r in range(6)) for t in range(6)]
    assert tier[0] == tier[1] == tier[2] == 2
    assert tier[4] == tier[5] == 0
    space.policy = Policy(law="memoryos-heat", cubes=space.count() - 40)
    space.consolidate()
    gone = {c.id for c in space.cubes(state="archived", limit=500).items}
    assert not any(f"p{r}.{t}" in gone for r in range(3) for t in range(3))
    assert len(gone) == 40
    assert not space.consolidate().promoted  # L was reset


def test_a_prompt_has_the_latest_pages(memory, clock):
    space = memory.space("ana", system="memoryos")
    talk(space, clock, rounds=2)
    newest = [c.id for c in space.cubes(limit=100).items][-3:]
    assert all(f"[{name}]" in space.context("Thanks!", tokens=1_000, min_score=0.99) for name in newest)
    plain = replace(space.text.system, select=())
    space.text.use(plain)
    assert space.context("Thanks!", min_score=0.99) == ""
