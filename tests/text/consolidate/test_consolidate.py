import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mnemos import Mnemos
from mnemos.errors import ReasonerError
from mnemos.store.values import DERIVED
from mnemos.text.forget.policy import Policy

T0 = datetime(2024, 1, 1, 9, tzinfo=UTC)
TOPICS = {
    "garden": "I planted {} in the garden and the soil was wet.",
    "kitchen": "We cooked {} in the kitchen and the oven was hot.",
    "office": "The {} meeting in the office took the whole afternoon.",
}
THINGS = ("tomatoes", "basil", "pumpkin", "leeks", "carrots", "onions", "spinach", "radishes")


def talk(days, sessions=2, turns=6):
    """Return the turns of some days: every session is about one topic."""
    found = []
    for day in range(days):
        for s in range(sessions):
            topic = list(TOPICS)[(day + s) % 3]
            for t in range(turns):
                at = T0 + timedelta(days=day, hours=3 * s, minutes=t)
                text = TOPICS[topic].format(THINGS[(day + s + t) % 8])
                found.append({"content": text, "session": f"d{day}s{s}", "speaker": "Ana", "at": at})
    return found


@pytest.fixture
def space(tmp_path, clock):
    with Mnemos(tmp_path, embedder="hashing", clock=clock) as memory:
        yield memory.space("ana")


def derived(space):
    return [c for kind in DERIVED for c in space.cubes(kind=kind, limit=1_000).items]


def state(space):
    """Return everything that is in the file, but for what only says when it was read."""
    return list(space.dump())


def test_sessions_days_and_weeks_are_summed_up_and_can_be_descended(space):
    space.add_many(talk(8))
    done = space.consolidate()
    assert (done.written["session"], done.written["day"], done.written["week"]) == (16, 8, 1)
    [week] = [c for c in space.cubes(kind="summary", limit=100).items if c.metadata["level"] == "week"]
    days = sorted((space.get(i) for i in week.parents), key=lambda c: c.at)
    assert [d.metadata["level"] for d in days] == ["day"] * 7
    session = min((space.get(i) for i in days[0].parents), key=lambda c: c.at)
    assert session.metadata["of"] == "session:d0s0"
    turns = [space.get(i) for i in session.parents]
    assert {t.session for t in turns} == {"d0s0"}
    assert len(turns) == 6
    assert any(t.text.rstrip(".") in session.text for t in turns)  # extractive: it says what they say


def test_a_second_run_with_nothing_new_writes_nothing(space):
    space.add_many(talk(8))
    assert space.consolidate().changed
    before, changes = state(space), space.store.changes(0, space.text.model_key()).seq
    assert not space.consolidate().changed
    assert state(space) == before
    assert space.store.changes(0, space.text.model_key()).seq == changes


def test_originals_are_never_rewritten(space):
    cubes = space.add_many(talk(3))
    space.consolidate()
    assert [space.get(c.id) for c in cubes] == cubes


def test_bounded_runs_come_to_the_same_end(space, tmp_path, clock):
    space.add_many(talk(8))
    runs = 0
    while space.consolidate(limit=3).more:
        runs += 1
        assert runs < 50
    with Mnemos(tmp_path / "other", embedder="hashing", clock=clock) as memory:
        other = memory.space("ana")
        other.add_many(talk(8))
        other.consolidate()
        assert sorted((c.metadata["of"], c.text) for c in derived(space)) == sorted(
            (c.metadata["of"], c.text) for c in derived(other)
        )


def test_what_changes_is_summed_up_again_and_nothing_else(space):
    cubes = space.add_many(talk(8))
    space.consolidate()
    space.update(cubes[0].id, content="A meteorite fell into the garden and everyone came to see the meteorite.")
    done = space.consolidate()
    assert done.written["session"] == 1
    assert done.written["day"] == 1
    [session] = [c for c in derived(space) if c.metadata["of"] == "session:d0s0"]
    assert "meteorite" in session.text
    assert session.version == 2


def test_derived_cubes_go_when_a_parent_is_erased_and_come_back_without_it(space):
    space.add_many(
        [*talk(2), {"content": "The safe code is tangerine elephant.", "session": "d0s0", "at": T0, "id": "x"}]
    )
    space.consolidate()
    assert any("tangerine" in c.text for c in derived(space))
    receipt = space.forget(["x"])
    assert receipt.verified
    assert receipt.derived >= 2  # the session's and the day's summary
    space.consolidate()
    assert {c.metadata["of"] for c in derived(space)} >= {"session:d0s0", "day:2024-01-01"}
    assert not any("tangerine" in c.text for c in derived(space))


def test_search_leaves_derived_cubes_out_unless_asked(space):
    space.add_many(talk(3))
    space.consolidate()
    assert {h.cube.kind for h in space.search("garden", k=50)} == {"turn"}
    assert {h.cube.kind for h in space.search("garden", k=50, kind="summary")} == {"summary"}
    assert "summary" in {h.cube.kind for h in space.search("garden", k=50, include_derived=True)}
    assert space.count() == 36


def test_a_profile_says_what_holds_now_and_names_its_sources(space, clock):
    for text in ("I live in Porto.", "I work at Bosch.", "I moved to Faro."):
        space.add(text, speaker="Ana")
        clock.now += timedelta(days=1)
    space.consolidate()
    [profile] = space.cubes(kind="profile").items
    assert profile.text.splitlines() == [
        "What is known about ana:", "work at: Bosch (since 2024-01-02)", "live in: Faro (since 2024-01-03)",
    ]  # fmt: skip
    assert {space.get(i).text for i in profile.parents} == {"I work at Bosch.", "I moved to Faro."}
    space.add("I joined Siemens as an engineer.", speaker="Ana")
    space.consolidate()
    [again] = space.cubes(kind="profile").items
    assert (again.id, again.version) == (profile.id, 2)
    assert "Siemens" in again.text
    assert "Bosch" not in again.text


def test_what_is_often_recalled_moves_to_the_long_term_and_stays(space, clock):
    space.policy = Policy(cubes=5)
    space.add_many(talk(2, turns=5))
    hot = space.cubes().items[0]
    for _ in range(6):
        clock.now += timedelta(days=10)
        space.search(hot.text, k=1)
    done = space.consolidate()
    assert done.promoted >= 1
    assert space.get(hot.id).layer == 2
    assert len(done.forgotten.archived) == 15
    assert space.get(hot.id).state == "active"


class Failing:
    """A model that can be switched off."""

    name = "model"
    dead = True

    def __getattr__(self, task):
        def judge(*_):
            if self.dead:
                raise ReasonerError("nobody answers")
            return {"facts": [], "reflect": []}.get(task, f"{task} by the model")

        return judge


def test_a_model_that_fails_is_replaced_by_rules_and_asked_again_later(tmp_path, clock):
    model = Failing()
    with Mnemos(tmp_path, embedder="hashing", clock=clock, reasoner=model) as memory:
        space = memory.space("ana")
        space.add_many(talk(1, sessions=1))
        first = space.consolidate()
        assert (first.written["session"], first.reconsidered, first.waiting) == (1, 0, 6)
        [summary] = [c for c in derived(space) if c.kind == "summary"]
        assert "by the model" not in summary.text
        model.dead = False
        second = space.consolidate()
        assert second.reconsidered == 6
        [summary] = [c for c in derived(space) if c.kind == "summary"]
        assert "summarise by the model" in summary.text
        assert not space.consolidate().changed


WORKER = """
import sys
sys.path.insert(0, sys.argv[2])
from test_consolidate import T0, talk
from mnemos import Mnemos
space = Mnemos(sys.argv[1], embedder="hashing", clock=lambda: T0).space("ana")
print("ready", flush=True)
space.consolidate()
print("done", flush=True)
"""


@pytest.mark.sqlite_only("it is about the file that another process opens")
def test_a_killed_run_leaves_a_sound_file_and_the_next_one_finishes(tmp_path, clock):
    with Mnemos(tmp_path / "plain", embedder="hashing", clock=clock) as memory:
        plain = memory.space("ana")
        plain.add_many(talk(12))
        plain.consolidate()
        wanted = sorted((c.metadata["of"], c.text) for c in derived(plain))
    with Mnemos(tmp_path / "killed", embedder="hashing", clock=clock) as memory:
        memory.space("ana").add_many(talk(12))
    for delay in (0.02, 0.05, 0.1, 0.2):
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path / "killed"), str(Path(__file__).parent)], stdout=subprocess.PIPE
        )
        assert worker.stdout.readline().strip() == b"ready"
        time.sleep(delay)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        with Mnemos(tmp_path / "killed", embedder="hashing", clock=clock) as memory:
            assert memory.space("ana").doctor().healthy
    with Mnemos(tmp_path / "killed", embedder="hashing", clock=clock) as memory:
        space = memory.space("ana")
        space.consolidate()
        assert sorted((c.metadata["of"], c.text) for c in derived(space)) == wanted
        assert not space.consolidate().changed
